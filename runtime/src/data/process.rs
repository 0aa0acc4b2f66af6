//! Calling operators: the loop over a batch, timers, state at a barrier.

use super::build::{RestoredState, Stage, Step};
use super::event::{Barrier, Control};
use super::inbound::Inbound;
use super::outputs::Wired;
use super::port::{OpenPort, Polled};
use super::push::Push;
use super::report::{Report, Reporter, StateBytes};
use super::source::is_due;
use crate::api::batch::Batch;
use crate::api::context::{Context, TimeDomain, TimerRequest};
use crate::api::key::Key;
use crate::api::metadata::Metadata;
use crate::api::operator::{Collectors, Handler, Operator, Timers};
use crate::api::output::Outputs;
use crate::control::manifest::CheckpointKind;
use crate::error::{Error, ErrorKind, Result};
use crate::flow::select::KeySelector;
use crate::id::first_hash;
use crate::metrics::NodeMetrics;
use crate::planted::{Bug, planted};
use crate::state::{SnapshotKind, StateTable, TimerStore};
use crate::time::Timestamp;
use std::borrow::Borrow;
use std::cell::Cell;
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

/// Slots of the state table that are scanned between two batches while a snapshot is taken.
const SNAPSHOT_SLICE_SLOTS: usize = 4_096;
/// Timers that fire in one step: what they emit has to find room before more do.
const TIMERS_PER_STEP: usize = 1_024;
/// Keys whose state is fetched from memory together, before their records are processed.
const WARM_KEYS: usize = 32;
/// Events that a chain's head takes from its channels in one step.
const EVENTS_PER_STEP: usize = 8;

/// One operator on one worker: its state, timers, environment and outputs.
pub struct Core<O: Operator<Outputs: Wired>, K: Key + ?Sized> {
    pub(crate) node: usize,
    id: String,
    pub(crate) table: StateTable<K, O>,
    pub(crate) timers: TimerStore<K>,
    requests: Vec<TimerRequest>,
    /// Stands for the hash of `()`, which is in one worker's key groups only.
    unkeyed_hash: u64,
    env: O::Env,
    pub(crate) out: Collectors<O>,
    nexts: <O::Outputs as Wired>::Nexts,
    pub(crate) watermark: Timestamp,
    /// The worker's processing time.
    now: Rc<Cell<Timestamp>>,
    metrics: Arc<Vec<NodeMetrics>>,
}

