//! The log of a partition: batches, the ends of transactions, and what readers of committed data see of it.

use crate::transaction::{BatchHeader, Isolation, Marker, Peek, Producer};
use std::collections::BTreeMap;

/// OFFSET_OUT_OF_RANGE.
const OUT_OF_RANGE: i16 = 1;

/// One partition. `V` stands for a record.
#[derive(Debug)]
pub(super) struct Log<V> {
    batches: Vec<Batch<V>>,
    /// The first offset that is still there.
    start: i64,
    /// The offset after the last one.
    end: i64,
    /// First offsets of open transactions, by producer id.
    open: BTreeMap<i64, i64>,
    aborted: Vec<Aborted>,
}

#[derive(Debug)]
struct Batch<V> {
    first: i64,
    last: i64,
    by: Producer,
    holds: Holds<V>,
    /// How the transaction ended that it belongs to.
    committed: Option<bool>,
}

#[derive(Debug)]
enum Holds<V> {
    Records(Vec<V>),
    /// The end of a transaction.
    Marker {
        committed: bool,
    },
}

#[derive(Debug)]
struct Aborted {
    producer_id: i64,
    first: i64,
    marker: i64,
}

impl<V> Default for Log<V> {
    fn default() -> Self {
        Self { batches: Vec::new(), start: 0, end: 0, open: BTreeMap::new(), aborted: Vec::new() }
    }
}

impl<V> Log<V> {
    /// Appends records of an open transaction as one batch; returns the offsets of the first and last.
    pub fn append(&mut self, by: Producer, records: Vec<V>) -> (i64, i64) {
        let (first, last) = (self.end, self.end + records.len() as i64 - 1);
        self.open.entry(by.id).or_insert(first);
        self.end = last + 1;
        self.batches.push(Batch { first, last, by, holds: Holds::Records(records), committed: None });
        (first, last)
    }

    /// Ends the producer's open transaction. `by` is the producer with the epoch that the marker has.
    pub fn mark(&mut self, by: Producer, committed: bool) {
        let at = self.end;
        if let Some(first) = self.open.remove(&by.id) {
            let from = self.at(first);
            for batch in self.batches[from..].iter_mut().filter(|batch| batch.by.id == by.id) {
                batch.committed = Some(committed);
            }
            if !committed {
                self.aborted.push(Aborted { producer_id: by.id, first, marker: at });
            }
        }
        self.end += 1;
        let holds = Holds::Marker { committed };
        self.batches.push(Batch { first: at, last: at, by, holds, committed: Some(committed) });
    }

    /// The first batch that ends at this offset or later.
    fn at(&self, offset: i64) -> usize {
        self.batches.partition_point(|batch| batch.last < offset)
    }

    /// The first offset of the oldest open transaction, else the log's end.
    pub fn last_stable(&self) -> i64 {
        self.open.values().min().copied().unwrap_or(self.end)
    }

    pub fn start(&self) -> i64 {
        self.start
    }

    /// Retention removes everything below the last stable offset.
    pub fn trim(&mut self) {
        self.start = self.last_stable();
    }

    pub fn peek(&self, offset: i64, isolation: Isolation) -> Peek {
        if offset < self.start || offset > self.end {
            return Peek { code: OUT_OF_RANGE, high_watermark: -1, batch: None, aborted: Vec::new() };
        }
        let below = if isolation == Isolation::Committed { self.last_stable() } else { self.end };
        let Some(batch) = self.batches.get(self.at(offset)).filter(|batch| batch.last < below) else {
            return Peek { code: 0, high_watermark: self.end, batch: None, aborted: Vec::new() };
        };
        let header = BatchHeader {
            first: batch.first,
            last: batch.last,
            control: matches!(batch.holds, Holds::Marker { .. }),
            producer_id: batch.by.id,
            producer_epoch: batch.by.epoch,
        };
        let named = |it: &&Aborted| isolation == Isolation::Committed && it.marker >= offset && it.first <= batch.last;
        let aborted = self.aborted.iter().filter(named).map(|it| (it.producer_id, it.first)).collect();
        Peek { code: 0, high_watermark: self.end, batch: Some(header), aborted }
    }

    pub fn find_marker(&self, from: i64, producer_id: i64) -> Marker {
        if from < self.start {
            return Marker::Unreadable(format!("the log begins at offset {}", self.start));
        }
        let next = self.batches[self.at(from)..].iter().find(|batch| batch.by.id == producer_id);
        match next {
            None => Marker::NotYet,
            Some(Batch { holds: Holds::Marker { committed }, by, .. }) => {
                Marker::Found { committed: *committed, epoch: by.epoch }
            }
            Some(_) => Marker::Overwritten,
        }
    }

    /// The open transactions: producer id and first offset.
    pub fn open_producers(&self) -> impl Iterator<Item = (i64, i64)> {
        self.open.iter().map(|(&producer_id, &first)| (producer_id, first))
    }

    /// The batches of a producer session in a range of offsets, as far as they are still there.
    pub fn batches_of(&self, from: Producer, first: i64, last: i64) -> impl Iterator<Item = &Vec<V>> {
        let mine = move |batch: &&Batch<V>| batch.by == from && batch.first >= first && batch.last <= last;
        self.batches[self.at(first.max(self.start))..].iter().filter(mine).filter_map(|batch| match &batch.holds {
            Holds::Records(records) => Some(records),
            Holds::Marker { .. } => None,
        })
    }

    /// What readers of committed data have seen by now, in order. They were there before anything was trimmed.
    pub fn committed(&self) -> impl Iterator<Item = &V> {
        let stable = self.last_stable();
        let visible = move |batch: &&Batch<V>| batch.committed == Some(true) && batch.last < stable;
        self.batches.iter().filter(visible).flat_map(Batch::records)
    }

    /// Records of open transactions.
    pub fn open(&self) -> impl Iterator<Item = &V> {
        self.batches.iter().filter(|batch| batch.committed.is_none()).flat_map(Batch::records)
    }

    /// The record that was written last.
    pub fn newest(&self) -> Option<&V> {
        self.batches.iter().rev().find_map(|batch| batch.records().last())
    }
}

impl<V> Batch<V> {
    fn records(&self) -> &[V] {
        match &self.holds {
            Holds::Records(records) => records,
            Holds::Marker { .. } => &[],
        }
    }
}
