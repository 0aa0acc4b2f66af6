//! What a running job tells of itself: its progress while it runs, a summary at its end.
//!
//! Plain values. Who shows them, and how, is not known here.

use crate::id::Epoch;
use crate::metrics::NodeCounts;
use std::time::Duration;

/// Is told how a job proceeds, a few times a second, on a thread of the job that does not move records.
pub trait Observer: Send {
    /// The job stands here. Must not block for long: checkpoints wait for it.
    fn progress(&mut self, progress: &Progress);
}

/// Where a running job stands. Counts are of this process, over all its attempts.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// Since the job was started.
    pub elapsed: Duration,
    /// The attempt that runs, from 1.
    pub attempt: u32,
    /// Each node's id and counts, in the order of the graph.
    pub nodes: Vec<(String, NodeCounts)>,
    /// Records that all sources have read.
    pub sources_read: u64,
    /// Records that sources could not decode, or that sinks were refused, and that were left out or written to
    /// dead letters: the sum over all nodes.
    pub left_out: u64,
    /// What the sources know to be unread still, in their own units; `None` if none knows.
    pub lag: Option<u64>,
    /// The newest checkpoint that was completed.
    pub last_checkpoint: Option<CheckpointStats>,
    /// Checkpoints that were completed.
    pub checkpoints: u64,
    /// Attempts that failed.
    pub failed_attempts: u32,
}

/// One completed checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointStats {
    /// Its number.
    pub epoch: Epoch,
    /// From its trigger until its manifest was durable.
    pub took: Duration,
    /// The size of its state, in bytes.
    pub bytes: u64,
    /// How long ago it was completed.
    pub ended_ago: Duration,
}

/// How a job ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// All input was read, and everything that came of it is committed. A later start does nothing.
    Ended,
    /// It was asked to leave, and everything up to its last checkpoint is committed. A later start goes on.
    Suspended,
}

/// What a job did, told when it has ended or was suspended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// How it ended.
    pub outcome: Outcome,
    /// How long it ran.
    pub elapsed: Duration,
    /// Records that its sources read, those that were read again after failures included.
    pub records_read: u64,
    /// Records that its sinks were given, likewise.
    pub records_written: u64,
    /// Records that were left out or written to dead letters, likewise: see [`Progress::left_out`].
    pub records_left_out: u64,
    /// Checkpoints that were completed.
    pub checkpoints: u64,
    /// Attempts that it took; 1 when nothing failed.
    pub attempts: u32,
    /// The number of the last checkpoint; `None` if there was none.
    pub last_epoch: Option<Epoch>,
}

impl Default for Summary {
    fn default() -> Self {
        Self {
            outcome: Outcome::Ended,
            elapsed: Duration::ZERO,
            records_read: 0,
            records_written: 0,
            records_left_out: 0,
            checkpoints: 0,
            attempts: 1,
            last_epoch: None,
        }
    }
}
