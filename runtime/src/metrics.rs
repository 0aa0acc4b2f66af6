//! What a running job counts, updated once a batch.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

/// The counters of one node of the graph, summed over workers.
#[derive(Debug, Default)]
pub(crate) struct NodeMetrics {
    received: AtomicU64,
    emitted: AtomicU64,
    left_out: AtomicU64,
    /// By adding each worker's change.
    lag: AtomicI64,
    lag_known: AtomicBool,
}

impl NodeMetrics {
    pub fn received(&self, records: u64) {
        self.received.fetch_add(records, Ordering::Relaxed);
    }

    pub fn emitted(&self, records: u64) {
        self.emitted.fetch_add(records, Ordering::Relaxed);
    }

    pub fn left_out(&self, records: u64) {
        self.left_out.fetch_add(records, Ordering::Relaxed);
    }

    pub fn lag_changed(&self, by: i64) {
        self.lag.fetch_add(by, Ordering::Relaxed);
        self.lag_known.store(true, Ordering::Relaxed);
    }

    /// A new attempt measures anew.
    pub fn forget_lag(&self) {
        self.lag.store(0, Ordering::Relaxed);
        self.lag_known.store(false, Ordering::Relaxed);
    }

    pub fn read(&self) -> NodeCounts {
        NodeCounts {
            received: self.received.load(Ordering::Relaxed),
            emitted: self.emitted.load(Ordering::Relaxed),
            left_out: self.left_out.load(Ordering::Relaxed),
            lag: self
                .lag_known
                .load(Ordering::Relaxed)
                .then(|| u64::try_from(self.lag.load(Ordering::Relaxed)).unwrap_or(0)),
        }
    }
}

/// A reading of one node's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeCounts {
    /// Records that came in; for a source, records read.
    pub received: u64,
    /// Records that went out.
    pub emitted: u64,
    /// Records that a source could not decode and left out, or that a sink was refused and left out or wrote to
    /// its dead letters. Counted at each checkpoint.
    pub left_out: u64,
    /// What a source knows to be unread still, in its own units; `None` if it does not know.
    pub lag: Option<u64>,
}
