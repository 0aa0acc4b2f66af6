//! A job as it ships, on one thread, in virtual time, in a world whose every answer follows from a seed.
//!
//! ```text
//! Simulation ──turn──► Process ──► Runner, workers, participants, store   (the code of production)
//!     │                               │ calls
//!     │ hook: crash, pause, others    ▼
//!     └──────────────────────────► World: disk, Kafka clusters, ledger, sources, clock
//! ```
//!
//! Whoever is to take the next turn is chosen at random. Before each call of the world, and at each named
//! crash point, the simulation is told, and may
//!
//! - end the process there, as by SIGKILL: nothing that it does while its stack unwinds has an effect;
//! - let it stand still while others go on: their turns are taken within the call. Its successor may be
//!   started meanwhile, so that what wakes up is a zombie.
//!
//! There is no second implementation of anything here: what is simulated are the disk, the sources, the
//! sinks' other side, and time.

mod at_least_once;
pub(crate) mod chance;
mod disk;
mod environment;
mod fault;
mod kafka;
mod ledger;
mod process;
mod sink;
mod source;
mod story;
#[cfg(test)]
mod tests;
mod world;

pub(crate) use fault::{Fault, Lost, Planned};
pub(crate) use source::{MakeRecord, Splits};
pub(crate) use story::story;
pub(crate) use world::{Failure, Pid, World};

use crate::api::sink::Delivery;
use crate::crash::{Crashed, Hook, replace_hook, unwind_crashed};
use crate::error::Result;
use crate::flow::Pipeline;
use crate::flow::stand_in::{SinkFacts, SinkStandIn, SourceStandIn, StandIns};
use crate::job::runner::Runner;
use crate::job::wire;
use crate::progress::Summary;
use crate::settings::Settings;
use crate::testing::named::Known;
use crate::threads::Turn;
use crate::time::Timestamp;
use environment::Simulated;
use process::{Body, Process};
use std::any::TypeId;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Starts a process: wires the pipeline with stand-ins and makes its runner.
type Launch = Box<dyn Fn(Rc<dyn StandIns>, Pid, usize, Arc<AtomicBool>) -> Result<Runner>>;

/// How a process ended that was not killed.
pub(crate) type Ended = (Pid, Result<Summary>);

/// See the module.
pub(crate) struct Simulation {
    pub world: Arc<World>,
    launch: Launch,
    processes: RefCell<BTreeMap<Pid, Process>>,
    /// Whose turns are being taken, the innermost last.
    stack: RefCell<Vec<(Pid, usize)>>,
    ended: RefCell<Vec<Ended>>,
    /// The types of the sources' records, by id.
    sources: Rc<RefCell<Known>>,
    /// The facts of the sinks, by id.
    sinks: Rc<RefCell<BTreeMap<String, Arc<SinkFacts>>>>,
    next_pid: Cell<u32>,
    pub(super) faults: RefCell<fault::Faults>,
    turns: Cell<u64>,
    /// Processes that stand still, all of them.
    paused: RefCell<Vec<Pid>>,
    /// Why attempts failed.
    failed_attempts: RefCell<Vec<String>>,
    last: Cell<(Pid, usize)>,
    /// Follows from everything that was chosen.
    trace: Cell<u64>,
}

struct Places {
    world: Arc<World>,
    pid: Pid,
    sources: Rc<RefCell<Known>>,
    sinks: Rc<RefCell<BTreeMap<String, Arc<SinkFacts>>>>,
}

impl StandIns for Places {
    fn source(&self, id: &str, record: TypeId) -> Arc<dyn SourceStandIn> {
        self.sources.borrow_mut().insert(id.to_owned(), record);
        Arc::new(source::SimulatedSource { world: self.world.clone(), pid: self.pid, id: id.to_owned() })
    }