impl<O, K> Core<O, K>
where
    O: Operator<Outputs: Wired> + Timers<K>,
    K: Key + ?Sized,
{
    pub(crate) fn new(
        node: usize,
        id: String,
        groups: Range<u32>,
        env: O::Env,
        nexts: <O::Outputs as Wired>::Nexts,
        now: Rc<Cell<Timestamp>>,
        metrics: Arc<Vec<NodeMetrics>>,
    ) -> Self {
        let unkeyed_hash = first_hash(groups.start);
        let (table, timers) = (StateTable::new(groups.clone()), TimerStore::new(groups));
        let (requests, out) = (Vec::new(), Collectors::<O>::default());
        let watermark = Timestamp::MIN;
        Self { node, id, table, timers, requests, unkeyed_hash, env, out, nexts, watermark, now, metrics }
    }

    /// Processes all records of a batch of input `INPUT`, and passes on what they gave.
    #[inline]
    pub(crate) fn process<const INPUT: usize, T, S>(&mut self, batch: &mut Batch<T>, select: &S) -> Result<()>
    where
        O: Handler<INPUT, K, Record = T>,
        S: KeySelector<T, K>,
    {
        self.metrics[self.node].received(batch.len() as u64);
        let mut metadata = batch.metadata.drain(..);
        let mut records = batch.records.drain(..).zip(batch.times.drain(..));
        if batch.hashes.is_empty() {
            // A stream that is not keyed has no hashes: all its records have the key `()`.
            batch.hashes.resize(records.len(), self.unkeyed_hash);
        }
        for hashes in batch.hashes.chunks(WARM_KEYS) {
            self.table.warm(hashes);
            for (&hash, (record, time)) in hashes.iter().zip(&mut records) {
                let slot = select.with(&record, |key| self.table.entry(hash, key));
                let metadata = metadata.next();
                self.call(slot, hash, time, metadata.as_ref(), |row, key, env, context, out| {
                    row.handle(record, key, env, context, out);
                })?;
            }
        }
        drop(records);
        batch.hashes.clear();
        self.emit()
    }

    /// Calls user code for the key in `slot`, and does what it asked for.
    #[inline(always)]
    fn call(
        &mut self,
        slot: usize,
        hash: u64,
        time: Timestamp,
        metadata: Option<&Metadata>,
        user: impl FnOnce(&mut O, &K, &mut O::Env, &mut Context<'_>, &mut Collectors<O>),
    ) -> Result<()> {
        let (key, row) = self.table.get_mut(slot);
        let mut context = Context {
            operator: &self.id,
            event_time: time,
            watermark: self.watermark,
            processing_time: self.now.get(),
            metadata,
            timers: &mut self.requests,
            forget: false,
        };
        O::Outputs::begin(&mut self.out, time);
        user(row, key.borrow(), &mut self.env, &mut context, &mut self.out);
        let forget = context.forget;
        O::Outputs::stamp(&mut self.out, time, metadata);
        if !self.requests.is_empty() {
            self.change_timers(slot, hash)?;
        }
        if forget {
            self.table.forget(slot);
        }
        if O::Outputs::is_full(&self.out) {
            self.emit()?;
        }
        Ok(())
    }

    #[cold]
    fn change_timers(&mut self, slot: usize, hash: u64) -> Result<()> {
        let (key, _) = self.table.get_mut(slot);
        for request in self.requests.drain(..) {
            match request {
                TimerRequest::Set(domain, at) => {
                    // At the end of time a timer that sets the next one would go on for ever.
                    if domain == TimeDomain::Event && self.watermark == Timestamp::MAX {
                        continue;
                    }
                    let handled = if domain == TimeDomain::Event { O::EVENT } else { O::PROCESSING };
                    if !handled {
                        return Err(no_timer_method(&self.id, domain));
                    }
                    self.timers.set(domain, at, hash, key.borrow());
                }
                TimerRequest::Delete(domain, at) => self.timers.delete(domain, at, hash, key.borrow()),
            }
        }
        Ok(())
    }

    /// Fires timers that are due, as many as a step may; true when none is left.
    pub(crate) fn fire(&mut self, domain: TimeDomain, until: Timestamp) -> Result<bool> {
        for _ in 0..TIMERS_PER_STEP {
            let Some((at, hash, key)) = self.timers.pop_due(domain, until) else {
                self.emit()?;
                return Ok(true);
            };
            let slot = self.table.entry(hash, key.borrow());
            self.call(slot, hash, at, None, |row, key, env, context, out| match domain {
                TimeDomain::Event => row.on_event_timer(at, key, env, context, out),
                TimeDomain::Processing => row.on_processing_timer(at, key, env, context, out),
            })?;
        }
        self.emit()?;
        Ok(false)
    }

    /// Passes on what was emitted.
    #[inline]
    fn emit(&mut self) -> Result<()> {
        let emitted = O::Outputs::emit(&mut self.nexts, &mut self.out)?;
        self.metrics[self.node].emitted(emitted);
        Ok(())
    }

    /// Advances the watermark and fires timers up to it, as many as a step may; true when none is left.
    pub(crate) fn advance(&mut self, watermark: Timestamp) -> Result<bool> {
        self.watermark = watermark;
        self.fire(TimeDomain::Event, watermark)
    }

    /// Reads this worker's key groups out of the parts of a checkpoint.
    pub(crate) fn restore(&mut self, mut parts: Vec<RestoredState>) -> Result<()> {
        if planted(Bug::PartDroppedOnRescale) && parts.len() > 1 {
            parts.pop();
        }
        for part in parts {
            let (table, timers) = split_state(&part)?;
            self.table.restore(table)?;
            if !planted(Bug::TimersLost) {
                self.timers.restore(timers)?;
            }
        }
        Ok(())
    }

    /// Starts a snapshot of state and timers as they are now: a constant amount of work.
    pub(crate) fn begin_snapshot(&mut self) {
        self.table.begin_snapshot(SnapshotKind::Full);
        self.timers.begin_snapshot(SnapshotKind::Full);
    }

    /// Takes a slice of the running snapshot; true when it is complete.
    pub(crate) fn snapshot_slice(&mut self, slots_max: usize) -> bool {
        self.table.snapshot_slice(slots_max) && self.timers.snapshot_slice(slots_max)
    }

    /// The complete snapshot: the table's bytes, the timers', the length of the first. The table's, which may
    /// be large, are not copied.
    pub(crate) fn take_snapshot(&mut self, watermark: Timestamp) -> Result<StateBytes> {
        let (table, timers) = (self.table.take_snapshot()?, self.timers.take_snapshot()?);
        let mut bytes = table.bytes;
        let length = bytes.len() as u64;
        bytes.extend_from_slice(&timers.bytes);
        bytes.extend_from_slice(&length.to_le_bytes());
        self.timers.recycle(timers.bytes);
        Ok(StateBytes { bytes, entries: table.entries, timers: timers.entries > 0, watermark })
    }
}

/// The table's part and the timers' part of a state blob.
fn split_state(bytes: &[u8]) -> Result<(&[u8], &[u8])> {
    let damaged =
        || Error::new(ErrorKind::Checkpoint, "the state of an operator is cut short; restore another checkpoint");
    let (rest, length) = bytes.split_last_chunk::<8>().ok_or_else(damaged)?;
    let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| damaged())?;
    rest.split_at_checked(length).ok_or_else(damaged)
}

