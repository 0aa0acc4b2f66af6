//! A bounded source over records that are in memory, or made from their number.
//!
//! Records are handed out by a *cursor*, one dynamic call a batch; within it the loop is
//! monomorphic, so that a generated source costs a benchmark no more than the generator.

use crate::api::batch::{BATCH_RECORDS, Batch};
use crate::api::metadata::{Metadata, Origin};
use crate::api::source::{EventTime, Polled, ReaderContext, Source, SourceReader, SplitPosition};
use crate::error::{Error, ErrorKind, Result};
use crate::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// Reads records from memory: bounded, and replayable from any position.
///
/// A position is the number of records of a split that were read.
pub struct MemorySource<T> {
    supply: Arc<dyn Supply<T>>,
    event_time: Option<EventTime<T>>,
    pause: Option<(u64, Duration)>,
}

/// What a memory source is made from.
trait Supply<T>: Send + Sync {
    /// How many splits a first start with so many workers has.
    fn splits(&self, workers: usize) -> usize;

    /// Whether records can be spread over any number of splits.
    fn any_split_count(&self) -> bool {
        false
    }

    /// Reads the split `number` of `count` after its first `from` records.
    fn open(&self, number: usize, count: usize, from: u64) -> Box<dyn Cursor<T>>;
}

/// Hands out the records of one split.
trait Cursor<T> {
    /// Appends up to `limit` records; fewer, down to none, only at the end.
    fn fill(&mut self, batch: &mut Batch<T>, limit: usize);

    /// How many records are left, if known.
    fn left(&self) -> Option<u64>;
}

impl<T: Send + 'static> MemorySource<T> {
    /// These records, without times, as one split: their order is kept.
    pub fn new(records: impl IntoIterator<Item = T>) -> Self
    where
        T: Clone + Sync,
    {
        Self::with_times(records.into_iter().map(|record| (record, Timestamp::MIN)))
    }

    /// These records with their event times, as one split.
    pub fn with_times(records: impl IntoIterator<Item = (T, Timestamp)>) -> Self
    where
        T: Clone + Sync,
    {
        Self::splits(vec![records.into_iter().collect()])
    }

    /// Several splits; split `s` belongs to worker `s` modulo the number of workers.
    #[must_use]
    pub fn splits(splits: Vec<Vec<(T, Timestamp)>>) -> Self
    where
        T: Clone + Sync,
    {
        Self::from_supply(Stored { splits: splits.into_iter().map(Into::into).collect() })
    }

    /// `count` records made by a pure function of their number, from 0. Each of W workers makes
    /// every W-th; nothing is stored.
    ///
    /// A restart with another number of workers keeps the spread of the first start.
    pub fn generate(count: u64, make: impl Fn(u64) -> T + Send + Sync + 'static) -> Self {
        Self::from_supply(Generated { count, make: Arc::new(make) })
    }

    /// What an iterator yields, as one split. Each attempt calls `start` anew and skips what was
    /// read before, so it has to yield the same records each time.
    pub fn iterate<I: Iterator<Item = T> + 'static>(start: impl Fn() -> I + Send + Sync + 'static) -> Self {
        Self::from_supply(Iterated { start })
    }

    /// Makes event time and watermarks from the records; replaces the times given.
    #[must_use]
    pub fn event_time(mut self, event_time: EventTime<T>) -> Self {
        self.event_time = Some(event_time);
        self
    }

    /// After each `records` records a worker has nothing to read for `pause`, so that a job lasts
    /// long enough to be watched, checkpointed or interrupted.
    #[must_use]
    pub fn pause_every(mut self, records: u64, pause: Duration) -> Self {
        self.pause = Some((records.max(1), pause));
        self
    }

    fn from_supply(supply: impl Supply<T> + 'static) -> Self {
        Self { supply: Arc::new(supply), event_time: None, pause: None }
    }
}