    fn sink(&self, facts: SinkFacts) -> Arc<dyn SinkStandIn> {
        let facts = Arc::new(facts);
        self.sinks.borrow_mut().insert(facts.id.clone(), facts.clone());
        let (world, pid) = (self.world.clone(), self.pid);
        match facts.delivery {
            Delivery::KafkaTransactions => Arc::new(kafka::KafkaSimulated { world, pid, facts }),
            Delivery::AtLeastOnce => Arc::new(at_least_once::AtLeastOnce { world, pid, facts }),
            Delivery::ExactlyOnce => Arc::new(sink::SimulatedSink { world, pid, facts }),
        }
    }
}

impl Simulation {
    /// A world of this pipeline without a process. `settings` are those of its jobs, but for the workers.
    pub fn new<P: Pipeline>(config: Arc<P::Config>, settings: Settings, world: Arc<World>) -> Rc<Self> {
        let its_world = world.clone();
        let launch = move |places: Rc<dyn StandIns>, pid: Pid, workers: usize, stop: Arc<AtomicBool>| {
            let wired = wire::<P>(config.clone(), Some(places))?;
            let mut settings = settings.clone();
            (settings.workers, settings.checkpoint.dir) = (workers, Some("/checkpoints".into()));
            let environment = Simulated { world: its_world.clone(), pid };
            Ok(Runner::new(P::NAME, wired, settings, stop, None, Arc::new(environment)))
        };
        Rc::new(Self {
            world,
            launch: Box::new(launch),
            processes: RefCell::default(),
            stack: RefCell::default(),
            ended: RefCell::default(),
            sources: Rc::default(),
            sinks: Rc::default(),
            next_pid: Cell::new(1),
            faults: RefCell::default(),
            turns: Cell::new(0),
            paused: RefCell::default(),
            failed_attempts: RefCell::default(),
            last: Cell::new((Pid(0), 0)),
            trace: Cell::new(0),
        })
    }

    /// Starts a process with so many workers.
    pub fn start(self: &Rc<Self>, workers: usize) -> Result<Pid> {
        let pid = Pid(self.next_pid.replace(self.next_pid.get() + 1));
        let (sources, sinks) = (self.sources.clone(), self.sinks.clone());
        let places = Places { world: self.world.clone(), pid, sources, sinks };
        let stop = Arc::new(AtomicBool::new(false));
        let runner = (self.launch)(Rc::new(places), pid, workers, stop.clone())?;
        self.world.with(|state| {
            state.born(pid);
            state.say(pid, || format!("starts with {workers} worker{}", if workers == 1 { "" } else { "s" }));
        });
        self.processes.borrow_mut().insert(pid, Process::new(pid, runner, stop));
        Ok(pid)
    }

    /// Runs `what` with the crash points and calls of this thread told to this simulation.
    pub fn hooked<R>(self: &Rc<Self>, what: impl FnOnce() -> R) -> R {
        struct Restore(Option<Hook>);
        impl Drop for Restore {
            fn drop(&mut self) {
                replace_hook(self.0.take());
            }
        }
        let this = Rc::downgrade(self);
        let hook: Hook = Rc::new(move |place| {
            if let Some(simulation) = Weak::upgrade(&this) {
                simulation.passing(place);
            }
        });
        let _restore = Restore(replace_hook(Some(hook)));
        what()
    }

    /// Simulated code stands at this place.
    fn passing(self: &Rc<Self>, place: &'static str) {
        // What unwinds is dead: its destructors have no effect and are told of nothing.
        if std::thread::panicking() {
            return;
        }
        let Some((pid, _)) = self.stack.borrow().last().copied() else { return };
        place.as_bytes().chunks(size_of::<u64>()).for_each(|part| self.mix(number(part)));
        self.meet_faults(pid, place);
        if !self.world.with(|state| state.is_alive(pid)) {
            unwind_crashed();
        }
    }

    fn mix(&self, with: u64) {
        self.trace.set((self.trace.get().rotate_left(5) ^ with).wrapping_mul(0x517C_C1B7_2722_0A95));
    }

    /// A number that follows from every choice that was made so far.
    pub fn trace(&self) -> u64 {
        self.trace.get()
    }

