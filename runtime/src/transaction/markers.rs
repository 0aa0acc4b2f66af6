//! Makes sure that a transaction whose end is decided has ended in every partition, too.
//!
//! Kafka 4 forgets the markers of partitions that have no leader when a transaction ends (KAFKA-20734), as
//! all of them have for a moment while a broker starts that finds expired transactions. The coordinator then
//! says `CompleteAbort` or `CompleteCommit`, but in such a partition the transaction stays open: its readers
//! wait for ever, and the next transaction of the same producer there ends it in its own way.
//!
//! A new session of the same transactional id that ends in the partition writes what is missing. Cut short, it
//! is gone on with, so that nobody aborts what is to be committed.

use super::ask::TopicIds;
use super::brokers::{Brokers, Marker, Producer};
use super::committable::{KafkaCommittable, PartitionRange};
use crate::error::{Error, ErrorKind, Result};
use std::time::Duration;

/// How long the brokers may take to write the markers of a transaction that has ended.
const WRITTEN_WITHIN: Duration = Duration::from_secs(5);
/// The pause before the logs are looked at again.
const PAUSE: Duration = Duration::from_millis(100);

/// Ends a transaction in the partitions that it has not ended in, as it ended elsewhere. Where that does not
/// help it is told: readers wait there.
///
/// # Errors
/// The brokers did not answer in time; [`ErrorKind::FateUnknown`] if somebody else ended it otherwise meanwhile.
pub(super) fn end_everywhere(
    brokers: &mut impl Brokers,
    ended: &KafkaCommittable,
    commit: bool,
    topics: &mut TopicIds,
) -> Result<()> {
    let id = &ended.transactional_id;
    let forgotten = wait_for_markers(brokers, ended, topics)?;
    if forgotten.is_empty() {
        return Ok(());
    }
    tracing::warn!(
        target: "staunch::kafka",
        id,
        commit,
        places = names(&forgotten),
        "Kafka has forgotten to end a transaction in these partitions (KAFKA-20734); ending it there"
    );
    let session = session(brokers, ended)?;
    let partitions: Vec<(&str, i32)> = forgotten.iter().map(|range| (range.topic.as_str(), range.partition)).collect();
    brokers.add_partitions(id, session, &partitions)?;
    brokers.end(id, session, commit)?;
    let open = wait_for_markers(brokers, ended, topics)?;
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
        if let Marker::Found { committed, .. } = marker(brokers, ended, range)?
            && committed != commit
        {
            let message = format!(
                "the transaction {id} ended in {} otherwise than elsewhere, while it was being ended: is the job running \
                 twice?",
                names(&[range])
            );
            return Err(Error::new(ErrorKind::FateUnknown, message));
        }
    }
    Ok(())
}

/// The session that an earlier call began and did not come to end; else a new one. The transaction's own has
/// an older epoch.
fn session(brokers: &mut impl Brokers, ended: &KafkaCommittable) -> Result<Producer> {
    let described = brokers.describe(&ended.transactional_id)?;
    let begun = described.filter(|it| {
        it.state == "Ongoing" && it.producer.id == ended.producer_id && it.producer.epoch > ended.producer_epoch
    });
    begun.map_or_else(|| brokers.take_over(&ended.transactional_id, ended.timeout_ms), |it| Ok(it.producer))
}

/// The partitions in which the log has no end of the transaction even after a while.
fn wait_for_markers<'a>(
    brokers: &mut impl Brokers,
    ended: &'a KafkaCommittable,
    topics: &mut TopicIds,
) -> Result<Vec<&'a PartitionRange>> {
    let deadline = brokers.now() + WRITTEN_WITHIN;
    let mut open: Vec<&PartitionRange> = ended.partitions.iter().collect();
    loop {
        let mut still_open = Vec::new();
        for range in open {
            if topics.has(brokers, range)? && marker(brokers, ended, range)? == Marker::NotYet {
                still_open.push(range);
            }
        }
        if still_open.is_empty() || brokers.now() >= deadline {
            return Ok(still_open);
        }
        open = still_open;
        brokers.pause(PAUSE);
    }
}

fn marker(brokers: &mut impl Brokers, ended: &KafkaCommittable, range: &PartitionRange) -> Result<Marker> {
    let marker = brokers.find_marker(&range.topic, range.partition, range.last + 1, ended.producer_id)?;
    if marker == Marker::NotYet && brokers.log_start(&range.topic, range.partition)? > range.last {
        return Ok(Marker::Unreadable("its records are gone, and nobody waits for their end".to_owned()));
    }
    Ok(marker)
}

fn names(ranges: &[&PartitionRange]) -> String {
    let names: Vec<String> = ranges.iter().map(|range| format!("{}/{}", range.topic, range.partition)).collect();
    names.join(", ")
}
