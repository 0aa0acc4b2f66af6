//! A two-phase sink into memory that fails where a plan says so, and tells how far it has come.

use crate::faults::{Faults, Step, wait_until};
use staunch::api::sink::{Committable, Share, Sink, SinkContext, SinkWriter, TwoPhaseCommit, WriterContext};
use staunch::api::source::Waker;
use staunch::control::permit::{CommitPermit, Published, Recovery};
use staunch::memory::{MemoryOutput, MemoryParticipant, MemorySink, MemoryWriter};
use staunch::{Batch, Epoch, Error, ErrorKind, Result};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// A [`MemorySink`] that can be made to fail, block, or take nothing.
pub struct Probe<T> {
    inner: MemorySink<T>,
    faults: Faults,
    shared: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    /// Writers are not ready.
    closed: bool,
    /// Commits that are done, and records that were written.
    commits: u64,
    committed: usize,
    written: usize,
    wakers: Vec<Waker>,
}

impl<T> Clone for Probe<T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), faults: self.faults.clone(), shared: self.shared.clone() }
    }
}

impl<T> Default for Probe<T> {
    fn default() -> Self {
        Self { inner: MemorySink::new(), faults: Faults::default(), shared: Arc::default() }
    }
}

impl<T: Clone + Send + 'static> Probe<T> {
    pub fn new(faults: Faults) -> Self {
        Self { faults, ..Self::default() }
    }

    /// The same memory, which nothing fails to reach.
    #[must_use]
    pub fn without_faults(&self) -> Self {
        Self { faults: Faults::default(), ..self.clone() }
    }

    pub fn output(&self) -> MemoryOutput<T> {
        self.inner.output()
    }

    pub fn committed(&self) -> Vec<T> {
        self.output().committed()
    }

    /// Waits until so many records are committed.
    pub fn wait_committed(&self, records: usize) {
        wait_until(&self.shared, &format!("{records} committed records"), |state| state.committed >= records);
    }

    /// Waits until so many commits are done.
    pub fn wait_commits(&self, commits: u64) {
        wait_until(&self.shared, &format!("{commits} commits"), |state| state.commits >= commits);
    }

    /// How many commits are done.
    pub fn commits(&self) -> u64 {
        self.lock(|state| state.commits)
    }

    /// How many records all attempts have written.
    pub fn written(&self) -> usize {
        self.lock(|state| state.written)
    }

    /// From now on writers take nothing, or take again.
    pub fn close(&self, closed: bool) {
        self.lock(|state| {
            state.closed = closed;
            state.wakers.iter().for_each(Waker::wake);
        });
    }

    fn lock<R>(&self, with: impl FnOnce(&mut State) -> R) -> R {
        let result = with(&mut self.shared.0.lock().unwrap_or_else(PoisonError::into_inner));
        self.shared.1.notify_all();
        result
    }

    fn pass(&self, step: Step) -> Result<()> {
        self.faults.pass(step).map_err(|message| Error::new(ErrorKind::Sink, message))
    }
}

impl<T: Clone + Send + 'static> Sink for Probe<T> {
    type Record = T;
    type Participant = ProbeParticipant<T>;
    type Writer = ProbeWriter<T>;

    fn describe(&self) -> String {
        "a probe".to_owned()
    }

    fn open(&self, context: &SinkContext<'_>) -> Result<ProbeParticipant<T>> {
        self.pass(Step::Open)?;
        Ok(ProbeParticipant { inner: self.inner.open(context)?, probe: self.clone() })
    }

    fn writer(&self, participant: &mut ProbeParticipant<T>, context: &WriterContext<'_>) -> Result<ProbeWriter<T>> {
        self.pass(Step::Writer)?;
        self.lock(|state| state.wakers.push(context.waker.clone()));
        Ok(ProbeWriter { inner: self.inner.writer(&mut participant.inner, context)?, probe: self.clone() })
    }
}

/// The participant of a [`Probe`].
pub struct ProbeParticipant<T> {
    inner: MemoryParticipant<T>,
    probe: Probe<T>,
}

impl<T: Clone + Send + 'static> TwoPhaseCommit for ProbeParticipant<T> {
    fn recover(&mut self, published: Vec<Published>, recovery: &mut Recovery<'_>) -> Result<()> {
        self.probe.pass(Step::Recover)?;
        self.inner.recover(published, recovery)?;
        self.tell();
        Ok(())
    }

    fn prepare(&mut self, epoch: Epoch, shares: Vec<Share>) -> Result<Option<Vec<u8>>> {
        self.probe.pass(Step::Prepare)?;
        self.inner.prepare(epoch, shares)
    }

    fn commit(&mut self, committable: &Committable, permit: &CommitPermit) -> Result<()> {
        self.probe.pass(Step::Commit)?;
        self.inner.commit(committable, permit)?;
        self.tell();
        self.probe.pass(Step::Committed)
    }

    fn abort(&mut self, committable: &Committable) -> Result<()> {
        self.inner.abort(committable)
    }
}

impl<T: Clone + Send + 'static> ProbeParticipant<T> {
    fn tell(&self) {
        let committed = self.probe.output().committed_count();
        self.probe.lock(|state| {
            state.commits += 1;
            state.committed = committed;
        });
    }
}

/// A writer of a [`Probe`].
pub struct ProbeWriter<T> {
    inner: MemoryWriter<T>,
    probe: Probe<T>,
}

impl<T: Clone + Send + 'static> SinkWriter for ProbeWriter<T> {
    type Record = T;

    fn ready(&mut self) -> Result<bool> {
        self.probe.pass(Step::Ready)?;
        Ok(self.probe.lock(|state| !state.closed))
    }

    fn write(&mut self, batch: &mut Batch<T>) -> Result<()> {
        self.probe.pass(Step::Write)?;
        self.probe.lock(|state| state.written += batch.len());
        self.inner.write(batch)
    }

    fn seal(&mut self, epoch: Epoch) -> Result<Vec<u8>> {
        self.probe.pass(Step::Seal)?;
        self.inner.seal(epoch)
    }
}
