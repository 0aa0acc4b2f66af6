//! A simulated process: its runner, and the actors that this has started.

use super::world::{Pid, Started};
use crate::error::Result;
use crate::job::runner::Runner;
use crate::progress::Summary;
use crate::threads::{Actor, Turn};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One that takes turns. What is taking its turn just now is not in its place.
pub(super) enum Body {
    Runner(Box<Runner>),
    Actor(Box<dyn Actor>),
    /// On the stack: its turn is not over, perhaps since it stands still in a call.
    Busy,
    Gone,
}

impl Body {
    pub fn turn(&mut self) -> Turn {
        match self {
            Self::Runner(runner) => runner.turn(),
            Self::Actor(actor) => actor.turn(),
            Self::Busy | Self::Gone => Turn::Done,
        }
    }
}

pub(super) struct Cell {
    pub name: String,
    pub body: Body,
    /// Nothing to do before somebody of its process has worked, or this time.
    pub idle_until_ms: Option<u64>,
    finished: Arc<AtomicBool>,
}

pub(super) struct Process {
    pub pid: Pid,
    /// The runner first.
    pub cells: Vec<Cell>,
    pub stop: Arc<AtomicBool>,
    pub result: Option<Result<Summary>>,
}

impl Process {
    pub fn new(pid: Pid, runner: Runner, stop: Arc<AtomicBool>) -> Self {
        let cell = |body| Cell { name: "driver".to_owned(), body, idle_until_ms: None, finished: Arc::default() };
        Self { pid, cells: vec![cell(Body::Runner(Box::new(runner)))], stop, result: None }
    }

    pub fn add(&mut self, started: Started) {
        let Started { name, make, finished, .. } = started;
        self.cells.push(Cell { name, body: Body::Actor(make()), idle_until_ms: None, finished });
    }

    pub fn is_over(&self) -> bool {
        self.result.is_some()
    }

    pub fn is_busy(&self) -> bool {
        self.cells.iter().any(|cell| matches!(cell.body, Body::Busy))
    }

    pub fn runner(&mut self) -> Option<&mut Runner> {
        match self.cells.first_mut().map(|cell| &mut cell.body) {
            Some(Body::Runner(runner)) => Some(runner),
            _ => None,
        }
    }

    /// A cell's turn is over.
    pub fn back(&mut self, at: usize, mut body: Body, turn: Turn, now_ms: u64) {
        match turn {
            Turn::Worked => self.wake(),
            Turn::Idle { at_most } => {
                let wait_ms = u64::try_from(at_most.as_millis()).unwrap_or(u64::MAX).max(1);
                self.cells[at].idle_until_ms = Some(now_ms.saturating_add(wait_ms));
            }
            Turn::Done => {
                self.wake();
                self.cells[at].finished.store(true, Ordering::Relaxed);
                if let Body::Runner(runner) = &mut body {
                    self.result = runner.take_result();
                }
                body = Body::Gone;
            }
        }
        self.cells[at].body = body;
    }

    /// Something has happened that any of its actors may have waited for.
    pub fn wake(&mut self) {
        self.cells.iter_mut().for_each(|cell| cell.idle_until_ms = None);
    }

    /// The cells that may take a turn.
    pub fn ready(&self) -> impl Iterator<Item = usize> + '_ {
        let ready = |cell: &Cell| cell.idle_until_ms.is_none() && matches!(cell.body, Body::Runner(_) | Body::Actor(_));
        self.cells.iter().enumerate().filter(move |(_, cell)| ready(cell)).map(|(at, _)| at)
    }

    /// The earliest time at which one wants to be asked again.
    pub fn wake_at_ms(&self) -> Option<u64> {
        let idle = self.cells.iter().filter(|cell| matches!(cell.body, Body::Runner(_) | Body::Actor(_)));
        idle.filter_map(|cell| cell.idle_until_ms).min().filter(|at| *at < u64::MAX)
    }

    /// Time has passed.
    pub fn wake_due(&mut self, now_ms: u64) {
        for cell in &mut self.cells {
            cell.idle_until_ms.take_if(|at| *at <= now_ms);
        }
    }
}
