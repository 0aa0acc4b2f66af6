//! Makes sure that an aborted transaction has ended in every partition, too.
//!
//! Kafka 4 forgets the markers of partitions that have no leader when a transaction ends (KAFKA-20734), as
//! all of them have for a moment while a broker starts that finds expired transactions. The coordinator then
//! says `CompleteAbort`, but in such a partition the transaction stays open: its readers wait for ever, and if
//! the same producer commits there later, the aborted records become visible with its own.
//!
//! An abort of the same transactional id in the partition writes what is missing, and may be repeated or cut
//! short at any step: whatever is left of it is aborted as well.

use super::ask::TopicIds;
use super::brokers::{Brokers, Marker};
use super::committable::{KafkaCommittable, PartitionRange};
use crate::error::Result;
use std::time::Duration;

/// How long the brokers may take to write the markers of a transaction that has ended.
const WRITTEN_WITHIN: Duration = Duration::from_secs(5);
/// The pause before the logs are looked at again.
const PAUSE: Duration = Duration::from_millis(100);

/// Ends an aborted transaction in the partitions that it has not ended in. What cannot be ended is told: it
/// holds up readers, but nothing of it is lost or visible.
///
/// # Errors
/// The brokers did not answer in time.
pub(super) fn end_everywhere(
    brokers: &mut impl Brokers,
    aborted: &KafkaCommittable,
    topics: &mut TopicIds,
) -> Result<()> {
    let id = &aborted.transactional_id;
    let open = wait_for_markers(brokers, aborted, topics)?;
    if open.is_empty() {
        return Ok(());
    }
    tracing::warn!(
        target: "staunch::kafka",
        id,
        places = names(&open),
        "Kafka has forgotten to end an aborted transaction in these partitions (KAFKA-20734); ending it there"
    );
    let session = brokers.take_over(id, aborted.timeout_ms)?;
    let partitions: Vec<(&str, i32)> = open.iter().map(|range| (range.topic.as_str(), range.partition)).collect();
    brokers.add_partitions(id, session, &partitions)?;
    brokers.end(id, session, false)?;
    let open = wait_for_markers(brokers, aborted, topics)?;
    if !open.is_empty() {
        tracing::error!(
            target: "staunch::kafka",
            id,
            places = names(&open),
            "an aborted transaction is still open in these partitions, and readers with read_committed wait there; end it \
             with kafka-transactions.sh abort"
        );
    }
    Ok(())
}

/// The partitions in which the log has no end of the transaction even after a while.
fn wait_for_markers<'a>(
    brokers: &mut impl Brokers,
    aborted: &'a KafkaCommittable,
    topics: &mut TopicIds,
) -> Result<Vec<&'a PartitionRange>> {
    let deadline = brokers.now() + WRITTEN_WITHIN;
    let mut open: Vec<&PartitionRange> = aborted.partitions.iter().collect();
    loop {
        let mut still_open = Vec::new();
        for range in open {
            if topics.has(brokers, range)? && is_open(brokers, aborted, range)? {
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

fn is_open(brokers: &mut impl Brokers, aborted: &KafkaCommittable, range: &PartitionRange) -> Result<bool> {
    let from = (range.last + 1).max(brokers.log_start(&range.topic, range.partition)?);
    let marker = brokers.find_marker(&range.topic, range.partition, from, aborted.producer_id)?;
    Ok(marker == Marker::NotYet)
}

fn names(ranges: &[&PartitionRange]) -> String {
    let names: Vec<String> = ranges.iter().map(|range| format!("{}/{}", range.topic, range.partition)).collect();
    names.join(", ")
}
