//! Runs one operator alone: the runtime's own code for calls, state, watermarks and timers, on a time that
//! the test sets, without channels or threads.
//!
//! ```text
//! mod        the harness itself: records in, outputs out
//! time       watermarks of each input, the clock, timers
//! workers    snapshots, restoring them, by one or several workers
//! snapshot   what a snapshot is, and the files of tests of upgrades
//! emitted    one output, to be taken or compared
//! story      what a failing test prints
//! methods    what generated harnesses add: a typed `push` for each input, an `out` for each output
//! ```

mod emitted;
mod methods;
mod snapshot;
mod story;
mod time;
mod workers;

pub use emitted::Emitted;
pub use snapshot::Snapshot;

use crate::api::batch::Batch;
use crate::api::key::Key;
use crate::api::metadata::Metadata;
use crate::api::needs::Opener;
use crate::api::operator::{Handler, Operator, Timers};
use crate::data::inbound::Inbound;
use crate::data::outputs::{Bucket, Wired};
use crate::data::process::Core;
use crate::error::{Error, ErrorKind, Result};
use crate::flow::Parts;
use crate::flow::select::KeySelector;
use crate::id::{groups_of_worker, key_group, worker_of_group};
use crate::metrics::NodeMetrics;
use crate::time::Timestamp;
use std::any::{Any, TypeId};
use std::borrow::Borrow;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use story::Story;

type Collected<O> = <<O as Operator>::Outputs as Wired>::Collected;

/// One input: finds the records' keys, and calls the operator.
trait Port<O: Operator<Outputs: Wired>, K: Key + ?Sized, T> {
    /// The key of a record; `None` where the input is not keyed.
    fn key(&self, record: &T) -> Option<K::Owned>;
    fn push(&self, core: &mut Core<O, K>, record: T, time: Timestamp, metadata: Option<Metadata>) -> Result<()>;
}

struct Selected<S, const INPUT: usize>(S);

impl<O, K, S, T, const INPUT: usize> Port<O, K, T> for Selected<S, INPUT>
where
    O: Handler<INPUT, K, Record = T> + Timers<K> + Operator<Outputs: Wired>,
    K: Key + ?Sized,
    S: KeySelector<T, K>,
{
    fn key(&self, record: &T) -> Option<K::Owned> {
        S::KEYED.then(|| self.0.with(record, ToOwned::to_owned))
    }

    fn push(&self, core: &mut Core<O, K>, record: T, time: Timestamp, metadata: Option<Metadata>) -> Result<()> {
        let mut batch = Batch::default();
        if S::KEYED {
            batch.hashes.push(self.0.with(&record, K::frozen_hash));
        }
        batch.push(record, time);
        batch.metadata.extend(metadata);
        core.process::<INPUT, T, S>(&mut batch, &self.0)
    }
}

/// The harness of one operator. The generated `my_operator::harness(…)` makes it, with a typed `push` for
/// each input and an `out` for each output.
///
/// Where something fails, methods panic with the error: they are for tests. When a test fails while a
/// harness lives, for whatever reason, the harness prints its [`story`](Self::story).
pub struct OperatorHarness<O: Operator<Outputs: Wired>, K: Key + ?Sized> {
    core: Option<Core<O, K>>,
    /// By input: an `Rc<dyn Port<O, K, T>>`.
    ports: Vec<Rc<dyn Any>>,
    /// What the watermarks of the inputs come to.
    inbound: Inbound,
    /// By input, its own watermark.
    watermarks: Vec<Timestamp>,
    collected: Option<Collected<O>>,
    parts: Parts,
    /// This worker's number, and how many there are.
    worker: usize,
    workers: usize,
    restore: workers::Restore,
    now: Rc<Cell<Timestamp>>,
    /// Of the next record.
    metadata: Option<Metadata>,
    story: Story,
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

#[track_caller]
fn check<T>(result: Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}

impl<O, K> OperatorHarness<O, K>
where
    O: Operator<Outputs: Wired> + Timers<K>,
    K: Key + ?Sized,
{
    /// A harness without state; its inputs follow by [`input`](Self::input).
    #[must_use]
    pub fn new() -> Self {
        Self::with(Vec::new(), Parts::default(), Timestamp::from_millis(0), (0, 1))
    }

    fn with(ports: Vec<Rc<dyn Any>>, parts: Parts, now: Timestamp, (worker, workers): (usize, usize)) -> Self {
        Self {
            core: None,
            inbound: Inbound::new(Vec::new(), true),
            watermarks: Vec::new(),
            ports,
            collected: None,
            parts,
            worker,
            workers,
            restore: workers::Restore::default(),
            now: Rc::new(Cell::new(now)),
            metadata: None,
            story: Story::default(),
        }
    }

    /// Adds the next input, number `INPUT`, with what finds its records' keys.
    #[must_use]
    #[track_caller]
    pub fn input<const INPUT: usize, S>(mut self, select: S) -> Self
    where
        O: Handler<INPUT, K>,
        S: KeySelector<<O as Handler<INPUT, K>>::Record, K>,
    {
        assert_eq!(self.ports.len(), INPUT, "inputs are added in order");
        let port: Rc<dyn Port<O, K, <O as Handler<INPUT, K>>::Record>> = Rc::new(Selected::<S, INPUT>(select));
        self.ports.push(Rc::new(port));
        self
    }

    /// Provides what a `#[config]` parameter of this type receives.
    ///
    /// # Panics
    /// After the first record or restored snapshot: the operator has its configuration by then.
    #[track_caller]
    pub fn provide<C: Send + Sync + 'static>(&mut self, config: C) -> &mut Self {
        self.assert_not_open();
        self.parts.provide(Arc::new(config));
        self
    }

