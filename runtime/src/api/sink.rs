//! Sinks and the two-phase protocol that makes them exactly-once.
//!
//! A sink is three things. The [`Sink`] describes it. A [`SinkWriter`] on each worker writes records
//! and *seals* its share of an epoch at the barrier. One [`TwoPhaseCommit`] participant per process,
//! on a thread of its own where calls may block, prepares what the writers sealed and commits it
//! once the checkpoint is durable.
//!
//! ```text
//! worker 0   write write write seal(7) write write …
//! worker 1   write write seal(7) write …
//! participant              prepare(7, [share, share]) -> committable
//! checkpoint                          manifest 7 { committable } durable -> CommitPermit
//! participant                                                    commit(committable, permit)
//! ```

use super::batch::Batch;
use super::source::Waker;
use super::transactions::TransactionTool;
use crate::control::permit::{CommitPermit, Published, Recovery};
use crate::error::Result;
use crate::id::Epoch;
use crate::stop::Cancellation;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Where records go. The value only describes: nothing connects before [`Sink::open`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a sink",
    label = "does not describe a sink",
    note = "return `KafkaSink<Json<T>>`, `FileSink<Json<T>>`, `MemorySink<T>` or a type that implements `staunch::api::sink::Sink`"
)]
pub trait Sink: Send + Sync + 'static {
    /// What is written.
    type Record: Send + 'static;
    /// The side of the protocol that runs once per process.
    type Participant: TwoPhaseCommit;
    /// The side that runs on each worker.
    type Writer: SinkWriter<Record = Self::Record>;

    /// One line for people: `kafka topic totals, exactly once`.
    fn describe(&self) -> String;

    /// Sinks that return the same name share one participant, and so one transaction: their outputs
    /// of a checkpoint become visible together. `id` is the sink's id in the graph.
    fn participant(&self, id: &str) -> String {
        id.to_owned()
    }

    /// The key under which a record is written, where there is one: records of one key keep their order. Asked
    /// for by tests only.
    fn key_of(&self, _record: &Self::Record) -> Option<Vec<u8>> {
        None
    }

    /// How what is prepared stays until it is committed. Asked for by tests only, which put a sink with the same
    /// rules in this one's place.
    fn delivery(&self) -> Delivery {
        Delivery::ExactlyOnce
    }

    /// Opens the participant: once per name and attempt, by the first sink of that name, after the
    /// attempt's claim.
    ///
    /// # Errors
    /// [`ErrorKind::Sink`](crate::ErrorKind::Sink) or `Config`, saying what to change.
    fn open(&self, context: &SinkContext<'_>) -> Result<Self::Participant>;

    /// Makes a worker's writer, after [`TwoPhaseCommit::recover`].
    ///
    /// # Errors
    /// As [`Sink::open`].
    fn writer(&self, participant: &mut Self::Participant, context: &WriterContext<'_>) -> Result<Self::Writer>;

    /// What the commands about transactions look at them with; `None` where there are none outside.
    ///
    /// # Errors
    /// `Config`, saying what to change.
    fn transactions(&self) -> Result<Option<Box<dyn TransactionTool>>> {
        Ok(None)
    }
}

/// The rules of a sink's other side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// What is prepared stays as it is until it is committed or aborted.
    #[default]
    ExactlyOnce,
    /// What is written is visible once it has arrived, and again when it is written again after a failure.
    AtLeastOnce,
    /// Kafka transactions: what is prepared is committed by whoever knows it, and aborted by the broker when its
    /// time is up; its records can be written again from the log.
    KafkaTransactions,
}

/// What a participant is told when it is opened.
pub struct SinkContext<'a> {
    /// The participant's name: [`Sink::participant`].
    pub participant: &'a str,
    /// The job's name.
    pub job: &'a str,
    /// The uuid made with the checkpoint store, as text: names what belongs to this job and store.
    pub lineage: &'a str,
    /// The claimed slot of this attempt: rises with each attempt of the lineage, never repeats.
    pub attempt: u64,
    /// The epoch of the first records that will be written.
    pub epoch: Epoch,
    /// How many writers each sink of this participant will have.
    pub workers: usize,
    /// The time from the first record of an epoch to its barrier: the checkpoint interval.
    pub epoch_interval: Duration,
    /// The longest time from the first record of an epoch until its output is committed or the attempt has
    /// failed: the checkpoint interval, and the timeouts of its own checkpoint and of those that may be late
    /// before that is a failure.
    pub epoch_within: Duration,
    /// Set when the attempt ends, while `prepare`, `commit` or `abort` may still wait for an answer.
    pub cancellation: Cancellation,
}

