//! Writes an aborted transaction's records again, from the broker's log, under a new committable that is
//! published before it is committed.
//!
//! ```text
//! R1  initialise the replay's id, add the partitions    an id of this attempt's own
//! R2  copy every batch of the aborted session, in order, count them
//! R3  describe: open, and ours                          start time -> the new committable
//! R4  publish the manifest with it in the place of the old one
//! R5  settle it like any other: it is open, so it is committed
//! ```
//!
//! It cannot duplicate: only what a published manifest lists is ever committed, a slot is won by one,
//! and there is a new committable only if the old one was aborted, which is final. A crash before R4
//! leaves an orphan that the next attempt aborts; after it, the new committable is open, and committed.

use super::ask::{Topics, look};
use super::brokers::{Brokers, CopyRange, Producer, SessionRange};
use super::committable::{KafkaCommittable, PartitionRange, Prepared};
use super::ids::Ids;
use crate::control::permit::{Published, Recovery};
use crate::crash::crash_point;
use crate::error::{DataLoss, Error, ErrorKind, Result};
use crate::planted::{Bug, planted};

/// Replaces the aborted ones among a committable's transactions. `None`: nothing of it is left, and
/// that was accepted. Tells whether anything was written again.
pub(super) fn replay(
    brokers: &mut impl Brokers,
    ids: &Ids,
    published: Published,
    transactions: &[KafkaCommittable],
    aborted: &[usize],
    topics: &mut Topics,
    recovery: &mut Recovery<'_>,
) -> Result<(Option<Published>, bool)> {
    let mut new = transactions.to_vec();
    let mut begun = Vec::new();
    let mut losses = Losses::default();
    let mut there = Vec::new();
    for &at in aborted {
        there.push(find(brokers, &transactions[at], topics, &mut losses)?);
    }
    if let Some(loss) = losses.of(transactions, aborted) {
        recovery.may_lose(loss)?;
    }
    for (&at, there) in aborted.iter().zip(there) {
        let old = &transactions[at];
        tracing::warn!(
            target: "staunch::kafka",
            id = old.transactional_id, epoch = %old.epoch, records = old.records, places = old.places(),
            "a transaction that the checkpoint lists was aborted; writing its records again from the log"
        );
        let kept = rewrite(brokers, old, ids.replay_of(&old.transactional_id), there, &mut losses, &mut begun)?;
        new[at].records = 0;
        if let Some(mut kept) = kept {
            for range in &mut kept.partitions {
                if let Some(topic) = topics.get(brokers, &range.topic)? {
                    range.topic_id.clone_from(&topic.id);
                }
            }
            new[at] = kept;
        }
    }
    new.retain(|transaction| transaction.records > 0);
    if planted(Bug::ReplayCommittedEarly) {
        begun.iter().try_for_each(|(id, producer)| brokers.end(id, *producer, true).map(drop))?;
    }
    let written = !begun.is_empty();
    let settled = publish(published, new, losses.of(transactions, aborted), recovery);
    // After another error it is not known which of the two is listed: the next attempt finds out.
    let is_orphan = |error: &Error| matches!(error.kind(), ErrorKind::Superseded | ErrorKind::DataLoss);
    if settled.as_ref().is_err_and(is_orphan) {
        for (id, producer) in begun {
            abort(brokers, &id, producer);
        }
    }
    settled.map(|settled| (settled, written))
}

/// Ends a replay that no manifest lists.
fn abort(brokers: &mut impl Brokers, id: &str, producer: Producer) {
    if let Err(error) = brokers.end(id, producer, false) {
        tracing::warn!(target: "staunch::kafka", id, %error, "a replay is left open until its timeout");
    }
}