    /// Provides what a `#[resource]` parameter of this type receives.
    ///
    /// # Panics
    /// As [`provide`](Self::provide).
    #[track_caller]
    pub fn resource<R: 'static>(&mut self, make: impl Fn() -> R + Send + Sync + 'static) -> &mut Self {
        self.assert_not_open();
        let make = move |_worker| Ok(Box::new(make()) as Box<dyn Any>);
        self.parts.provide_resource(TypeId::of::<R>(), Arc::new(make));
        self
    }

    #[track_caller]
    fn assert_not_open(&self) {
        let open = self.core.is_some();
        assert!(!open, "operator `{}` is open already: provide what it needs before the first record", O::ID);
    }

    #[track_caller]
    fn core(&mut self) -> &mut Core<O, K> {
        check(self.try_core())
    }

    fn try_core(&mut self) -> Result<&mut Core<O, K>> {
        if self.core.is_none() {
            let (nexts, collected) = <O::Outputs as Wired>::collect();
            let parts = &self.parts;
            let mut opener = Opener {
                operator: O::ID,
                worker: self.worker,
                config: &|wanted| parts.find_config(wanted),
                resource: &|wanted| parts.find_resource(wanted),
            };
            let env = O::open(&mut opener)?;
            let metrics = Arc::new(vec![NodeMetrics::default()]);
            let groups = groups_of_worker(self.worker, self.workers);
            let mut core = Core::new(0, O::ID.to_owned(), groups, env, nexts, self.now.clone(), metrics);
            let restore = std::mem::take(&mut self.restore);
            core.restore(restore.parts)?;
            core.watermark = restore.watermark;
            self.inbound = Inbound::new((0..self.ports.len()).map(|port| (port, 0)).collect(), true);
            self.inbound.go_on_from(core.watermark);
            self.watermarks = vec![Timestamp::MIN; self.ports.len()];
            (self.collected, self.core) = (Some(collected), Some(core));
        }
        Ok(self.core.as_mut().expect("just opened"))
    }

    /// Does something that may emit, and remembers it.
    #[track_caller]
    fn step(&mut self, what: String, act: impl FnOnce(&mut Self) -> Result<()>) -> &mut Self {
        self.core();
        self.story.begin(what);
        let before = self.counts();
        let result = act(self);
        let emitted: Vec<_> = self.counts().iter().zip(before).map(|(after, before)| after - before).collect();
        self.story.end(O::OUTPUTS, &emitted);
        if let Err(error) = result {
            panic!("operator `{}`: {error}", O::ID);
        }
        self
    }

    /// The next record carries this: where it was read ([`Origin`](crate::Origin)), or all that its source
    /// knows of it. Records without have the origin that a `#[metadata]` parameter sees as default.
    pub fn with_metadata(&mut self, metadata: impl Into<Metadata>) -> &mut Self {
        self.metadata = Some(metadata.into());
        self
    }

    /// Processes a record of input `INPUT` with this event time.
    ///
    /// # Panics
    /// If another worker owns its key.
    #[track_caller]
    pub fn push_at<const INPUT: usize>(
        &mut self,
        time: Timestamp,
        record: <O as Handler<INPUT, K>>::Record,
    ) -> &mut Self
    where
        O: Handler<INPUT, K>,
    {
        let port = self.ports[INPUT].downcast_ref::<Rc<dyn Port<O, K, <O as Handler<INPUT, K>>::Record>>>();
        let port = Rc::clone(port.expect("`input` stores what `push_at` looks for"));
        let key = port.key(&record);
        let metadata = self.metadata.take();
        let of_key = key.as_ref().map(|key| format!(" of key {key:?}")).unwrap_or_default();
        let what = format!("push `{}`{of_key}{}", O::INPUTS[INPUT], story::at(time));
        self.step(what, |harness| {
            if let Some(key) = key {
                harness.check_owner(key.borrow())?;
            }
            harness.wake_input(INPUT)?;
            port.push(harness.core(), record, time, metadata)
        })
    }

    /// Processes a record of input `INPUT` without event time.
    ///
    /// # Panics
    /// As [`push_at`](Self::push_at).
    #[track_caller]
    pub fn push<const INPUT: usize>(&mut self, record: <O as Handler<INPUT, K>>::Record) -> &mut Self
    where
        O: Handler<INPUT, K>,
    {
        self.push_at::<INPUT>(Timestamp::MIN, record)
    }

    /// Whether this is the worker that owns the key. One that is alone owns all.
    #[must_use]
    pub fn owns(&self, key: &K) -> bool {
        self.owner(key) == self.worker
    }

    fn owner(&self, key: &K) -> usize {
        worker_of_group(key_group(key.frozen_hash()), self.workers)
    }

    fn check_owner(&self, key: &K) -> Result<()> {
        if self.owns(key) {
            return Ok(());
        }
        let (owner, worker, workers) = (self.owner(key), self.worker, self.workers);
        let message = format!(
            "of {workers} workers, number {owner} owns the key {:?}, and this is number {worker}; `owns(key)` says whose a key is",
            key.to_owned()
        );
        Err(Error::new(ErrorKind::Operator, message))
    }

    /// What was emitted since the last call, with event times: nothing, a `Vec`, or a tuple of them, rejected
    /// records last.
    #[track_caller]
    pub fn take_timed(&mut self) -> <O::Outputs as Wired>::Taken {
        self.core();
        <O::Outputs as Wired>::take(self.collected.as_ref().expect("opened with the core"))
    }

    /// What was emitted since the last call: nothing, a `Vec` of records, or a tuple of them, rejected records
    /// last.
    #[track_caller]
    pub fn take(&mut self) -> <O::Outputs as Wired>::Records {
        <O::Outputs as Wired>::untimed(self.take_timed())
    }

    /// One output: what `out()` and `out_name()` of generated harnesses return.
    #[doc(hidden)]
    #[track_caller]
    pub fn emitted<T>(&mut self, output: usize, bucket: impl FnOnce(&Collected<O>) -> &Bucket<T>) -> Emitted<'_, T> {
        self.core();
        let collected = self.collected.as_ref().expect("opened with the core");
        Emitted::new(bucket(collected), O::ID, O::OUTPUTS[output])
    }

    /// The state of a key, if it has any.
    #[track_caller]
    pub fn state(&mut self, key: &K) -> Option<&O> {
        check(self.check_owner(key));
        self.core().table.find(key.frozen_hash(), key)
    }

    /// The state of all keys, in the order of keys.
    #[track_caller]
    pub fn states(&mut self) -> Vec<(K::Owned, &O)> {
        let mut states: Vec<_> = self.core().table.iter().map(|(_, key, state)| (key.clone(), state)).collect();
        states.sort_by(|(left, _), (right, _)| left.cmp(right));
        states
    }

    /// How many keys have state.
    #[track_caller]
    pub fn keys(&mut self) -> usize {
        self.core().table.len()
    }
}

impl<O: Operator<Outputs: Wired>, K: Key + ?Sized> OperatorHarness<O, K> {
    fn counts(&self) -> Vec<usize> {
        self.collected.as_ref().map(<O::Outputs as Wired>::counts).unwrap_or_default()
    }

    /// What was done with the harness, what each step emitted, and what the operator holds now. Printed when
    /// a test fails.
    #[must_use]
    pub fn story(&self) -> String {
        let mut text = format!("operator `{}`", O::ID);
        if self.workers > 1 {
            text.push_str(&format!(", worker {} of {}", self.worker, self.workers));
        }
        self.story.tell(&mut text);
        let Some(core) = &self.core else { return text };
        let (watermark, now, keys) = (core.watermark, self.now.get(), core.table.len());
        text.push_str(&format!("\n  now: watermark {watermark}, clock {now}, keys with state {keys}"));
        text.push_str(&format!(", not yet taken: {}", story::counts(O::OUTPUTS, &self.counts())));
        text.push_str(&time::timers_told(&core.timers));
        text
    }
}

impl<O: Operator<Outputs: Wired>, K: Key + ?Sized> Drop for OperatorHarness<O, K> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.story());
        }
    }
}
