//! A source whose splits give only as much as the test has let through.

use crate::faults::{Faults, Step, wait_until};
use staunch::api::source::{EventTime, Polled, ReaderContext, Source, SourceReader, SplitPosition, Waker};
use staunch::{Batch, Error, ErrorKind, Result, Timestamp};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Records a batch at most, so that a short test has many batches.
const BATCH: usize = 32;

/// A replayable source of several splits; clones share what is let through.
pub struct Tap<T> {
    splits: Arc<Vec<Vec<T>>>,
    shared: Arc<(Mutex<State>, Condvar)>,
    faults: Faults,
    event_time: Option<EventTime<T>>,
    bounded: bool,
}

struct State {
    /// By split: how many records may be read.
    open: Vec<usize>,
    /// By split: how many were read by the attempt that runs.
    read: Vec<usize>,
    wakers: Vec<Waker>,
}

impl<T> Clone for Tap<T> {
    fn clone(&self) -> Self {
        let (splits, shared, faults) = (self.splits.clone(), self.shared.clone(), self.faults.clone());
        Self { splits, shared, faults, event_time: self.event_time.clone(), bounded: self.bounded }
    }
}

impl<T: Clone + Send + Sync + 'static> Tap<T> {
    /// All closed.
    pub fn new(splits: Vec<Vec<T>>) -> Self {
        let state = State { open: vec![0; splits.len()], read: vec![0; splits.len()], wakers: Vec::new() };
        let shared = Arc::new((Mutex::new(state), Condvar::new()));
        Self { splits: Arc::new(splits), shared, faults: Faults::default(), event_time: None, bounded: true }
    }

    /// All open.
    pub fn opened(splits: Vec<Vec<T>>) -> Self {
        let tap = Self::new(splits);
        tap.open_all();
        tap
    }

    #[must_use]
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    #[must_use]
    pub fn event_time(mut self, event_time: EventTime<T>) -> Self {
        self.event_time = Some(event_time);
        self
    }

    /// Says that it does not end, though it does.
    #[must_use]
    pub fn unbounded(self) -> Self {
        Self { bounded: false, ..self }
    }

    /// Lets a split give its first `records`.
    pub fn open(&self, split: usize, records: usize) {
        self.change(|state| state.open[split] = state.open[split].max(records));
    }

    /// Lets each split give its first `records`.
    pub fn open_each(&self, records: usize) {
        self.change(|state| state.open.iter_mut().for_each(|open| *open = (*open).max(records)));
    }

    pub fn open_all(&self) {
        self.open_each(usize::MAX);
    }

    /// Waits until all that is open was read.
    pub fn wait_read(&self) {
        let lengths: Vec<usize> = self.splits.iter().map(Vec::len).collect();
        wait_until(&self.shared, "the source to be read", |state| {
            (0..lengths.len()).all(|split| state.read[split] >= state.open[split].min(lengths[split]))
        });
    }

    /// How many records the running attempt stands at, over all splits.
    pub fn read(&self) -> usize {
        self.lock().read.iter().sum()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        state.wakers.iter().for_each(Waker::wake);
        self.shared.1.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone + Send + Sync + 'static> Source for Tap<T> {
    type Record = T;
    type Reader = TapReader<T>;

    fn describe(&self) -> String {
        "a tap".to_owned()
    }

    fn event_time(&self) -> Option<EventTime<T>> {
        self.event_time.clone()
    }

    fn is_bounded(&self) -> bool {
        self.bounded
    }

    fn reader(&self, context: &ReaderContext<'_>) -> Result<TapReader<T>> {
        self.faults.pass(Step::Reader).map_err(|what| Error::new(ErrorKind::Source, what))?;
        let restored = |split: usize| {
            let name = split.to_string();
            let all = context.restored.unwrap_or_default();
            all.iter().find(|at| at.split == name).and_then(|at| at.position.as_u64()).unwrap_or(0)
        };
        let mine = (0..self.splits.len()).filter(|split| split % context.workers == context.worker);
        let splits: Vec<(usize, usize)> =
            mine.map(|split| (split, usize::try_from(restored(split)).unwrap_or(usize::MAX))).collect();
        self.change(|state| {
            state.wakers.push(context.waker.clone());
            splits.iter().for_each(|(split, read)| state.read[*split] = *read);
        });
        Ok(TapReader { tap: self.clone(), splits, next: 0 })
    }
}

/// Reads some splits of a [`Tap`].
pub struct TapReader<T> {
    tap: Tap<T>,
    /// Number, and how much of it was read.
    splits: Vec<(usize, usize)>,
    next: usize,
}

impl<T: Clone + Send + Sync + 'static> SourceReader for TapReader<T> {
    type Record = T;

    fn poll(&mut self, batch: &mut Batch<T>) -> Result<Polled> {
        self.tap.faults.pass(Step::Poll).map_err(|message| Error::new(ErrorKind::Source, message))?;
        let mut all = true;
        for _ in 0..self.splits.len() {
            let at = self.next;
            self.next = (at + 1) % self.splits.len();
            let (split, read) = &mut self.splits[at];
            let records = &self.tap.splits[*split];
            let mut state = self.tap.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
            let until = state.open[*split].min(records.len()).min(*read + BATCH);
            if until > *read {
                records[*read..until].iter().for_each(|record| batch.push(record.clone(), Timestamp::MIN));
                *read = until;
                state.read[*split] = until;
                self.tap.shared.1.notify_all();
                return Ok(Polled::Records { split: at });
            }
            all &= *read == records.len();
        }
        Ok(if all { Polled::End } else { Polled::Pending { retry_after: Duration::from_millis(50) } })
    }

    fn positions(&self) -> Vec<SplitPosition> {
        let position = |&(split, read): &(usize, usize)| SplitPosition {
            split: split.to_string(),
            position: (read as u64).into(),
            finished: read == self.tap.splits[split].len(),
        };
        self.splits.iter().map(position).collect()
    }
}
