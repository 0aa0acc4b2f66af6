//! Sources: a description that is made when the graph is built, and a reader on each worker.

use super::batch::Batch;
use crate::error::Result;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Where records come from. The value only describes: nothing connects before [`Source::reader`].
///
/// A source consists of *splits* (partitions, files). Each split belongs to exactly one worker, by a
/// rule of the source that depends only on the split's name and the number of workers; so a restart
/// with another number of workers needs nothing but the positions of all splits.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a source",
    label = "does not describe a source",
    note = "return `KafkaSource<Json<T>>`, `FileSource<Text>`, `MemorySource<T>` or a type that implements `staunch::api::source::Source`"
)]
pub trait Source: Send + Sync + 'static {
    /// What is read.
    type Record: Send + 'static;
    /// Reads one worker's share.
    type Reader: SourceReader<Record = Self::Record>;

    /// One line for people: `kafka topic orders`.
    fn describe(&self) -> String;

    /// How event time and watermarks are made; `None` leaves the reader's times as they are and
    /// sends no watermark before the end.
    fn event_time(&self) -> Option<EventTime<Self::Record>> {
        None
    }

    /// Whether it ends, as it is described now. A job that has ended is over while all its sources are bounded;
    /// one that is not bounded any more is read on from where it had ended.
    fn is_bounded(&self) -> bool {
        true
    }

    /// Opens the share of one worker. May block; runs on the worker.
    ///
    /// # Errors
    /// [`ErrorKind::Source`](crate::ErrorKind::Source) or `Config`, saying what to change.
    fn reader(&self, context: &ReaderContext<'_>) -> Result<Self::Reader>;
}

/// What a reader is told when it is opened.
pub struct ReaderContext<'a> {
    /// The source's id in the graph.
    pub id: &'a str,
    /// The job's name.
    pub job: &'a str,
    /// Which worker this is, from 0.
    pub worker: usize,
    /// How many workers there are.
    pub workers: usize,
    /// `None` at the source's first start: there is no checkpoint, or none since it was added. Otherwise the
    /// positions of all splits, of all workers, at the checkpoint that is restored; the reader picks those
    /// it owns.
    pub restored: Option<&'a [SplitPosition]>,
    /// What to put into batches beside records and times.
    pub wants: Wants,
    /// Wakes the worker when there may be something to read again.
    pub waker: Waker,
}

/// What an operator downstream asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// Each record's [`Origin`](super::metadata::Origin): push with metadata whose other fields are empty.
    pub origin: bool,
    /// Key and headers as well.
    pub metadata: bool,
}

/// Where a split stands: part of every checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SplitPosition {
    /// The split's name, unique in its source.
    pub split: String,
    /// Where reading goes on; its form is the source's own.
    pub position: serde_json::Value,
    /// Whether the split was read to its end and is not to be read again.
    pub finished: bool,
}

/// Reads the splits of one worker. Lives on the worker's thread and never blocks.
pub trait SourceReader: 'static {
    /// What is read.
    type Record;

    /// Appends records of **one** split to the (empty) batch: at most about
    /// [`BATCH_RECORDS`](super::batch::BATCH_RECORDS).
    ///
    /// # Errors
    /// What cannot be retried by polling again: the attempt fails.
    fn poll(&mut self, batch: &mut Batch<Self::Record>) -> Result<Polled>;

    /// The positions after everything that `poll` returned so far, of every split this reader owns
    /// or was restored with and owns: that of the split with number i at index i.
    fn positions(&self) -> Vec<SplitPosition>;

    /// A checkpoint with these positions has been committed. For monitoring; not needed for correctness.
    #[allow(unused_variables)]
    fn committed(&mut self, positions: &[SplitPosition]) {}

    /// How many records, or bytes, are known to be still unread; `None` if unknown.
    fn lag(&self) -> Option<u64> {
        None
    }

    /// How many records this reader has left out since it was made, because they could not be decoded.
    fn left_out(&self) -> u64 {
        0
    }
}

/// What [`SourceReader::poll`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polled {
    /// Records of the split with this number (numbers are the reader's own, from 0, and stable).
    Records {
        /// The number of the split.
        split: usize,
    },
    /// Nothing just now. The waker, or the time given, brings the next poll.
    Pending {
        /// Poll again after this time even if nobody wakes the worker.
        retry_after: Duration,
    },
    /// All splits of this reader have ended, and no new one will appear.
    End,
}

/// Wakes one worker; cheap to clone and to call.
#[derive(Clone)]
pub struct Waker(pub(crate) Arc<dyn Fn() + Send + Sync>);

impl Waker {
    /// A waker that calls `wake`.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(wake))
    }

    /// Wakes the worker, or keeps it from falling asleep once.
    #[inline]
    pub fn wake(&self) {
        (self.0)();
    }
}

/// How event time is taken from records, and how late they may be.
pub struct EventTime<T> {
    pub(crate) extract: Arc<dyn Fn(&T) -> Timestamp + Send + Sync>,
    pub(crate) max_lateness: Duration,
    pub(crate) idle_after: Option<Duration>,
}

impl<T> Clone for EventTime<T> {
    fn clone(&self) -> Self {
        Self { extract: self.extract.clone(), max_lateness: self.max_lateness, idle_after: self.idle_after }
    }
}

impl<T> EventTime<T> {
    /// Takes the time from the record. The watermark of a split follows its greatest time.
    pub fn from_record(extract: impl Fn(&T) -> Timestamp + Send + Sync + 'static) -> Self {
        Self { extract: Arc::new(extract), max_lateness: Duration::ZERO, idle_after: None }
    }

    /// How far the watermark stays behind the greatest time seen.
    #[must_use]
    pub fn max_lateness(mut self, lateness: Duration) -> Self {
        self.max_lateness = lateness;
        self
    }

    /// A split without records for so long no longer holds the watermark back.
    #[must_use]
    pub fn idle_after(mut self, silence: Duration) -> Self {
        self.idle_after = Some(silence);
        self
    }
}
