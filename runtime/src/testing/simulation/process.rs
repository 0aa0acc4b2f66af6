//! A simulated process: its runner, and the actors that this has started.

use super::world::{Pid, Started};
use crate::error::Result;
use crate::job::runner::Runner;
use crate::progress::Summary;
use crate::threads::{Actor, Turn};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One that takes turns. What is taking its turn just now is not in its place.
pub(super) enum Body {
    Runner(Box<Runner>),
    Actor(Box<dyn Actor>),
    /// On the stack: its turn is not over, perhaps since it stands still in a call.
    Busy,
}

impl Body {
    pub fn turn(&mut self) -> Turn {
        match self {
            Self::Runner(runner) => runner.turn(),
            Self::Actor(actor) => actor.turn(),
            Self::Busy => Turn::Done,
        }
    }
}

pub(super) struct Cell {
    pub body: Body,
    /// Nothing to do before somebody of its process has worked, or this time.
    pub idle_until_ms: Option<u64>,
    finished: Arc<AtomicBool>,
}

/// Who wants to be asked again so late waits for somebody, not for time.
const NEVER_MS: u64 = u64::MAX / 4;

pub(super) struct Process {
    pub pid: Pid,
    /// By number; the runner has 0. Numbers are not used again: one may be on the stack while others go.
    pub cells: BTreeMap<usize, Cell>,
    next: usize,
    pub stop: Arc<AtomicBool>,
    pub result: Option<Result<Summary>>,
}

impl Process {
    pub fn new(pid: Pid, runner: Runner, stop: Arc<AtomicBool>) -> Self {
        let cell = |body| Cell { body, idle_until_ms: None, finished: Arc::default() };
        let cells = BTreeMap::from([(0, cell(Body::Runner(Box::new(runner))))]);
        Self { pid, cells, next: 1, stop, result: None }
    }

    pub fn add(&mut self, started: Started) {
        let cell = Cell { body: Body::Actor((started.make)()), idle_until_ms: None, finished: started.finished };
        self.cells.insert(self.next, cell);
        self.next += 1;
    }

    pub fn is_over(&self) -> bool {
        self.result.is_some()
    }

    pub fn is_busy(&self) -> bool {
        self.cells.values().any(|cell| matches!(cell.body, Body::Busy))
    }

    pub fn runner(&mut self) -> Option<&mut Runner> {
        match self.cells.get_mut(&0).map(|cell| &mut cell.body) {
            Some(Body::Runner(runner)) => Some(runner),
            _ => None,
        }
    }

    /// A cell's turn is over. One that has ended goes, but for the runner.
    pub fn back(&mut self, at: usize, mut body: Body, turn: Turn, now_ms: u64) {
        if !matches!(turn, Turn::Idle { .. }) {
            self.wake();
        }
        let Some(cell) = self.cells.get_mut(&at) else { return };
        match turn {
            Turn::Worked => cell.body = body,
            Turn::Idle { at_most } => {
                let wait_ms = u64::try_from(at_most.as_millis()).unwrap_or(u64::MAX).max(1);
                (cell.idle_until_ms, cell.body) = (Some(now_ms.saturating_add(wait_ms)), body);
            }
            Turn::Done => {
                cell.finished.store(true, Ordering::Relaxed);
                if let Body::Runner(runner) = &mut body {
                    self.result = runner.take_result();
                }
                self.cells.remove(&at);
            }
        }
        self.wake_rung();
    }

    /// Those that somebody has woken need not wait: an idle source sends on what its exchange has collected.
    fn wake_rung(&mut self) {
        for cell in self.cells.values_mut() {
            if let (Body::Actor(actor), Some(_)) = (&cell.body, cell.idle_until_ms)
                && actor.was_woken()
            {
                cell.idle_until_ms = None;
            }
        }
    }

    /// Something has happened that any of its actors may have waited for.
    pub fn wake(&mut self) {
        self.cells.values_mut().for_each(|cell| cell.idle_until_ms = None);
    }

    /// The cells that may take a turn.
    pub fn ready(&self) -> impl Iterator<Item = usize> + '_ {
        let ready = |cell: &Cell| cell.idle_until_ms.is_none() && matches!(cell.body, Body::Runner(_) | Body::Actor(_));
        self.cells.iter().filter(move |(_, cell)| ready(cell)).map(|(at, _)| *at)
    }

    /// The earliest time at which one wants to be asked again.
    pub fn wake_at_ms(&self) -> Option<u64> {
        let idle = self.cells.values().filter(|cell| matches!(cell.body, Body::Runner(_) | Body::Actor(_)));
        idle.filter_map(|cell| cell.idle_until_ms).min().filter(|at| *at < NEVER_MS)
    }

    /// Time has passed.
    pub fn wake_due(&mut self, now_ms: u64) {
        for cell in self.cells.values_mut() {
            cell.idle_until_ms.take_if(|at| *at <= now_ms);
        }
    }
}