#[cold]
fn no_timer_method(id: &str, domain: TimeDomain) -> Error {
    let write = match domain {
        TimeDomain::Event => "#[timer]",
        TimeDomain::Processing => "#[timer(processing_time)]",
    };
    Error::new(
        ErrorKind::Operator,
        format!(
            "operator `{id}` set a timer but has no method to call; put `{write} fn …(&mut self, at: Timestamp)` into its `#[operator] impl`"
        ),
    )
}

/// An operator that is part of its producer's chain: it has one input and keeps nothing.
pub(crate) struct OperatorPush<O: Operator<Outputs: Wired>, K: Key + ?Sized, T, S, const INPUT: usize> {
    core: Core<O, K>,
    select: S,
    record: PhantomData<fn(T)>,
}

impl<O: Operator<Outputs: Wired>, K: Key + ?Sized, T, S, const INPUT: usize> OperatorPush<O, K, T, S, INPUT> {
    pub fn new(core: Core<O, K>, select: S) -> Self {
        Self { core, select, record: PhantomData }
    }
}

impl<O, K, T, S, const INPUT: usize> Push<T> for OperatorPush<O, K, T, S, INPUT>
where
    O: Handler<INPUT, K, Record = T> + Timers<K> + Operator<Outputs: Wired>,
    K: Key + ?Sized,
    S: KeySelector<T, K>,
{
    fn ready(&mut self) -> Result<bool> {
        O::Outputs::ready(&mut self.core.nexts)
    }

    fn batch(&mut self, batch: &mut Batch<T>) -> Result<()> {
        self.core.process::<INPUT, T, S>(batch, &self.select)
    }

    fn control(&mut self, control: Control) -> Result<()> {
        if let Control::Watermark(watermark) = control {
            self.core.watermark = watermark;
        }
        O::Outputs::control(&mut self.core.nexts, control)
    }

    fn flush(&mut self) -> Result<()> {
        O::Outputs::flush(&mut self.core.nexts)
    }
}

/// An operator that heads a chain: it reads channels, aligns barriers, keeps state.
pub(crate) struct OperatorStage<O: Operator<Outputs: Wired>, K: Key + ?Sized> {
    core: Core<O, K>,
    ports: Vec<Box<dyn OpenPort<O, K>>>,
    inbound: Inbound,
    keyed: bool,
    /// The running snapshot: its barrier, and the watermark as it was then.
    snapshot: Option<(Barrier, Timestamp)>,
    /// What the channels' control events come to, until it is done.
    pending: VecDeque<Control>,
    flush_due: Timestamp,
    reporter: Reporter,
}