fn publish(
    published: Published,
    new: Vec<KafkaCommittable>,
    loss: Option<DataLoss>,
    recovery: &mut Recovery<'_>,
) -> Result<Option<Published>> {
    crash_point("kafka-replay-prepared");
    if new.is_empty() {
        let nothing = || Error::new(ErrorKind::Internal, "a replay wrote nothing, and nothing is missing");
        recovery.give_up(published, loss.ok_or_else(nothing)?)?;
        return Ok(None);
    }
    if let Some(loss) = loss {
        recovery.accept(loss)?;
    }
    let replaced = recovery.replace(published, Prepared::of(new).to_bytes())?;
    crash_point("kafka-replay-published");
    Ok(Some(replaced))
}

/// What is lost of a committable.
#[derive(Default)]
struct Losses {
    records: u64,
    reasons: Vec<String>,
}

impl Losses {
    fn add(&mut self, range: &PartitionRange, records: u64, reason: &str) {
        self.records += records;
        self.reasons.push(format!("{}/{}: {reason}", range.topic, range.partition));
    }

    fn of(&self, transactions: &[KafkaCommittable], aborted: &[usize]) -> Option<DataLoss> {
        if self.records == 0 {
            return None;
        }
        let mut sinks: Vec<String> = aborted.iter().map(|&at| transactions[at].sinks()).collect();
        sinks.dedup();
        let reason =
            format!("they were not committed, and cannot be written again from the log: {}", self.reasons.join("; "));
        let epoch = transactions.first()?.epoch;
        Some(DataLoss { sink: sinks.join(", "), epoch, records: self.records, reason })
    }
}

/// How many of a transaction's records cannot be written again, and why; `None` if none is known to be gone.
pub(super) fn lost(brokers: &mut impl Brokers, old: &KafkaCommittable) -> Result<Option<(u64, String)>> {
    let losses = gone(brokers, old)?;
    Ok((losses.records > 0).then(|| (losses.records, losses.reasons.join("; "))))
}

/// The same, as what is told to those who have to accept it.
pub(super) fn loss(brokers: &mut impl Brokers, old: &KafkaCommittable) -> Result<Option<DataLoss>> {
    Ok(gone(brokers, old)?.of(std::slice::from_ref(old), &[0]))
}

fn gone(brokers: &mut impl Brokers, old: &KafkaCommittable) -> Result<Losses> {
    let mut losses = Losses::default();
    find(brokers, old, &mut Topics::default(), &mut losses)?;
    Ok(losses)
}

/// Records of a range that were found in the log.
struct Found<'a> {
    range: &'a PartitionRange,
    records: u64,
}

/// What can still be read, so that a loss is known before anything is written; changes nothing. Only what is
/// damaged, or not taken by the broker any more, is found later, when it is copied.
fn find<'a>(
    brokers: &mut impl Brokers,
    old: &'a KafkaCommittable,
    topics: &mut Topics,
    losses: &mut Losses,
) -> Result<Vec<Found<'a>>> {
    let mut found = Vec::new();
    for range in &old.partitions {
        let (records, why) = there(brokers, old, range, topics)?;
        if records < range.records {
            let of = || format!("only {records} of {} records are there; was the topic compacted?", range.records);
            losses.add(range, range.records - records, &why.unwrap_or_else(of));
        }
        if records > 0 {
            found.push(Found { range, records });
        }
    }
    Ok(found)
}

/// How many of a range's records are there, and why not all. Read through only where some may be missing.
fn there(
    brokers: &mut impl Brokers,
    old: &KafkaCommittable,
    range: &PartitionRange,
    topics: &mut Topics,
) -> Result<(u64, Option<String>)> {
    let none = |why: &str| Ok((0, Some(why.to_owned())));
    if !topics.has(brokers, old, range)? {
        let is_another = topics.get(brokers, &range.topic)?.is_some();
        return none(if is_another { "the topic was deleted and created again" } else { "the topic was deleted" });
    }
    let log_start = brokers.log_start(&range.topic, range.partition)?;
    if log_start > range.last {
        return none(&format!("the log begins at offset {log_start} now, they end at {}", range.last));
    }
    let peek = look(brokers, range, range.last)?;
    let ends = peek.is_data_of(old.producer(), range.last);
    let is_whole = log_start <= range.first && ends && brokers.is_compacted(&range.topic)? == Some(false);
    if is_whole {
        return Ok((range.records, None));
    }
    let counted = brokers.count(&of(old, range))?;
    if counted.records > range.records {
        return Err(too_many(old, range, counted.records));
    }
    Ok((counted.records, counted.left_out))
}

