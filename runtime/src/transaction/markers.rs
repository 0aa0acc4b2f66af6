//! Makes sure that a transaction whose end is decided has ended in every partition, too.
//!
//! Kafka 4 forgets the markers of partitions that have no leader when a transaction ends (KAFKA-20734), as
//! all of them have for a moment while a broker starts that finds expired transactions. The coordinator then
//! says `CompleteAbort` or `CompleteCommit`, but in such a partition the transaction stays open: its readers
//! wait for ever, and the next transaction of the same producer there ends it in its own way.
//!
//! A new session of the same transactional id that ends in the partition writes what is missing. Cut short, it
//! is gone on with, so that nobody aborts what is to be committed.

use super::ask::Topics;
use super::brokers::{Brokers, Marker, Producer};
use super::committable::{KafkaCommittable, PartitionRange};
use crate::error::{Error, ErrorKind, Result};
use crate::planted::{Bug, planted};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long the brokers may take to write the markers of a transaction, once it is decided how it ends.
const WRITTEN_WITHIN: Duration = Duration::from_secs(60);
/// How long they may take when its coordinator says that all are written, or knows nothing of it any more: one
/// that has just started may still be about to.
const SHOWN_WITHIN: Duration = Duration::from_secs(5);
/// How often a transaction is ended where it is open before that is only told.
const TRIES_MAX: usize = 5;
/// The pause before the same is asked for again, which is doubled each time up to the second one.
const PAUSE: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// Ends a transaction in the partitions that it has not ended in, as it ended elsewhere. Tells whether a new
/// session of its id had to. Where that does not help it is told: readers wait there.
///
/// # Errors
/// The brokers did not answer in time; [`ErrorKind::FateUnknown`] if somebody else ended it otherwise meanwhile.
pub(super) fn end_everywhere(
    brokers: &mut impl Brokers,
    ended: &KafkaCommittable,
    commit: bool,
    topics: &mut Topics,
) -> Result<bool> {
    if planted(Bug::MarkersNotLookedAt) {
        return Ok(false);
    }
    let id = &ended.transactional_id;
    wait_until_written(brokers, ended)?;
    let forgotten = still_open(brokers, ended, topics)?;
    if forgotten.is_empty() {
        return Ok(false);
    }
    tracing::warn!(
        target: "staunch::kafka",
        id,
        commit,
        places = names(&forgotten),
        "Kafka has forgotten to end a transaction in these partitions (KAFKA-20734); ending it there"
    );
    let mut open = forgotten.clone();
    // What ends it there is forgotten, too, if its leader is away once more.
    for _ in 0..TRIES_MAX {
        let session = session(brokers, ended)?;
        end_in(brokers, id, session, &places(&open), commit)?;
        wait_until_written(brokers, ended)?;
        open = still_open(brokers, ended, topics)?;
        if open.is_empty() {
            break;
        }
    }
    if !open.is_empty() {
        tracing::error!(
            target: "staunch::kafka",
            id,
            commit,
            places = names(&open),
            "a transaction that has ended is still open in these partitions, and readers with read_committed wait there"
        );
    }
    for range in &forgotten {
        let marker = brokers.find_marker(&range.topic, range.partition, range.last + 1, ended.producer_id)?;
        if matches!(marker, Marker::Found { committed, .. } if committed != commit) {
            let message = format!(
                "the transaction {id} ended in {} otherwise than elsewhere, while it was being ended: is the job running \
                 twice?",
                names(&[range])
            );
            return Err(Error::new(ErrorKind::FateUnknown, message));
        }
    }
    Ok(true)
}

