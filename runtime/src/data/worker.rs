//! A worker: one thread that steps the chains of its copy of the graph.

use super::build::{Stage, Step, WorkerBuilder, WorkerPlan};
use super::event::Barrier;
use super::report::{Report, Reporter};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::id::Epoch;
use crate::time::Timestamp;
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
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
}

/// The longest sleep; a lost wake-up would cost no more than this.
const SLEEP_MAX: Duration = Duration::from_millis(100);

/// Builds and runs a worker to its end; every way to end is reported.
pub(crate) fn run(
    mut plan: WorkerPlan,
    orders: &Receiver<Order>,
    reporter: &Reporter,
    clock: &dyn Clock,
    sleep: &dyn Sleep,
) {
    let worker = plan.worker;
    let mut stages = Vec::new();
    let now = Rc::new(Cell::new(clock.now()));
    // User code may panic anywhere in here. What it leaves behind is dropped with the worker, so no
    // broken invariant can be seen afterwards.
    let end = catch_unwind(AssertUnwindSafe(|| {
        stages = WorkerBuilder::build(&mut plan, reporter.clone(), now.clone())?;
        reporter.send(Report::Built);
        while !step_all(&mut stages, orders, clock, &now, sleep)? {}
        Ok(())
    }));
    let failure = match end {
        Ok(Ok(())) => return reporter.send(Report::Stopped),
        Ok(Err(error)) => error,
        Err(panic) => panicked(&*panic),
    };
    reporter.send(Report::Failed(failure.at(format_args!("worker {worker}"))));
}

/// One turn over all stages; true when the worker was told to stop.
fn step_all(
    stages: &mut [Box<dyn Stage>],
    orders: &Receiver<Order>,
    clock: &dyn Clock,
    processing_time: &Cell<Timestamp>,
    sleep: &dyn Sleep,
) -> Result<bool> {
    loop {
        match orders.try_recv() {
            Ok(Order::Inject(barrier)) => stages.iter_mut().for_each(|stage| stage.inject(barrier)),
            Ok(Order::Committed(epoch)) => stages.iter_mut().for_each(|stage| stage.committed(epoch)),
            Ok(Order::Stop) | Err(TryRecvError::Disconnected) => return Ok(true),
            Err(TryRecvError::Empty) => break,
        }
    }
    let now = clock.now();
    processing_time.set(now);
    let (mut worked, mut wake_at) = (false, Timestamp::MAX);
    for stage in stages {
        match stage.step(now)? {
            Step::Worked => worked = true,
            Step::Idle { wake_at: at } => wake_at = wake_at.min(at),
        }
    }
    if !worked {
        let wait = wake_at.as_millis().saturating_sub(now.as_millis()).max(0);
        sleep.sleep(Duration::from_millis(wait.unsigned_abs()).min(SLEEP_MAX));
    }
    Ok(false)
}

pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Error {
    Error::new(ErrorKind::Operator, format!("user code panicked: {}", panic_message(panic)))
}

/// What was said in panic.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let said = panic.downcast_ref::<String>().map(String::as_str);
    said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}
