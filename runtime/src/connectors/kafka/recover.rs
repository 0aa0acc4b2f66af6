//! What an earlier attempt left: its published transactions are committed, all others aborted.
//!
//! Runs before any producer exists. Each step may be repeated: a crash anywhere in here is followed by
//! the same again. No id that a manifest lists is ever initialised here, as that would abort it.

use super::committable::KafkaCommittable;
use super::fate::{self, Fate};
use super::participant::{ANSWER_WITHIN, KafkaParticipant};
use super::wire::{Cluster, Producer};
use crate::api::sink::Committable;
use crate::control::permit::{CommitPermit, Published};
use crate::error::{Error, ErrorKind, Result};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long a transaction may stay undecided: a broker that was killed needs some seconds to know its
/// last stable offset again, and a foreign transaction before ours may hold it back.
const DECIDED_WITHIN: Duration = Duration::from_secs(20);
/// How long a topic may be unknown to a broker that has just started.
const EXISTS_WITHIN: Duration = Duration::from_secs(10);
/// How long it may take until an open transaction is committed.
const COMMITTED_WITHIN: Duration = Duration::from_secs(60);
/// The pause before the same question is asked again.
const PAUSE: Duration = Duration::from_millis(100);

/// Settles all; returns the numbers of the listed ids, which must not be used yet.
pub(super) fn recover(participant: &mut KafkaParticipant, published: &[Published]) -> Result<BTreeSet<u64>> {
    let mut committables = Vec::new();
    for published in published {
        check_permit(published.committable(), published.permit())?;
        committables.push(KafkaCommittable::from_bytes(&published.committable().bytes)?);
    }
    committables.sort_by_key(|committable| committable.epoch);
    for committable in &committables {
        settle(participant, committable)?;
    }
    let listed: BTreeSet<String> = committables.into_iter().map(|committable| committable.transactional_id).collect();
    abort_lingering(participant, &listed)?;
    let number = |id: &String| id.strip_prefix(&participant.prefix)?.parse().ok();
    Ok(listed.iter().filter_map(number).collect())
}

/// Only what a durable manifest lists may be committed.
pub(super) fn check_permit(committable: &Committable, permit: &CommitPermit) -> Result<()> {
    if committable.epoch <= permit.epoch() {
        return Ok(());
    }
    let message = format!("epoch {} was to be committed when only {} is durable", committable.epoch, permit.epoch());
    Err(Error::new(ErrorKind::Internal, message))
}

/// Makes sure that a published transaction is committed.
pub(super) fn settle(participant: &mut KafkaParticipant, ours: &KafkaCommittable) -> Result<()> {
    let no_transactions = || {
        let message = format!(
            "the checkpoint lists the Kafka transaction {}, but the sink is .at_least_once() now: start once more with \
             .exactly_once() so that it can be committed",
            ours.transactional_id
        );
        Error::new(ErrorKind::Config, message)
    };
    if ours.cluster_id != participant.cluster_id && participant.cluster.is_some() {
        let message = format!(
            "the checkpoint's transaction {} is in the Kafka cluster {}, but {} is the cluster {}: connect to the former",
            ours.transactional_id, ours.cluster_id, participant.options.settings.brokers, participant.cluster_id
        );
        return Err(Error::new(ErrorKind::Config, message));
    }
    let cluster = participant.cluster.as_mut().ok_or_else(no_transactions)?;
    let deadline = Instant::now() + COMMITTED_WITHIN;
    loop {
        match ask(cluster, ours)? {
            Fate::Committed => return Ok(()),
            Fate::Aborted => return replay(ours),
            Fate::Unknown(why) => return Err(fate_unknown(ours, &why)),
            Fate::Open => {}
        }
        let producer = Producer { id: ours.producer_id, epoch: ours.producer_epoch };
        // The answer is the same for "committed before" and "lost": only the fate decides.
        let code = cluster.end(&ours.transactional_id, producer, true, ANSWER_WITHIN)?;
        if Instant::now() >= deadline {
            let message = format!("the transaction {} stays open, EndTxn says error {code}", ours.transactional_id);
            return Err(Error::new(ErrorKind::Sink, message));
        }
        if code != 0 {
            std::thread::sleep(PAUSE);
        }
    }
}

/// The coordinator first; where it does not know any more, the logs.
fn ask(cluster: &mut Cluster, ours: &KafkaCommittable) -> Result<Fate> {
    let deadline = Instant::now() + DECIDED_WITHIN;
    loop {
        let described = cluster.describe(&ours.transactional_id, ANSWER_WITHIN)?;
        let fate = fate::of_described(ours, described.as_ref());
        if !matches!(fate, Fate::Unknown(_)) {
            return Ok(fate);
        }
        let mut fates = vec![fate];
        let mut may_change = false;
        for range in &ours.partitions {
            if cluster.topic_id(&range.topic, EXISTS_WITHIN)?.as_ref() != Some(&range.topic_id) {
                fates.push(Fate::Unknown(format!("the topic {} was deleted since", range.topic)));
                continue;
            }
            let peek = cluster.peek(&range.topic, range.partition, range.first, true, ANSWER_WITHIN)?;
            may_change |= peek.code == 0 && peek.batch.is_none();
            fates.push(fate::of_peek(ours, range, &peek));
        }
        let fate = fate::agree(fates);
        if !matches!(fate, Fate::Unknown(_)) || !may_change || Instant::now() >= deadline {
            return Ok(fate);
        }
        std::thread::sleep(PAUSE);
    }
}

/// An aborted transaction's records are still in the log and could be written again from there, under
/// a new committable that is published before it is committed. Until then it is a loss.
fn replay(ours: &KafkaCommittable) -> Result<()> {
    let sinks: BTreeSet<&str> = ours.writers.iter().map(|writer| writer.sink.as_str()).collect();
    let message = format!(
        "the Kafka transaction {} of epoch {} was aborted: {} records of {sinks:?} that the checkpoint promised are not \
         visible. Most likely the job was down for longer than the transaction's timeout of {} s: raise \
         .transaction_timeout(..) for the future. The records are still in the log for readers with read_uncommitted: {}",
        ours.transactional_id,
        ours.epoch,
        ours.records,
        ours.timeout_ms / 1000,
        places(ours)
    );
    Err(Error::new(ErrorKind::DataLoss, message))
}

fn fate_unknown(ours: &KafkaCommittable, why: &str) -> Error {
    let message = format!(
        "it cannot be told whether the Kafka transaction {} of epoch {} ({} records) was committed: {why}. Look whether \
         its records are visible to readers with read_committed: {}",
        ours.transactional_id,
        ours.epoch,
        ours.records,
        places(ours)
    );
    Error::new(ErrorKind::FateUnknown, message)
}

fn places(ours: &KafkaCommittable) -> String {
    let place = |range: &super::committable::PartitionRange| {
        format!("{}/{} offsets {} to {}", range.topic, range.partition, range.first, range.last)
    };
    ours.partitions.iter().map(place).collect::<Vec<_>>().join(", ")
}

/// Aborts what this lineage has open and no manifest lists, and locks out its former users.
fn abort_lingering(participant: &mut KafkaParticipant, listed: &BTreeSet<String>) -> Result<()> {
    let Some(cluster) = &mut participant.cluster else { return Ok(()) };
    for (id, state) in cluster.list(&participant.prefix, ANSWER_WITHIN)? {
        if listed.contains(&id) {
            continue;
        }
        tracing::debug!(target: "staunch::kafka", %id, %state, "left by an earlier attempt");
        cluster.init_producer_id(&id, participant.options.transaction_timeout, ANSWER_WITHIN)?;
    }
    Ok(())
}