/// Where a range's records are.
fn of<'a>(old: &KafkaCommittable, range: &'a PartitionRange) -> SessionRange<'a> {
    let &PartitionRange { ref topic, partition, first, last, .. } = range;
    SessionRange { from: old.producer(), topic, partition, first, last }
}

fn too_many(old: &KafkaCommittable, range: &PartitionRange, records: u64) -> Error {
    let message = format!(
        "{}/{} has {records} records of the transaction {} where the checkpoint lists {}; please report this",
        range.topic, range.partition, old.transactional_id, range.records
    );
    Error::new(ErrorKind::Internal, message)
}

/// R1 to R3. `None` if there is nothing to write, or nothing of it was taken.
fn rewrite(
    brokers: &mut impl Brokers,
    old: &KafkaCommittable,
    id: String,
    there: Vec<Found<'_>>,
    losses: &mut Losses,
    begun: &mut Vec<(String, Producer)>,
) -> Result<Option<KafkaCommittable>> {
    if there.is_empty() {
        return Ok(None);
    }
    crash_point("kafka-before-replay");
    let producer = brokers.take_over(&id)?;
    let named: Vec<(&str, i32)> =
        there.iter().map(|found| (found.range.topic.as_str(), found.range.partition)).collect();
    brokers.add_partitions(&id, producer, &named)?;
    begun.push((id.clone(), producer));
    crash_point("kafka-replay-begun");
    let mut partitions = Vec::new();
    for found in there {
        partitions.extend(copy(brokers, old, &found, &id, producer, losses)?);
    }
    crash_point("kafka-replay-copied");
    if partitions.is_empty() {
        begun.pop();
        abort(brokers, &id, producer);
        return Ok(None);
    }
    // The description names an id, not a transaction: it must speak of the session that has just written.
    let described = brokers.describe(&id)?;
    let ours = described.filter(|described| described.producer == producer && described.state == "Ongoing");
    let Some(ours) = ours else {
        let message = format!(
            "{id} was taken over, or its time ran out, while the records of {} were written again: is the job running twice?",
            old.transactional_id
        );
        return Err(Error::new(ErrorKind::Sink, message));
    };
    Ok(Some(KafkaCommittable {
        version: old.version,
        cluster_id: old.cluster_id.clone(),
        epoch: old.epoch,
        transactional_id: id,
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        start_ms: ours.start_ms,
        timeout_ms: ours.timeout_ms,
        records: partitions.iter().map(|range: &PartitionRange| range.records).sum(),
        partitions,
        writers: old.writers.clone(),
    }))
}

fn copy(
    brokers: &mut impl Brokers,
    old: &KafkaCommittable,
    found: &Found<'_>,
    id: &str,
    to: Producer,
    losses: &mut Losses,
) -> Result<Option<PartitionRange>> {
    let &Found { range, records } = found;
    let copied = brokers.copy(&CopyRange { of: of(old, range), id, to })?;
    if copied.records > records {
        return Err(too_many(old, range, copied.records));
    }
    if copied.records < records {
        let reason =
            copied.left_out.unwrap_or_else(|| format!("only {} of {records} records are there", copied.records));
        losses.add(range, records - copied.records, &reason);
    }
    let new = PartitionRange { first: copied.first, last: copied.last, records: copied.records, ..range.clone() };
    Ok((copied.records > 0).then_some(new))
}
