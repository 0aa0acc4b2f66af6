//! Driving an attempt: events to the coordinator, its effects to whom they concern, until it is over.

use super::runner::Runner;
use super::storage::StateTask;
use super::teardown::Threads;
use super::{Event, internal, whole_ms};
use crate::api::sink::Share;
use crate::control::coordinator::Coordinator;
use crate::control::message::{Effect, Finish, Input, Settings, Topology};
use crate::crash::crash_point;
use crate::data::event::Barrier;
use crate::data::report::Report;
use crate::error::{Error, ErrorKind, Result};
use crate::id::Epoch;
use crate::planted::{Bug, planted};
use crate::progress::{CheckpointStats, Outcome};
use crate::threads::Turn;
use crate::time::Timestamp;
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

/// How often the driver looks at clock, observer and stop flag while nothing is heard.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How often it is told that workers are not ready yet.
const TELL_BUILDING_EVERY: Duration = Duration::from_secs(10);

/// An attempt whose threads run.
pub(super) struct Underway {
    pub threads: Threads,
    pub events: Receiver<Event>,
    /// Heard while the driver's thread waited, or before all workers were built.
    heard: VecDeque<Event>,
    stage: Stage,
    effects: Vec<Effect>,
    leave_by: Option<Timestamp>,
}

enum Stage {
    /// Workers build their copies of the graph and restore their state, however long that takes: it does not
    /// count against the first checkpoint.
    Building {
        built: usize,
        early: VecDeque<Event>,
        topology: Topology,
        epoch: Epoch,
        /// When it is told next that this takes long.
        tell_at: Option<Timestamp>,
    },
    Driving(Box<Coordinator>),
}

impl Underway {
    pub fn new(threads: Threads, events: Receiver<Event>, topology: Topology, epoch: Epoch) -> Self {
        let (heard, effects) = (VecDeque::new(), Vec::new());
        let stage = Stage::Building { built: 0, early: VecDeque::new(), topology, epoch, tell_at: None };
        Self { threads, events, heard, stage, effects, leave_by: None }
    }

    fn next_event(&mut self) -> Result<Option<Event>> {
        match self.heard.pop_front().map_or_else(|| self.events.try_recv(), Ok) {
            Ok(event) => Ok(Some(event)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(internal("nobody is left to drive")),
        }
    }

    pub fn checkpoint_now(&mut self, now_ms: u64) {
        if let Stage::Driving(coordinator) = &mut self.stage {
            coordinator.trigger_at(now_ms);
        }
    }

    /// Blocks until something is heard.
    #[expect(clippy::disallowed_methods, reason = "where the driver's thread waits; a simulation takes turns instead")]
    pub fn wait(&mut self, at_most: Duration) {
        self.heard.extend(self.events.recv_timeout(at_most).ok());
    }
}

/// What came of a turn.
pub(super) enum Driven {
    On(Turn),
    Over(Outcome),
}

impl Runner {
    /// Handles one event, or sees that there is none.
    pub(super) fn drive(&mut self, underway: &mut Underway) -> Result<Driven> {
        let event = underway.next_event()?;
        match &mut underway.stage {
            Stage::Building { built, early, topology, epoch, tell_at } => {
                // Some workers may have read already, so there will be a last checkpoint, if the others come that far.
                if self.stop.load(Ordering::Relaxed) {
                    let now = self.told.clock.now();
                    if now > *underway.leave_by.get_or_insert(now + self.settings.shutdown_timeout) {
                        return Err(self.too_slow_to_leave());
                    }
                }
                match event {
                    Some(Event::Worker(_, Report::Built)) => *built += 1,
                    Some(Event::Worker(_, Report::Failed(error))) if !error.is_echo() => return Err(error),
                    Some(Event::Failed(error)) => return Err(error),
                    Some(event) => early.push_back(event),
                    None => return Ok(Driven::On(self.still_building(*built, tell_at))),
                }
                if *built == self.settings.workers {
                    underway.heard = std::mem::take(early);
                    let topology = std::mem::take(topology);
                    let now_ms = self.told.clock.now_ms();
                    let coordinator = Coordinator::new(topology, self.coordinator_settings(), *epoch, now_ms);
                    underway.stage = Stage::Driving(Box::new(coordinator));
                    // The last checkpoint has a time of its own.
                    underway.leave_by = None;
                }
                Ok(Driven::On(Turn::Worked))
            }
            Stage::Driving(coordinator) => {
                let (threads, effects) = (&underway.threads, &mut underway.effects);
                let turn = self.step(event, coordinator, threads, effects, &mut underway.leave_by)?;
                let turn = if effects.is_empty() { turn } else { Turn::Worked };
                for effect in effects.drain(..) {
                    if let Some(outcome) = self.carry_out(effect, threads)? {
                        return Ok(Driven::Over(outcome));
                    }
                }
                Ok(Driven::On(turn))
            }
        }
    }

