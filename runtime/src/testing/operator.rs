//! Runs one operator alone: the runtime's own code for calls, state and timers, on a time that the test
//! sets, without channels or threads.

use crate::api::batch::Batch;
use crate::api::context::TimeDomain;
use crate::api::key::Key;
use crate::api::needs::Opener;
use crate::api::operator::{Handler, Operator, Timers};
use crate::data::outputs::Wired;
use crate::data::process::Core;
use crate::error::Result;
use crate::flow::Parts;
use crate::flow::select::KeySelector;
use crate::id::{KEY_GROUPS, groups_of_worker};
use crate::metrics::NodeMetrics;
use crate::time::Timestamp;
use std::any::{Any, TypeId};
use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

/// An operator's state and timers, as bytes: what a checkpoint would hold.
///
/// Kept in a file, it shows that a later version of the operator still reads it.
pub struct Snapshot<O> {
    bytes: Vec<u8>,
    operator: PhantomData<fn() -> O>,
}

impl<O> Clone for Snapshot<O> {
    fn clone(&self) -> Self {
        Self::from_bytes(self.bytes.clone())
    }
}

impl<O> Snapshot<O> {
    /// The encoded snapshot.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A snapshot that was kept as bytes.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self { bytes, operator: PhantomData }
    }
}

trait Port<O: Operator<Outputs: Wired>, K: Key + ?Sized, T> {
    fn push(&self, core: &mut Core<O, K>, record: T, time: Timestamp) -> Result<()>;
}

struct Selected<S, const INPUT: usize>(S);

impl<O, K, S, T, const INPUT: usize> Port<O, K, T> for Selected<S, INPUT>
where
    O: Handler<INPUT, K, Record = T> + Timers<K> + Operator<Outputs: Wired>,
    K: Key + ?Sized,
    S: KeySelector<T, K>,
{
    fn push(&self, core: &mut Core<O, K>, record: T, time: Timestamp) -> Result<()> {
        let mut batch = Batch::default();
        let hash = self.0.with(&record, K::frozen_hash);
        batch.push(record, time);
        batch.hashes.push(hash);
        core.process::<INPUT, T, S>(&mut batch, &self.0)
    }
}

/// The harness of one operator. The generated `my_operator::harness(…)` makes it, with a typed `push` for
/// each input.
///
/// Where something fails, methods panic with the error: they are for tests.
pub struct OperatorHarness<O: Operator<Outputs: Wired>, K: Key + ?Sized> {
    core: Option<Core<O, K>>,
    /// By input: a `Box<dyn Port<O, K, T>>`.
    ports: Vec<Box<dyn Any>>,
    collected: Option<<O::Outputs as Wired>::Collected>,
    parts: Parts,
    groups: Range<u32>,
    restore: Vec<Arc<Vec<u8>>>,
    now: Rc<Cell<Timestamp>>,
}

impl<O, K> Default for OperatorHarness<O, K>
where
    O: Operator<Outputs: Wired> + Timers<K>,
    K: Key + ?Sized,
{
    fn default() -> Self {
        Self::new()
    }
}