impl<O, K> OperatorStage<O, K>
where
    O: Operator<Outputs: Wired> + Timers<K>,
    K: Key + ?Sized,
{
    pub fn new(
        core: Core<O, K>,
        ports: Vec<Box<dyn OpenPort<O, K>>>,
        keyed: bool,
        aligned: bool,
        reporter: Reporter,
    ) -> Self {
        let channels = ports.iter().enumerate().flat_map(|(port, it)| (0..it.channels()).map(move |at| (port, at)));
        let mut inbound = Inbound::new(channels.collect(), aligned);
        inbound.go_on_from(core.watermark);
        Self {
            core,
            ports,
            inbound,
            keyed,
            snapshot: None,
            pending: VecDeque::new(),
            flush_due: Timestamp::MIN,
            reporter,
        }
    }

    /// Takes what the channels hold; returns whether there was anything.
    fn receive(&mut self) -> Result<bool> {
        let mut taken = 0;
        let channels = self.inbound.len();
        let mut empty = 0;
        while empty < channels && taken < EVENTS_PER_STEP {
            let Some((channel, port, at)) = self.inbound.next_open() else { break };
            match self.ports[port].poll(at, &mut self.core)? {
                Polled::Empty => empty += 1,
                Polled::Batch => (taken, empty) = (taken + 1, 0),
                Polled::Control(control) => {
                    (taken, empty) = (taken + 1, 0);
                    self.inbound.control(channel, control, &mut self.pending)?;
                    if !self.control()? {
                        break;
                    }
                }
            }
            if taken > 0 && !O::Outputs::ready(&mut self.core.nexts)? {
                break;
            }
        }
        Ok(taken > 0)
    }

    /// Works off the control events that are pending; true when none is left. A watermark may take several
    /// steps, since what its timers emit has to find room; until then nothing else is read.
    fn control(&mut self) -> Result<bool> {
        while let Some(&control) = self.pending.front() {
            match control {
                Control::Watermark(watermark) if !self.core.advance(watermark)? => return Ok(false),
                Control::Barrier(barrier) if self.keyed => {
                    self.core.begin_snapshot();
                    self.snapshot = Some((barrier, self.core.watermark));
                    self.warn_of_lost_timers(barrier);
                }
                _ => {}
            }
            O::Outputs::control(&mut self.core.nexts, control)?;
            self.pending.pop_front();
        }
        Ok(true)
    }

    fn warn_of_lost_timers(&self, barrier: Barrier) {
        if barrier.kind == CheckpointKind::End && self.core.timers.next(TimeDomain::Processing).is_some() {
            let operator = self.core.id.as_str();
            tracing::warn!(operator, "all input has ended; processing-time timers that are still set do not fire");
        }
    }

    /// Takes the next slice of a running snapshot.
    fn advance_snapshot(&mut self) -> Result<()> {
        if self.snapshot.is_none() || !self.core.snapshot_slice(SNAPSHOT_SLICE_SLOTS) {
            return Ok(());
        }
        if let Some((barrier, watermark)) = self.snapshot.take() {
            let state = self.core.take_snapshot(watermark)?;
            self.reporter.send(Report::State { node: self.core.node, epoch: barrier.epoch, state });
        }
        Ok(())
    }
}

impl<O, K> Stage for OperatorStage<O, K>
where
    O: Operator<Outputs: Wired> + Timers<K>,
    K: Key + ?Sized,
{
    fn step(&mut self, now: Timestamp) -> Result<Step> {
        self.advance_snapshot()?;
        if !O::Outputs::ready(&mut self.core.nexts)? {
            // Timers cannot fire before there is room, however long they are due.
            return Ok(self.idle_until(Timestamp::MAX));
        }
        if !self.control()? {
            return Ok(Step::Worked);
        }
        if self.core.timers.next(TimeDomain::Processing).is_some_and(|at| at <= now) {
            self.core.fire(TimeDomain::Processing, now)?;
        }
        if is_due(&mut self.flush_due, now) {
            O::Outputs::flush(&mut self.core.nexts)?;
        }
        if self.receive()? {
            return Ok(Step::Worked);
        }
        O::Outputs::flush(&mut self.core.nexts)?;
        Ok(self.idle_until(self.core.timers.next(TimeDomain::Processing).unwrap_or(Timestamp::MAX)))
    }
}

impl<O, K> OperatorStage<O, K>
where
    O: Operator<Outputs: Wired> + Timers<K>,
    K: Key + ?Sized,
{
    fn idle_until(&self, wake_at: Timestamp) -> Step {
        if self.snapshot.is_some() { Step::Worked } else { Step::Idle { wake_at } }
    }
}