    /// A worker may restore gigabytes; one that hangs in an operator's or a source's own code is to be seen, too.
    fn still_building(&self, built: usize, tell_at: &mut Option<Timestamp>) -> Turn {
        let now = self.told.clock.now();
        let due = tell_at.get_or_insert(now + TELL_BUILDING_EVERY);
        if now >= *due {
            *due = now + TELL_BUILDING_EVERY;
            let workers = self.settings.workers;
            tracing::warn!(
                job = self.name,
                "{built} of {workers} workers are ready; the others still open their sources and restore their state"
            );
        }
        Turn::Idle { at_most: Duration::from_millis(due.as_millis().abs_diff(now.as_millis())) }
    }

    /// Lets the coordinator know what happened, or what time it is.
    fn step(
        &mut self,
        event: Option<Event>,
        coordinator: &mut Coordinator,
        threads: &Threads,
        effects: &mut Vec<Effect>,
        leave_by: &mut Option<Timestamp>,
    ) -> Result<Turn> {
        if self.stop.load(Ordering::Relaxed) && leave_by.is_none() {
            *leave_by = Some(self.told.clock.now() + self.settings.shutdown_timeout);
            coordinator.step(self.told.clock.now_ms(), Input::Suspend, effects);
        }
        let now = self.told.clock.now();
        if leave_by.is_some_and(|at| now > at) {
            return Err(self.too_slow_to_leave());
        }
        let now_ms = self.told.clock.now_ms();
        if let Some(event) = event {
            if let Some(input) = self.translate(event, threads)? {
                coordinator.step(now_ms, input, effects);
            }
            return Ok(Turn::Worked);
        }
        let due = coordinator.next_deadline().unwrap_or(u64::MAX);
        if due <= now_ms {
            coordinator.step(now_ms, Input::Tick, effects);
            return Ok(Turn::Worked);
        }
        let leave_in = leave_by.map_or(u64::MAX, |at| at.as_millis().abs_diff(now.as_millis()) + 1);
        Ok(Turn::Idle { at_most: Duration::from_millis((due - now_ms).min(leave_in)) })
    }

    fn coordinator_settings(&self) -> Settings {
        let checkpoint = &self.settings.checkpoint;
        Settings {
            interval_ms: Some(whole_ms(checkpoint.interval)),
            pause_ms_min: whole_ms(checkpoint.min_pause),
            timeout_ms: whole_ms(checkpoint.timeout),
            tolerated_timeouts: checkpoint.tolerated_timeouts,
        }
    }

    fn too_slow_to_leave(&self) -> Error {
        let message = format!(
            "the last checkpoint was not finished within the shutdown timeout of {:?}; nothing is lost, the next start goes on \
             from the checkpoint before",
            self.settings.shutdown_timeout
        );
        // Not a kind that restarts: the job was asked to leave.
        Error::new(ErrorKind::Stuck, message)
    }

