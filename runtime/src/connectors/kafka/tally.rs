//! What delivery reports said since a transaction began: how many records of each writer arrived,
//! where, and whether one failed.

#![warn(clippy::disallowed_methods, reason = "no clock and no thread reaches what only decides or decodes")]

use crate::transaction::PartitionRange;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Counts delivery reports: written by the poller thread, read by writers and the participant.
#[derive(Debug, Default)]
pub(super) struct Tally {
    sums: Mutex<Sums>,
    acknowledged: AtomicU64,
    has_failed: AtomicBool,
}

#[derive(Debug, Default)]
struct Sums {
    /// By the writer's number.
    writers: Vec<WriterSums>,
    failure: Option<String>,
}

#[derive(Clone, Debug, Default)]
struct WriterSums {
    acknowledged: u64,
    /// By partition; of writers with the same topic these overlap.
    partitions: Vec<Option<Range>>,
}

#[derive(Clone, Copy, Debug)]
struct Range {
    first: i64,
    last: i64,
    records: u64,
}

impl Tally {
    fn sums(&self) -> MutexGuard<'_, Sums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A record of this writer was stored at this offset.
    pub fn arrived(&self, writer: usize, partition: i32, offset: i64) {
        let mut sums = self.sums();
        if writer >= sums.writers.len() {
            sums.writers.resize_with(writer + 1, WriterSums::default);
        }
        let of_writer = &mut sums.writers[writer];
        of_writer.acknowledged += 1;
        let partition = usize::try_from(partition).unwrap_or(0);
        if partition >= of_writer.partitions.len() {
            of_writer.partitions.resize(partition + 1, None);
        }
        let range = of_writer.partitions[partition].get_or_insert(Range { first: offset, last: offset, records: 0 });
        range.first = range.first.min(offset);
        range.last = range.last.max(offset);
        range.records += 1;
        drop(sums);
        self.acknowledged.fetch_add(1, Ordering::SeqCst);
    }

    /// A record failed, or the producer as a whole: the first reason is kept.
    pub fn fail(&self, why: String) {
        self.sums().failure.get_or_insert(why);
        self.has_failed.store(true, Ordering::SeqCst);
    }

    pub fn failure(&self) -> Option<String> {
        if self.has_failed.load(Ordering::SeqCst) { self.sums().failure.clone() } else { None }
    }

    /// All records of all writers that arrived.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    pub fn acknowledged_of(&self, writer: usize) -> u64 {
        self.sums().writers.get(writer).map_or(0, |sums| sums.acknowledged)
    }

    /// A writer's number is to be another's.
    pub fn forget(&self, writer: usize) {
        if let Some(sums) = self.sums().writers.get_mut(writer) {
            *sums = WriterSums::default();
        }
    }

    /// Where the records lie. `topic` tells a writer's topic and its id.
    pub fn ranges(&self, topic: impl Fn(usize) -> (String, String)) -> Vec<PartitionRange> {
        let mut ranges: Vec<PartitionRange> = Vec::new();
        for (writer, sums) in self.sums().writers.iter().enumerate() {
            for (partition, range) in sums.partitions.iter().enumerate() {
                let Some(range) = range else { continue };
                let ((topic, topic_id), partition) = (topic(writer), partition as i32);
                match ranges.iter_mut().find(|known| known.topic == topic && known.partition == partition) {
                    Some(known) => {
                        known.first = known.first.min(range.first);
                        known.last = known.last.max(range.last);
                        known.records += range.records;
                    }
                    None => {
                        let &Range { first, last, records } = range;
                        ranges.push(PartitionRange { topic, topic_id, partition, first, last, records });
                    }
                }
            }
        }
        ranges.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        ranges
    }

    /// Forgets all but a failure: a new transaction begins.
    pub fn reset(&self) {
        self.sums().writers.clear();
        self.acknowledged.store(0, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writers_are_counted_apart_and_partitions_together() {
        let tally = Tally::default();
        for (writer, partition, offset) in [(0, 1, 12), (2, 1, 10), (0, 1, 15), (1, 0, 3)] {
            tally.arrived(writer, partition, offset);
        }
        assert_eq!((tally.acknowledged(), tally.acknowledged_of(0), tally.acknowledged_of(9)), (4, 2, 0));
        let ranges = tally.ranges(|writer| (if writer == 1 { "b" } else { "a" }.to_owned(), String::new()));
        let ranges: Vec<_> =
            ranges.iter().map(|r| (r.topic.as_str(), r.partition, r.first, r.last, r.records)).collect();
        assert_eq!(ranges, [("a", 1, 10, 15, 3), ("b", 0, 3, 3, 1)]);
        tally.forget(0);
        assert_eq!((tally.acknowledged(), tally.acknowledged_of(0), tally.acknowledged_of(2)), (4, 0, 1));
        tally.reset();
        assert_eq!(tally.acknowledged(), 0);
    }

    #[test]
    fn the_first_failure_is_kept() {
        let tally = Tally::default();
        assert_eq!(tally.failure(), None);
        tally.fail("first".into());
        tally.fail("second".into());
        tally.reset();
        assert_eq!(tally.failure().as_deref(), Some("first"));
    }
}
