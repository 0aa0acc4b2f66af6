//! A worker: steps the chains of its copy of the graph, turn by turn.

use super::build::{Stage, Step, WorkerBuilder, WorkerPlan};
use super::event::Barrier;
use super::report::{Report, Reporter};
use crate::clock::Clock;
use crate::crash::catch_panic;
use crate::error::{Error, ErrorKind, Result};
use crate::id::Epoch;
use crate::threads::{Actor, Turn};
use crate::time::Timestamp;
use std::any::Any;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

/// What a worker is told. Comes before data.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    /// Let a barrier follow what the sources have read.
    Inject(Barrier),
    /// An epoch is committed.
    Committed(Epoch),
    /// Stop now; whatever is not committed is not lost, since it will be read again.
    Stop,
}

/// Puts the worker to sleep until it is woken or the time has come.
pub(crate) trait Sleep {
    fn sleep(&self, at_most: Duration);

    /// Whether somebody has woken it since it slept, or asked this; then it need not sleep.
    fn was_woken(&self) -> bool;
}

/// The longest sleep; a lost wake-up would cost no more than this.
const SLEEP_MAX: Duration = Duration::from_millis(100);

/// One worker. Lives on its thread: what it builds does not leave it.
pub(crate) struct Worker<S> {
    number: usize,
    /// Until it is built.
    plan: Option<WorkerPlan>,
    stages: Vec<Box<dyn Stage>>,
    orders: Receiver<Order>,
    reporter: Reporter,
    clock: Arc<dyn Clock>,
    processing_time: Rc<Cell<Timestamp>>,
    sleep: S,
}

impl<S: Sleep> Worker<S> {
    pub fn new(plan: WorkerPlan, orders: Receiver<Order>, reporter: Reporter, clock: Arc<dyn Clock>, sleep: S) -> Self {
        let processing_time = Rc::new(Cell::new(clock.now()));
        Self {
            number: plan.worker,
            plan: Some(plan),
            stages: Vec::new(),
            orders,
            reporter,
            clock,
            processing_time,
            sleep,
        }
    }

    fn step(&mut self) -> Result<Turn> {
        let Some(mut plan) = self.plan.take() else { return self.step_all() };
        self.stages = WorkerBuilder::build(&mut plan, self.reporter.clone(), self.processing_time.clone())?;
        self.reporter.send(Report::Built);
        Ok(Turn::Worked)
    }

    /// One turn over all stages.
    fn step_all(&mut self) -> Result<Turn> {
        loop {
            match self.orders.try_recv() {
                Ok(Order::Inject(barrier)) => self.stages.iter_mut().for_each(|stage| stage.inject(barrier)),
                Ok(Order::Committed(epoch)) => self.stages.iter_mut().for_each(|stage| stage.committed(epoch)),
                Ok(Order::Stop) | Err(TryRecvError::Disconnected) => return Ok(Turn::Done),
                Err(TryRecvError::Empty) => break,
            }
        }
        let now = self.clock.now();
        self.processing_time.set(now);
        let (mut worked, mut wake_at) = (false, Timestamp::MAX);
        for stage in &mut self.stages {
            match stage.step(now)? {
                Step::Worked => worked = true,
                Step::Idle { wake_at: at } => wake_at = wake_at.min(at),
            }
        }
        // An idle stage, too, may have told something: the state that the last slice of a snapshot completes.
        worked |= self.reporter.take_has_sent();
        // A chain may have sent to one that was stepped before it.
        if worked || self.sleep.was_woken() {
            return Ok(Turn::Worked);
        }
        let wait = wake_at.as_millis().saturating_sub(now.as_millis()).max(0);
        Ok(Turn::Idle { at_most: Duration::from_millis(wait.unsigned_abs()) })
    }
}

impl<S: Sleep> Actor for Worker<S> {
    /// Every way to end is reported.
    fn turn(&mut self) -> Turn {
        // User code may panic anywhere in here. What it leaves behind is dropped with the worker, so no
        // broken invariant can be seen afterwards.
        let failure = match catch_panic(|| self.step()) {
            Ok(Ok(Turn::Done)) => {
                self.reporter.send(Report::Stopped);
                return Turn::Done;
            }
            Ok(Ok(turn)) => return turn,
            Ok(Err(error)) => error,
            Err(panic) => panicked(&*panic),
        };
        self.reporter.send(Report::Failed(failure.at(format_args!("worker {}", self.number))));
        Turn::Done
    }

    fn wait(&mut self, at_most: Duration) {
        self.sleep.sleep(at_most.min(SLEEP_MAX));
    }

    fn was_woken(&self) -> bool {
        self.sleep.was_woken()
    }
}

pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Error {
    Error::new(ErrorKind::Operator, format!("user code panicked: {}", panic_message(panic)))
}

/// What was said in panic.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let said = panic.downcast_ref::<String>().map(String::as_str);
    said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}