/// Aborts in a topic what the producers of these sessions left open there, by producer id. Nobody else uses their
/// ids any more, and no manifest lists what they have written.
///
/// # Errors
/// The brokers did not answer in time, or a session was taken over: is the job running twice?
pub(super) fn abort_left(
    brokers: &mut impl Brokers,
    former: &BTreeMap<i64, (String, Producer)>,
    topic: &str,
    partitions: i32,
) -> Result<()> {
    if former.is_empty() {
        return Ok(());
    }
    let all: Vec<(&str, i32)> = (0..partitions).map(|partition| (topic, partition)).collect();
    let mut left: BTreeMap<i64, Vec<(&str, i32)>> = BTreeMap::new();
    for open in brokers.open_in(&all)? {
        left.entry(open.producer_id).or_default().push((topic, open.partition));
    }
    for (producer_id, places) in left {
        let Some((id, session)) = former.get(&producer_id) else { continue };
        tracing::warn!(
            target: "staunch::kafka",
            id,
            topic,
            partitions = ?places.iter().map(|(_, partition)| partition).collect::<Vec<_>>(),
            "Kafka has forgotten to abort a transaction of an earlier attempt here (KAFKA-20734); aborting it"
        );
        end_in(brokers, id, *session, &places, false)?;
    }
    Ok(())
}

fn end_in(brokers: &mut impl Brokers, id: &str, session: Producer, places: &[(&str, i32)], commit: bool) -> Result<()> {
    brokers.add_partitions(id, session, places)?;
    brokers.end(id, session, commit).map(drop)
}

/// The session that an earlier call began and did not come to end; else a new one. The transaction's own has
/// an older epoch.
fn session(brokers: &mut impl Brokers, ended: &KafkaCommittable) -> Result<Producer> {
    let described = brokers.describe(&ended.transactional_id)?;
    let begun = described.filter(|it| {
        it.state == "Ongoing" && it.producer.id == ended.producer_id && it.producer.epoch > ended.producer_epoch
    });
    begun.map_or_else(|| brokers.take_over(&ended.transactional_id), |it| Ok(it.producer))
}

/// Waits until the coordinator says that all markers are written. Only then are leaders asked: a marker that one
/// has written without its followers can be lost with it, and then forgotten.
fn wait_until_written(brokers: &mut impl Brokers, ended: &KafkaCommittable) -> Result<()> {
    let (deadline, mut pause) = (brokers.now() + WRITTEN_WITHIN, PAUSE);
    loop {
        let described = brokers.describe(&ended.transactional_id)?;
        let Some(state) = described.map(|it| it.state).filter(|state| state.starts_with("Prepare")) else {
            return Ok(());
        };
        if brokers.now() >= deadline {
            let message = format!(
                "the end of the transaction {} is decided, but not written to all its partitions ({state}): are the \
                 brokers up that lead {}?",
                ended.transactional_id,
                ended.places()
            );
            return Err(Error::new(ErrorKind::Sink, message));
        }
        wait(brokers, &mut pause);
    }
}

/// The partitions in which the transaction has no end even after a while.
fn still_open<'a>(
    brokers: &mut impl Brokers,
    ended: &'a KafkaCommittable,
    topics: &mut Topics,
) -> Result<Vec<&'a PartitionRange>> {
    let mut asked: Vec<&PartitionRange> = Vec::new();
    for range in &ended.partitions {
        if topics.has(brokers, ended, range)? {
            asked.push(range);
        }
    }
    let (deadline, mut pause) = (brokers.now() + SHOWN_WITHIN, PAUSE);
    loop {
        let open = brokers.open_in(&places(&asked))?;
        asked.retain(|range| {
            open.iter().any(|it| {
                let is_here = it.topic == range.topic && it.partition == range.partition;
                is_here && it.producer_id == ended.producer_id && it.first <= range.last
            })
        });
        if asked.is_empty() || brokers.now() >= deadline {
            return Ok(asked);
        }
        wait(brokers, &mut pause);
    }
}

fn wait(brokers: &mut impl Brokers, pause: &mut Duration) {
    brokers.pause(*pause);
    *pause = (*pause * 2).min(PAUSE_MAX);
}

fn places<'a>(ranges: &[&'a PartitionRange]) -> Vec<(&'a str, i32)> {
    ranges.iter().map(|range| (range.topic.as_str(), range.partition)).collect()
}

fn names(ranges: &[&PartitionRange]) -> String {
    let names: Vec<String> = ranges.iter().map(|range| format!("{}/{}", range.topic, range.partition)).collect();
    names.join(", ")
}