    /// Why the first attempt failed that did.
    pub fn first_failure(&self) -> Option<String> {
        self.failed_attempts.borrow().first().cloned()
    }

    pub fn turns(&self) -> u64 {
        self.turns.get()
    }

    /// How much time has passed in this world.
    pub fn elapsed_ms(&self) -> u64 {
        self.world.with(|state| state.now_ms) - world::BEGIN_MS
    }

    /// The process dies where it stands.
    pub fn kill(&self, pid: Pid) {
        self.world.with(|state| {
            state.died(pid);
            state.started.retain(|started| started.pid != pid);
        });
        self.reap();
    }

    /// All processes die.
    pub fn kill_all(&self) {
        for pid in self.living() {
            self.kill(pid);
        }
    }

    /// Takes dead processes away that have nothing on the stack any more.
    fn reap(&self) {
        let dead = |process: &Process| !process.is_busy() && !self.world.with(|state| state.is_alive(process.pid));
        let gone: Vec<Pid> = self.processes.borrow().values().filter(|it| dead(it)).map(|it| it.pid).collect();
        for pid in gone {
            // Out of the map first: destructors are users' code.
            let process = self.processes.borrow_mut().remove(&pid);
            drop(process);
        }
    }

    /// The processes that live, oldest first.
    pub fn living(&self) -> Vec<Pid> {
        let processes = self.processes.borrow();
        processes.keys().copied().filter(|pid| self.world.with(|state| state.is_alive(*pid))).collect()
    }

    /// The processes that have ended by themselves since the last call.
    pub fn take_ended(&self) -> Vec<Ended> {
        std::mem::take(&mut self.ended.borrow_mut())
    }

    pub fn ask_to_leave(&self, pid: Pid) {
        if let Some(process) = self.processes.borrow_mut().get_mut(&pid) {
            process.stop.store(true, Ordering::Relaxed);
            process.wake();
        }
    }

    /// Calls `with` on the process's runner; `None` when it is gone or in the middle of a turn.
    pub fn with_runner<R>(&self, pid: Pid, with: impl FnOnce(&mut Runner) -> R) -> Option<R> {
        let mut processes = self.processes.borrow_mut();
        let process = processes.get_mut(&pid)?;
        let answer = process.runner().map(with);
        process.wake();
        answer
    }

    /// Somebody outside has done something that all may have waited for.
    pub fn wake_all(&self) {
        self.processes.borrow_mut().values_mut().for_each(Process::wake);
    }

    /// The sources of the pipeline, once a process was started.
    pub fn known_sources(&self) -> Known {
        self.sources.borrow().clone()
    }

    /// And its sinks.
    pub fn known_sinks(&self) -> Known {
        self.sinks.borrow().iter().map(|(id, facts)| (id.clone(), facts.record)).collect()
    }

    pub fn sink(&self, id: &str) -> Option<Arc<SinkFacts>> {
        self.sinks.borrow().get(id).cloned()
    }

    pub fn sink_ids(&self) -> Vec<String> {
        self.sinks.borrow().keys().cloned().collect()
    }

    /// Appends a record to a split of a source.
    pub fn push(&self, source: &str, split: usize, make: MakeRecord, time: Timestamp) {
        self.world.with(|state| {
            let source = state.sources.entry(source.to_owned()).or_default();
            let splits = source.splits.len().max(split + 1);
            source.splits.resize_with(splits, Vec::new);
            source.splits[split].push((make, time));
        });
        self.wake_all();
    }

    /// Nothing more comes from this source.
    pub fn end_source(&self, source: &str) {
        self.world.with(|state| state.sources.entry(source.to_owned()).or_default().ended = true);
        self.wake_all();
    }

    /// Nothing more comes from any source.
    pub fn end_input(&self) {
        self.world.with(|state| state.input_ended = true);
        self.wake_all();
    }