impl<T: Send + 'static> Source for MemorySource<T> {
    type Record = T;
    type Reader = MemoryReader<T>;

    fn describe(&self) -> String {
        "records in memory".to_owned()
    }

    fn event_time(&self) -> Option<EventTime<T>> {
        self.event_time.clone()
    }

    fn reader(&self, context: &ReaderContext<'_>) -> Result<MemoryReader<T>> {
        let origin: Option<Arc<str>> = (context.wants.origin || context.wants.metadata).then(|| Arc::from(context.id));
        let mut reader = MemoryReader { splits: Vec::new(), next: 0, pause: self.pause, since_pause: 0, origin };
        for (number, count, read, finished) in self.stands(context)? {
            if number % context.workers == context.worker {
                let cursor = self.supply.open(number, count, read);
                reader.splits.push(Split { number, count, read, finished, cursor });
            }
        }
        Ok(reader)
    }
}

impl<T> MemorySource<T> {
    /// Every split of all workers: number, count, records read, finished.
    fn stands(&self, context: &ReaderContext<'_>) -> Result<Vec<(usize, usize, u64, bool)>> {
        let wanted = self.supply.splits(context.workers);
        let Some(restored) = context.restored.filter(|restored| !restored.is_empty()) else {
            return Ok((0..wanted).map(|number| (number, wanted, 0, false)).collect());
        };
        let stand = |at: &SplitPosition| {
            let (number, count) = at.split.split_once('/')?;
            let (number, count): (usize, usize) = (number.parse().ok()?, count.parse().ok()?);
            let known = number < count && (self.supply.any_split_count() || count == wanted);
            known.then_some((number, count, at.position.as_u64()?, at.finished))
        };
        restored
            .iter()
            .map(|at| {
                stand(at).ok_or_else(|| {
                    let message = format!(
                        "source {}: the checkpoint's split {} at {} does not fit this memory source of {wanted} \
                         splits; give the source the splits it had, or start without the checkpoint",
                        context.id, at.split, at.position
                    );
                    Error::new(ErrorKind::Config, message)
                })
            })
            .collect()
    }
}

/// Reads one worker's splits of a [`MemorySource`] in turn.
pub struct MemoryReader<T> {
    splits: Vec<Split<T>>,
    /// The split that is read next, if it has not ended.
    next: usize,
    pause: Option<(u64, Duration)>,
    since_pause: u64,
    /// The source's id, where origins are asked for.
    origin: Option<Arc<str>>,
}

struct Split<T> {
    number: usize,
    count: usize,
    read: u64,
    finished: bool,
    cursor: Box<dyn Cursor<T>>,
}

impl<T: 'static> SourceReader for MemoryReader<T> {
    type Record = T;

    fn poll(&mut self, batch: &mut Batch<T>) -> Result<Polled> {
        let mut limit = BATCH_RECORDS;
        if let Some((every, pause)) = self.pause {
            if self.since_pause >= every {
                self.since_pause = 0;
                return Ok(Polled::Pending { retry_after: pause });
            }
            limit = limit.min(usize::try_from(every - self.since_pause).unwrap_or(usize::MAX));
        }
        for _ in 0..self.splits.len() {
            let at = self.next;
            self.next = (at + 1) % self.splits.len();
            let split = &mut self.splits[at];
            if split.finished {
                continue;
            }
            split.cursor.fill(batch, limit);
            if batch.is_empty() {
                split.finished = true;
                continue;
            }
            if let Some(source) = &self.origin {
                stamp_origins(batch, source, split.number, split.read);
            }
            split.read += batch.len() as u64;
            self.since_pause += batch.len() as u64;
            return Ok(Polled::Records { split: at });
        }
        Ok(Polled::End)
    }

    fn positions(&self) -> Vec<SplitPosition> {
        let position = |split: &Split<T>| SplitPosition {
            split: format!("{}/{}", split.number, split.count),
            position: split.read.into(),
            finished: split.finished,
        };
        self.splits.iter().map(position).collect()
    }

    fn lag(&self) -> Option<u64> {
        self.splits.iter().map(|split| split.cursor.left()).sum()
    }
}