fn check<T>(result: Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

impl<O, K> OperatorHarness<O, K>
where
    O: Operator<Outputs: Wired> + Timers<K>,
    K: Key + ?Sized,
{
    /// A harness without state; its inputs follow by [`input`](Self::input).
    #[must_use]
    pub fn new() -> Self {
        let (ports, restore, parts) = (Vec::new(), Vec::new(), Parts::default());
        let now = Rc::new(Cell::new(Timestamp::from_millis(0)));
        Self { core: None, ports, collected: None, parts, groups: 0..KEY_GROUPS, restore, now }
    }

    /// Adds the next input, number `INPUT`, with what finds its records' keys.
    #[must_use]
    pub fn input<const INPUT: usize, S>(mut self, select: S) -> Self
    where
        O: Handler<INPUT, K>,
        S: KeySelector<<O as Handler<INPUT, K>>::Record, K>,
    {
        assert_eq!(self.ports.len(), INPUT, "inputs are added in order");
        let port: Box<dyn Port<O, K, <O as Handler<INPUT, K>>::Record>> = Box::new(Selected::<S, INPUT>(select));
        self.ports.push(Box::new(port));
        self
    }

    /// Provides what a `#[config]` parameter of this type receives. Before the first record.
    pub fn provide<C: Send + Sync + 'static>(&mut self, config: C) -> &mut Self {
        self.parts.provide(Arc::new(config));
        self
    }

    /// Provides what a `#[resource]` parameter of this type receives. Before the first record.
    pub fn resource<R: 'static>(&mut self, make: impl Fn() -> R + Send + Sync + 'static) -> &mut Self {
        let make = move |_worker| Ok(Box::new(make()) as Box<dyn Any>);
        self.parts.provide_resource(TypeId::of::<R>(), Arc::new(make));
        self
    }

    fn core(&mut self) -> &mut Core<O, K> {
        check(self.try_core())
    }

    fn try_core(&mut self) -> Result<&mut Core<O, K>> {
        if self.core.is_none() {
            let (nexts, collected) = <O::Outputs as Wired>::collect();
            self.collected = Some(collected);
            let parts = &self.parts;
            let mut opener = Opener {
                operator: O::ID,
                worker: 0,
                config: &|wanted| parts.find_config(wanted),
                resource: &|wanted| parts.find_resource(wanted),
            };
            let env = O::open(&mut opener)?;
            let metrics = Arc::new(vec![NodeMetrics::default()]);
            let mut core = Core::new(0, O::ID.to_owned(), self.groups.clone(), env, nexts, self.now.clone(), metrics);
            core.restore(std::mem::take(&mut self.restore))?;
            self.core = Some(core);
        }
        let core = self.core.as_mut().expect("just opened");
        Ok(core)
    }

    /// Processes a record of input `INPUT` with this event time.
    pub fn push_at<const INPUT: usize>(
        &mut self,
        time: Timestamp,
        record: <O as Handler<INPUT, K>>::Record,
    ) -> &mut Self
    where
        O: Handler<INPUT, K>,
    {
        self.core();
        let port = self.ports[INPUT].downcast_ref::<Box<dyn Port<O, K, <O as Handler<INPUT, K>>::Record>>>();
        let port = port.expect("`input` stores what `push_at` looks for");
        check(port.push(self.core.as_mut().expect("just opened"), record, time));
        self
    }

    /// Processes a record of input `INPUT` without event time.
    pub fn push<const INPUT: usize>(&mut self, record: <O as Handler<INPUT, K>>::Record) -> &mut Self
    where
        O: Handler<INPUT, K>,
    {
        self.push_at::<INPUT>(Timestamp::MIN, record)
    }

    /// Advances the operator's watermark: event-time timers up to it fire.
    ///
    /// # Panics
    /// If the watermark goes backwards.
    pub fn watermark(&mut self, to: Timestamp) -> &mut Self {
        let core = self.core();
        assert!(to >= core.watermark, "a watermark never goes backwards: {} after {}", to, core.watermark);
        while !check(core.advance(to)) {}
        self
    }

    /// Advances the clock: processing-time timers up to it fire.
    pub fn processing_time(&mut self, to: Timestamp) -> &mut Self {
        self.now.set(to);
        while !check(self.core().fire(TimeDomain::Processing, to)) {}
        self
    }

    /// What was emitted since the last call, with event times: nothing, a `Vec`, or a tuple of them.
    pub fn take_timed(&mut self) -> <O::Outputs as Wired>::Taken {
        self.core();
        <O::Outputs as Wired>::take(self.collected.as_ref().expect("opened with the core"))
    }

    /// What was emitted since the last call: nothing, a `Vec` of records, or a tuple of them.
    pub fn take(&mut self) -> <O::Outputs as Wired>::Records {
        <O::Outputs as Wired>::untimed(self.take_timed())
    }

    /// The state of a key, if it has any.
    pub fn state(&mut self, key: &K) -> Option<&O> {
        self.core().table.find(key.frozen_hash(), key)
    }

    /// How many keys have state.
    pub fn keys(&mut self) -> usize {
        self.core().table.len()
    }

    /// State and timers as a checkpoint would hold them.
    pub fn snapshot(&mut self) -> Snapshot<O> {
        let core = self.core();
        core.begin_snapshot();
        while !core.snapshot_slice(usize::MAX) {}
        Snapshot::from_bytes(check(core.take_snapshot(core.watermark)).bytes)
    }

    /// A harness like this one that starts from a snapshot, as after a crash: what was emitted and not
    /// taken is gone.
    ///
    /// # Errors
    /// When the bytes are not a snapshot of this operator.
    pub fn try_restore(self, snapshot: &Snapshot<O>) -> Result<Self> {
        self.restore_share(std::slice::from_ref(snapshot), 0, 1)
    }

    /// A harness that holds what worker `worker` of `workers` would, from the snapshots of all workers of
    /// a job that ran with another number of them.
    ///
    /// # Errors
    /// As [`try_restore`](Self::try_restore).
    pub fn restore_share(mut self, snapshots: &[Snapshot<O>], worker: usize, workers: usize) -> Result<Self> {
        self.core = None;
        self.collected = None;
        self.groups = groups_of_worker(worker, workers);
        self.restore = snapshots.iter().map(|snapshot| Arc::new(snapshot.bytes.clone())).collect();
        // A snapshot that does not decode has to show here, not at the next record.
        self.try_core()?;
        Ok(self)
    }

    /// As [`try_restore`](Self::try_restore), panicking with the error.
    #[must_use]
    pub fn restore(self, snapshot: &Snapshot<O>) -> Self {
        check(self.try_restore(snapshot))
    }
}
