//! The checkpoint protocol on one page: what the [coordinator](super::coordinator) is told, and what it
//! asks for.
//!
//! ```text
//! coordinator      -> Barrier { epoch, kind }            every source of every worker
//! source reader    -> SourceReported                     at the barrier, one per worker and source
//! operator         -> StateReported                      its blobs are durable, one per worker and operator
//! sink writer      -> Sealed                             its share, one per worker and sink
//! coordinator      -> Prepare { participant, shares }    when all its writers have sealed
//! participant      -> Prepared
//! coordinator      -> Publish(cut)                       when everything is in
//! checkpoint log   -> Published(permit)
//! coordinator      -> Commit { committable, permit }     one per participant and epoch with output, epoch by epoch
//! participant      -> Committed
//! coordinator      -> Settled                            sources, retention, metrics; the next may begin
//! coordinator      -> Abandoned                          instead, when something is late: the next manifest lists
//!                                                        what was prepared, too
//! ```
//!
//! Values only. Nothing here knows channels, threads or stores.

use super::log::Publication;
use super::manifest::{CheckpointKind, Cut, StateLayout, StatePart};
use super::permit::CommitPermit;
use crate::api::sink::{Committable, Share};
use crate::api::source::SplitPosition;
use crate::error::{Error, Result};
use crate::id::Epoch;
use crate::time::Timestamp;
use std::sync::Arc;

/// Who takes part. Every worker runs the whole graph, so each has every source, operator and sink.
#[derive(Clone, Debug, Default)]
pub(crate) struct Topology {
    /// How many workers there are.
    pub(crate) workers: usize,
    /// The sources' ids.
    pub(crate) sources: Vec<String>,
    /// One of the sources does not end.
    pub(crate) endless: bool,
    /// The operators that keep state.
    pub(crate) operators: Vec<OperatorSpec>,
    /// The sinks.
    pub(crate) sinks: Vec<SinkSpec>,
}

/// An operator that keeps state.
#[derive(Clone, Debug)]
pub(crate) struct OperatorSpec {
    pub(crate) id: String,
    pub(crate) layout: StateLayout,
}

/// A sink, and the participant that prepares and commits what it wrote.
#[derive(Clone, Debug)]
pub(crate) struct SinkSpec {
    pub(crate) id: String,
    pub(crate) participant: String,
}

/// When checkpoints are taken, and how long they may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// From trigger to trigger; `None` takes none but the last.
    pub(crate) interval_ms: Option<u64>,
    /// From a checkpoint's end to the next trigger, at least.
    pub(crate) pause_ms_min: u64,
    /// From trigger to settled, at most.
    pub(crate) timeout_ms: u64,
    /// How many checkpoints in a row may be too late before the attempt fails.
    pub(crate) tolerated_timeouts: u32,
}

/// What the coordinator is told.
#[derive(Debug)]
pub(crate) enum Input {
    /// Time has passed: at the latest at [`Coordinator::next_deadline`](super::coordinator::Coordinator::next_deadline).
    Tick,
    /// The job is to leave (SIGTERM): take a last checkpoint and go.
    Suspend,
    /// A source has ended on a worker. It still takes part in barriers.
    SourceEnded { worker: usize, source: String },
    /// Where a source stood at the barrier.
    SourceReported { worker: usize, source: String, epoch: Epoch, splits: Vec<SplitPosition>, finished: bool },
    /// An operator's state at the barrier, durable in the store.
    StateReported { worker: usize, operator: String, epoch: Epoch, watermark: Timestamp, parts: Vec<StatePart> },
    /// A sink writer's share.
    Sealed { epoch: Epoch, share: Share },
    /// A participant has prepared; `None`: nothing was written.
    Prepared { participant: String, epoch: Epoch, result: Result<Option<Vec<u8>>> },
    /// What became of the publication.
    Published { epoch: Epoch, result: Result<Publication> },
    /// A participant has committed.
    Committed { participant: String, epoch: Epoch, result: Result<()> },
    /// Something else failed: a worker, a source, an operator.
    Failed(Error),
}

/// What the coordinator asks for.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Inject a barrier into every source of every worker. After one of kind `Suspend` or `End`
    /// nothing more is read; another one may follow, when that one was too late.
    Barrier { epoch: Epoch, kind: CheckpointKind },
    /// Let a participant prepare.
    Prepare { participant: String, epoch: Epoch, shares: Vec<Share> },
    /// Make the manifest durable.
    Publish(Cut),
    /// Let the committable's participant commit it.
    Commit { committable: Committable, permit: Arc<CommitPermit> },
    /// Let the participant drop what it prepared for a checkpoint that failed before it was published.
    Abort { committable: Committable },
    /// A checkpoint was not complete in time. What was sealed for it goes into the next one.
    Abandoned { epoch: Epoch, late: String },
    /// A checkpoint is durable and committed.
    Settled(Settled),
    /// The job is done.
    Finish(Finish),
    /// The attempt is over.
    Fail(Error),
}

/// A checkpoint that is durable and committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) epoch: Epoch,
    pub(crate) kind: CheckpointKind,
    /// From trigger to the last commit.
    pub(crate) duration_ms: u64,
    /// The size of all state it names.
    pub(crate) state_bytes: u64,
}

/// Why a job is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    /// All input was bounded and has been processed and committed.
    Ended,
    /// It was asked to leave, and can go on later.
    Suspended,
}