/// What a writer is told when it is made.
pub struct WriterContext<'a> {
    /// The sink's id in the graph.
    pub id: &'a str,
    /// Which worker it will run on, from 0.
    pub worker: usize,
    /// How many workers there are.
    pub workers: usize,
    /// The epoch of the first records that it will be given.
    pub epoch: Epoch,
    /// Wakes the worker once [`SinkWriter::ready`] may be true again.
    pub waker: Waker,
}

/// Writes one worker's records. Made on the main thread, moved to the worker, never blocks there.
pub trait SinkWriter: Send + 'static {
    /// What is written.
    type Record;

    /// Whether `write` can take a batch now. While it is false the worker reads nothing that leads here.
    ///
    /// # Errors
    /// A failed delivery; the attempt then restarts from the last checkpoint.
    fn ready(&mut self) -> Result<bool> {
        Ok(true)
    }

    /// Takes all records out of the batch, as part of the current epoch.
    ///
    /// # Errors
    /// As `ready`.
    fn write(&mut self, batch: &mut Batch<Self::Record>) -> Result<()>;

    /// The barrier: what was written so far is this writer's share of `epoch`, what follows belongs
    /// to the next. Returns what [`TwoPhaseCommit::prepare`] has to know of it. Must be quick.
    ///
    /// # Errors
    /// As `ready`.
    fn seal(&mut self, epoch: Epoch) -> Result<Vec<u8>>;

    /// How many records this writer has left out since it was made, or written elsewhere, because they
    /// were refused.
    fn left_out(&self) -> u64 {
        0
    }
}

/// One writer's sealed share of an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The sink's id.
    pub sink: String,
    /// The writer's worker.
    pub worker: usize,
    /// What [`SinkWriter::seal`] returned.
    pub bytes: Vec<u8>,
}

/// What a participant prepared in an epoch: bytes in a manifest, never a live handle, so that another
/// process can commit it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committable {
    /// The participant's name.
    pub participant: String,
    /// The epoch whose records it holds.
    pub epoch: Epoch,
    /// All that is needed to commit it. Readable text where possible: `checkpoints show` prints it.
    #[serde(with = "crate::control::manifest::readable_bytes")]
    pub bytes: Vec<u8>,
}

/// The two-phase commit of what the writers of one process wrote (after Flink's
/// `TwoPhaseCommitSinkFunction`). Calls may block; they come one at a time, in the order of epochs.
pub trait TwoPhaseCommit: Send + 'static {
    /// Settles what earlier attempts left, before anything is written: commits each committable of
    /// the restored manifest that is not committed yet, oldest first, then removes whatever else
    /// this lineage left unfinished. Must be idempotent: it may be killed and called again.
    ///
    /// A committable that can no longer be committed, but whose output can be written again, is
    /// [replaced](Recovery::replace) in the manifest first; what that returns is committed then.
    ///
    /// # Errors
    /// [`ErrorKind::DataLoss`](crate::ErrorKind::DataLoss) or
    /// [`ErrorKind::FateUnknown`](crate::ErrorKind::FateUnknown) when a committable cannot be settled; the
    /// job stops. Others are retried by the restart policy.
    fn recover(&mut self, published: Vec<Published>, recovery: &mut Recovery<'_>) -> Result<()>;

    /// Phase one: makes durable, yet invisible, all that was sealed for `epoch`. `None` when nothing
    /// was written.
    ///
    /// # Errors
    /// The checkpoint fails and the attempt restarts from the last one.
    fn prepare(&mut self, epoch: Epoch, shares: Vec<Share>) -> Result<Option<Vec<u8>>>;

    /// Phase two: makes it visible. The permit proves that the manifest that lists the committable
    /// is durable. Must succeed if it had already been committed.
    ///
    /// # Errors
    /// The attempt restarts, and [`TwoPhaseCommit::recover`] settles it.
    fn commit(&mut self, committable: &Committable, permit: &CommitPermit) -> Result<()>;

    /// Drops what was prepared and is listed in no manifest.
    ///
    /// # Errors
    /// Logged; the next attempt's `recover` cleans up.
    fn abort(&mut self, committable: &Committable) -> Result<()>;
}