fn stamp_origins<T>(batch: &mut Batch<T>, source: &Arc<str>, split: usize, first: u64) {
    let base = Metadata::default();
    let partition = i32::try_from(split).unwrap_or(i32::MAX);
    batch.metadata.extend((0..batch.records.len() as u64).map(|at| Metadata {
        origin: Origin { source: source.clone(), partition, offset: i64::try_from(first + at).unwrap_or(i64::MAX) },
        ..base.clone()
    }));
}

/// Records in vectors, shared by the attempts.
struct Stored<T> {
    splits: Vec<Arc<[(T, Timestamp)]>>,
}

impl<T: Clone + Send + Sync + 'static> Supply<T> for Stored<T> {
    fn splits(&self, _workers: usize) -> usize {
        self.splits.len()
    }

    fn open(&self, number: usize, _count: usize, from: u64) -> Box<dyn Cursor<T>> {
        let records = self.splits[number].clone();
        let next = usize::try_from(from).unwrap_or(usize::MAX).min(records.len());
        Box::new(StoredCursor { records, next })
    }
}

struct StoredCursor<T> {
    records: Arc<[(T, Timestamp)]>,
    next: usize,
}

impl<T: Clone> Cursor<T> for StoredCursor<T> {
    fn fill(&mut self, batch: &mut Batch<T>, limit: usize) {
        let end = self.records.len().min(self.next.saturating_add(limit));
        for (record, time) in &self.records[self.next..end] {
            batch.push(record.clone(), *time);
        }
        self.next = end;
    }

    fn left(&self) -> Option<u64> {
        Some((self.records.len() - self.next) as u64)
    }
}

/// Records that are a function of their number.
struct Generated<F> {
    count: u64,
    make: Arc<F>,
}

impl<T: 'static, F: Fn(u64) -> T + Send + Sync + 'static> Supply<T> for Generated<F> {
    fn splits(&self, workers: usize) -> usize {
        workers
    }

    fn any_split_count(&self) -> bool {
        true
    }

    fn open(&self, number: usize, count: usize, from: u64) -> Box<dyn Cursor<T>> {
        let next = from.saturating_mul(count as u64).saturating_add(number as u64);
        Box::new(GeneratedCursor { next, step: count as u64, end: self.count, make: self.make.clone() })
    }
}

struct GeneratedCursor<F> {
    next: u64,
    step: u64,
    end: u64,
    make: Arc<F>,
}

impl<T, F: Fn(u64) -> T> Cursor<T> for GeneratedCursor<F> {
    fn fill(&mut self, batch: &mut Batch<T>, limit: usize) {
        for _ in 0..limit {
            if self.next >= self.end {
                return;
            }
            batch.push((self.make)(self.next), Timestamp::MIN);
            self.next = self.next.saturating_add(self.step);
        }
    }

    fn left(&self) -> Option<u64> {
        Some(self.end.saturating_sub(self.next).div_ceil(self.step))
    }
}

/// Records from an iterator that each attempt starts anew.
struct Iterated<F> {
    start: F,
}

impl<T, I, F> Supply<T> for Iterated<F>
where
    T: 'static,
    I: Iterator<Item = T> + 'static,
    F: Fn() -> I + Send + Sync + 'static,
{
    fn splits(&self, _workers: usize) -> usize {
        1
    }

    fn open(&self, _number: usize, _count: usize, from: u64) -> Box<dyn Cursor<T>> {
        let mut iterator = (self.start)();
        // `nth` rather than `skip`: the records read before are dropped here, once.
        if let Some(last) = from.checked_sub(1) {
            iterator.nth(usize::try_from(last).unwrap_or(usize::MAX));
        }
        Box::new(IteratedCursor { iterator: iterator.fuse() })
    }
}

struct IteratedCursor<I> {
    iterator: std::iter::Fuse<I>,
}

impl<T, I: Iterator<Item = T>> Cursor<T> for IteratedCursor<I> {
    fn fill(&mut self, batch: &mut Batch<T>, limit: usize) {
        for record in self.iterator.by_ref().take(limit) {
            batch.push(record, Timestamp::MIN);
        }
    }

    fn left(&self) -> Option<u64> {
        None
    }
}