    /// What an event means to the coordinator.
    fn translate(&self, event: Event, threads: &Threads) -> Result<Option<Input>> {
        Ok(Some(match event {
            Event::Worker(worker, report) => return self.translate_report(worker, report, threads),
            Event::Stored { worker, operator, epoch, watermark, parts } => {
                Input::StateReported { worker, operator, epoch, watermark, parts: parts? }
            }
            Event::Prepared { participant, epoch, prepared } => {
                Input::Prepared { participant, epoch, result: prepared }
            }
            Event::Published { epoch, result } => Input::Published { epoch, result },
            Event::Committed { participant, epoch, committed } => {
                Input::Committed { participant, epoch, result: committed }
            }
            Event::Failed(error) => Input::Failed(error),
        }))
    }

    fn translate_report(&self, worker: usize, report: Report, threads: &Threads) -> Result<Option<Input>> {
        let id = |node: usize| self.wired.graph.nodes[node].id.clone();
        Ok(Some(match report {
            Report::Source { node, epoch, positions, ended } => {
                Input::SourceReported { worker, source: id(node), epoch, splits: positions, finished: ended }
            }
            Report::State { node, epoch, state } => {
                threads.storage.put_state(StateTask { worker, operator: id(node), epoch, state })?;
                return Ok(None);
            }
            Report::Sealed { node, epoch, share } => {
                Input::Sealed { epoch, share: Share { sink: id(node), worker, bytes: share } }
            }
            Report::Ended { node } => Input::SourceEnded { worker, source: id(node) },
            Report::Built => return Ok(None),
            // Whoever failed first tells why.
            Report::Failed(error) if error.is_echo() => return Ok(None),
            Report::Failed(error) => Input::Failed(error),
            Report::Stopped => return Err(internal("a worker stopped without being asked to")),
        }))
    }

    /// Only where it is planted: the second barrier of a process is another one in any case.
    fn loses_barrier(&self, epoch: Epoch) -> bool {
        planted(Bug::FirstBarrierLost) && epoch.0.is_multiple_of(2) && self.told.checkpoints == 0
    }

    /// Does what the coordinator asks for.
    fn carry_out(&mut self, effect: Effect, threads: &Threads) -> Result<Option<Outcome>> {
        match effect {
            Effect::Barrier { epoch, .. } if self.loses_barrier(epoch) => {}
            Effect::Barrier { epoch, kind } => threads.workers.inject(Barrier { epoch, kind }),
            Effect::Prepare { participant, epoch, shares } => {
                threads.participants.prepare(&participant, epoch, shares)?
            }
            Effect::Publish(cut) => threads.storage.publish(cut)?,
            Effect::Commit { committable, permit } => threads.participants.commit(committable, permit)?,
            Effect::Abandoned { epoch, late } => {
                tracing::warn!(
                    epoch = epoch.0,
                    late,
                    "a checkpoint is too late; the next one takes in what it has prepared"
                );
            }
            Effect::Abort { committable } => threads.participants.abort(committable)?,
            Effect::Settled(settled) => {
                crash_point("settled");
                threads.workers.committed(settled.epoch);
                threads.storage.retain()?;
                self.settled(settled.epoch, settled.duration_ms, settled.state_bytes);
            }
            Effect::Finish(finish) => {
                threads.storage.close()?;
                return Ok(Some(match finish {
                    Finish::Ended => Outcome::Ended,
                    Finish::Suspended => Outcome::Suspended,
                }));
            }
            Effect::Fail(error) => return Err(error),
        }
        Ok(None)
    }

    fn settled(&mut self, epoch: Epoch, duration_ms: u64, bytes: u64) {
        tracing::debug!(epoch = epoch.0, duration_ms, bytes, "checkpoint committed");
        let took = Duration::from_millis(duration_ms);
        let stats = CheckpointStats { epoch, took, bytes, ended_ago: Duration::ZERO };
        self.told.checkpoints += 1;
        self.told.last = Some((stats, self.told.clock.now()));
    }
}