    /// Takes one turn; false when nobody has anything to do before time passes.
    pub fn turn(self: &Rc<Self>) -> bool {
        let ready: Vec<(Pid, usize)> = {
            let (processes, paused) = (self.processes.borrow(), self.paused.borrow());
            let live = processes.values().filter(|process| !paused.contains(&process.pid) && !process.is_over());
            live.flat_map(|process| process.ready().map(|at| (process.pid, at))).collect()
        };
        if ready.is_empty() {
            return false;
        }
        let (pid, at) = self.world.with(|state| {
            if state.turns_take_time && state.chance.one_in(TICK_ONE_IN) {
                state.now_ms += 1;
            }
            state.land_late_now_and_then();
            if state.in_turn {
                let next = ready.iter().find(|it| **it > self.last.get()).or(ready.first());
                return next.copied().unwrap_or(self.last.get());
            }
            *state.chance.pick(&ready)
        });
        self.last.set((pid, at));
        self.mix(u64::from(pid.0) << 8 | at as u64);
        self.take_turn(pid, at);
        true
    }

    fn take_turn(self: &Rc<Self>, pid: Pid, at: usize) {
        let take = |process: &mut Process| {
            process.cells.get_mut(&at).map(|cell| std::mem::replace(&mut cell.body, Body::Busy))
        };
        let Some(mut body) = self.processes.borrow_mut().get_mut(&pid).and_then(take) else { return };
        self.turns.set(self.turns.get() + 1);
        self.stack.borrow_mut().push((pid, at));
        let turned = catch_unwind(AssertUnwindSafe(|| body.turn()));
        self.stack.borrow_mut().pop();
        match turned {
            Ok(turn) => self.turned(pid, at, body, turn),
            Err(panic) if panic.is::<Crashed>() => {
                drop(body);
                if let Some(process) = self.processes.borrow_mut().get_mut(&pid) {
                    process.cells.remove(&at);
                }
                self.reap();
            }
            // A bug of this crate, or a test's own assertion.
            Err(panic) => resume_unwind(panic),
        }
    }

    fn turned(&self, pid: Pid, at: usize, body: Body, turn: Turn) {
        let (started, now_ms) = self.world.with(|state| (state.take_started(pid), state.now_ms));
        let result = {
            let mut processes = self.processes.borrow_mut();
            let Some(process) = processes.get_mut(&pid) else { return };
            process.back(at, body, turn, now_ms);
            if let Some(failure) = process.runner().and_then(Runner::take_failure) {
                self.world.with(|state| state.say(pid, || format!("its attempt fails: {failure}")));
                self.failed_attempts.borrow_mut().push(failure);
            }
            started.into_iter().for_each(|started| process.add(started));
            process.result.take()
        };
        if let Some(result) = result {
            self.world.with(|state| {
                state.died(pid);
                state.say(pid, || match &result {
                    Ok(summary) => format!("leaves: {:?}", summary.outcome).to_lowercase(),
                    Err(error) => format!("stops: {error}"),
                });
            });
            self.ended.borrow_mut().push((pid, result));
        }
        self.reap();
    }

    /// Lets time pass until somebody has something to do; false when nobody ever will.
    pub fn pass_time(&self) -> bool {
        let (mut processes, paused) = (self.processes.borrow_mut(), self.paused.borrow());
        let live = || processes.values().filter(|process| !paused.contains(&process.pid));
        let Some(at_ms) = live().filter_map(Process::wake_at_ms).min() else { return false };
        let now_ms = self.world.with(|state| {
            state.now_ms = state.now_ms.max(at_ms);
            state.now_ms
        });
        self.mix(now_ms);
        processes.values_mut().for_each(|process| process.wake_due(now_ms));
        true
    }

    /// Time passes, whoever sleeps.
    pub fn advance_ms(&self, by_ms: u64) {
        let now_ms = self.world.with(|state| {
            state.now_ms = state.now_ms.saturating_add(by_ms);
            state.now_ms
        });
        self.processes.borrow_mut().values_mut().for_each(|process| process.wake_due(now_ms));
    }
}

/// Of so many turns one takes a millisecond; the others take less.
const TICK_ONE_IN: usize = 5;

/// Bytes as a number; no more of them than it has.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
