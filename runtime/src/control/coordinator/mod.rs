//! The coordinator: decides when a checkpoint begins, what it still waits for, and what may be
//! committed. A pure state machine.
//!
//! ```text
//! Idle -> Collecting (reports, shares, prepares) -> Publishing -> Committing -> Idle
//!         too late -> Idle; what was sealed is carried into the next checkpoint
//!                         any failure or timeout -> Done, and the attempt restarts
//! ```
//!
//! One checkpoint is in flight until it is settled or abandoned, and epochs are committed one after the
//! other, so epoch N+1 can never commit before N. Commits are asked for in one place, with a permit in
//! hand.
//!
//! A checkpoint that is not complete in time is abandoned, not the attempt: nothing has failed. Its sources'
//! positions and its state are forgotten, but not what its sinks sealed, as state has moved on: that is
//! prepared all the same, listed by the next manifest beside the next epoch's, and never aborted unless
//! the attempt fails. The last checkpoint is no exception: after its barrier nothing is read, but barriers
//! still pass.
//!
//! Must not know threads, channels, stores or clocks: `now_ms` is passed in, and rises.

mod collecting;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use super::log::Publication;
use super::manifest::{CheckpointKind, Cut};
use super::message::{Effect, Finish, Input, Settings, Settled, Topology};
use super::permit::CommitPermit;
use crate::api::sink::{Committable, Share};
use crate::error::{Error, ErrorKind, Result};
use crate::id::Epoch;
use crate::planted::{Bug, planted};
use collecting::{Accepted, Collecting};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How many missing parts a message names.
const MISSING_NAMED_MAX: usize = 8;

/// The coordinator of one attempt.
#[derive(Debug)]
pub(crate) struct Coordinator {
    topology: Topology,
    settings: Settings,
    next_epoch: Epoch,
    next_trigger_ms: Option<u64>,
    phase: Phase,
    /// Abandoned checkpoints whose output the next manifest lists, oldest first.
    carried: Vec<(Epoch, Collecting)>,
    /// Checkpoints that were abandoned since the last one that was not.
    timeouts: u32,
    /// Sources that have ended, as (number in the topology, worker).
    ended: BTreeSet<(usize, usize)>,
    suspend: bool,
}

#[derive(Debug)]
enum Phase {
    Idle,
    Collecting(Flight, Collecting),
    Publishing(Flight, Pending),
    Committing(Flight, Commits),
    Done,
}

/// The checkpoint in flight.
#[derive(Clone, Copy, Debug)]
struct Flight {
    epoch: Epoch,
    kind: CheckpointKind,
    triggered_ms: u64,
    state_bytes: u64,
}

/// What is committed once the manifest is durable, oldest epoch first.
type Pending = Vec<Committable>;

/// Commits under way.
#[derive(Debug)]
struct Commits {
    permit: Arc<CommitPermit>,
    /// The epoch that is being committed, and the participants that have not answered yet.
    epoch: Epoch,
    waiting: BTreeSet<String>,
    /// Younger epochs of the same manifest.
    rest: Pending,
}

impl Coordinator {
    /// A coordinator whose first checkpoint will be `first_epoch`.
    pub(crate) fn new(topology: Topology, settings: Settings, first_epoch: Epoch, now_ms: u64) -> Self {
        let next_trigger_ms = settings.interval_ms.map(|interval_ms| now_ms.saturating_add(interval_ms));
        Self {
            topology,
            settings,
            next_epoch: first_epoch,
            next_trigger_ms,
            phase: Phase::Idle,
            carried: Vec::new(),
            timeouts: 0,
            ended: BTreeSet::new(),
            suspend: false,
        }
    }

    /// When a [`Input::Tick`] is needed at the latest; `None`: not before something else happens.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        match &self.phase {
            Phase::Idle => self.next_trigger_ms,
            Phase::Done => None,
            _ => self.flight().map(|flight| flight.triggered_ms.saturating_add(self.settings.timeout_ms)),
        }
    }

    /// Lets the next checkpoint begin at this time, unless one is in flight.
    pub(crate) fn trigger_at(&mut self, at_ms: u64) {
        self.next_trigger_ms = Some(at_ms);
    }

    /// Takes in what happened, and says what to do, in order. After a [`Effect::Finish`] or
    /// [`Effect::Fail`] it does nothing more.
    pub(crate) fn step(&mut self, now_ms: u64, input: Input, effects: &mut Vec<Effect>) {
        if matches!(self.phase, Phase::Done) {
            return;
        }
        let outcome = self.handle(now_ms, input, effects).and_then(|()| self.check_timeout(now_ms, effects));
        match outcome.and_then(|()| self.trigger_if_due(now_ms, effects)) {
            Ok(()) => {}
            Err(error) => {
                // Nothing asked for its publication, so no manifest will ever list it.
                let mut unlisted: Pending = self.take_carried();
                if let Phase::Collecting(flight, collecting) = &mut self.phase {
                    unlisted.extend(collecting.take_prepared(flight.epoch));
                }
                let given_up = planted(Bug::LostAnswerIsFailure) || planted(Bug::NothingAbandoned);
                if let (true, Phase::Publishing(_, pending)) = (given_up, &mut self.phase) {
                    unlisted.append(pending);
                }
                effects.extend(unlisted.into_iter().map(|committable| Effect::Abort { committable }));
                self.phase = Phase::Done;
                effects.push(Effect::Fail(error));
            }
        }
    }

    fn handle(&mut self, now_ms: u64, input: Input, effects: &mut Vec<Effect>) -> Result<()> {
        match input {
            Input::Tick => Ok(()),
            Input::Suspend => {
                self.suspend = true;
                Ok(())
            }
            Input::SourceEnded { worker, source } => self.source_ended(worker, &source),
            Input::SourceReported { worker, source, epoch, splits, finished } => {
                if finished {
                    self.source_ended(worker, &source)?;
                }
                self.collect(epoch, effects, |topology, collecting| {
                    collecting.source(topology, worker, &source, splits, finished)
                })
            }
            Input::StateReported { worker, operator, epoch, watermark, parts } => {
                self.collect(epoch, effects, |topology, collecting| {
                    collecting.state(topology, worker, &operator, watermark, parts)
                })
            }
            Input::Sealed { epoch, share } => self.sealed(epoch, share, effects),
            Input::Prepared { participant, epoch, result } => {
                let result =
                    result.map_err(|error| error.at(format_args!("`{participant}` preparing checkpoint {epoch}")))?;
                self.collect_output(epoch, effects, |_, collecting| collecting.prepared(&participant, result))
            }
            Input::Published { epoch, result } => match result? {
                Publication::Superseded(error) => Err(error),
                Publication::Published(permit) => self.published(now_ms, epoch, permit, effects),
            },
            Input::Committed { participant, epoch, result } => {
                result.map_err(|error| error.at(format_args!("`{participant}` committing checkpoint {epoch}")))?;
                self.committed(now_ms, &participant, epoch, effects)
            }
            Input::Failed(error) => Err(error),
        }
    }

    fn source_ended(&mut self, worker: usize, source: &str) -> Result<()> {
        let number = self.topology.sources.iter().position(|id| id == source);
        match number.filter(|_| worker < self.topology.workers) {
            Some(number) => {
                self.ended.insert((number, worker));
                Ok(())
            }
            None => Err(unknown("source", source, worker)),
        }
    }

    /// Hands something to the checkpoint that is being collected, and publishes when it was the last.
    fn collect(
        &mut self,
        epoch: Epoch,
        effects: &mut Vec<Effect>,
        add: impl FnOnce(&Topology, &mut Collecting) -> Result<Accepted>,
    ) -> Result<()> {
        if epoch >= self.next_epoch {
            return Err(internal(format!("a report of checkpoint {epoch}, which has not begun")));
        }
        let Phase::Collecting(flight, collecting) = &mut self.phase else { return Ok(()) };
        // What comes late, or again, changes nothing.
        if flight.epoch != epoch || add(&self.topology, collecting)? == Accepted::Duplicate {
            return Ok(());
        }
        self.publish_if_complete(effects)
    }

    /// The same for what is collected of abandoned checkpoints, too.
    fn collect_output(
        &mut self,
        epoch: Epoch,
        effects: &mut Vec<Effect>,
        add: impl FnOnce(&Topology, &mut Collecting) -> Result<Accepted>,
    ) -> Result<()> {
        let Some((_, carried)) = self.carried.iter_mut().find(|(carried, _)| *carried == epoch) else {
            return self.collect(epoch, effects, add);
        };
        match add(&self.topology, carried)? {
            Accepted::Duplicate => Ok(()),
            Accepted::New => self.publish_if_complete(effects),
        }
    }

    fn sealed(&mut self, epoch: Epoch, share: Share, effects: &mut Vec<Effect>) -> Result<()> {
        let mut prepare = None;
        self.collect_output(epoch, effects, |topology, collecting| {
            let accepted = collecting.sealed(topology, share)?;
            prepare = collecting.take_ready(topology);
            Ok(accepted)
        })?;
        if let Some((participant, shares)) = prepare {
            effects.push(Effect::Prepare { participant, epoch, shares });
        }
        Ok(())
    }

    fn publish_if_complete(&mut self, effects: &mut Vec<Effect>) -> Result<()> {
        let Phase::Collecting(flight, collecting) = &mut self.phase else { return Ok(()) };
        let carried_too = self.carried.iter().all(|(_, carried)| carried.has_output(&self.topology));
        if !carried_too || !collecting.is_complete(&self.topology) {
            return Ok(());
        }
        let (flight, collecting) = (*flight, std::mem::take(collecting));
        let (sources, operators, own) = collecting.into_content(&self.topology, flight.epoch)?;
        let mut committables = self.take_carried();
        committables.extend(own);
        let cut = Cut {
            epoch: flight.epoch,
            kind: flight.kind,
            triggered_ms: flight.triggered_ms,
            workers: self.topology.workers,
            sources,
            operators,
            committables,
        };
        let flight = Flight { state_bytes: cut.state_bytes(), ..flight };
        self.phase = Phase::Publishing(flight, cut.committables.clone());
        effects.push(Effect::Publish(cut));
        Ok(())
    }

    /// What abandoned checkpoints have prepared, oldest first.
    fn take_carried(&mut self) -> Pending {
        let carried = std::mem::take(&mut self.carried).into_iter();
        carried.flat_map(|(epoch, mut collecting)| collecting.take_prepared(epoch)).collect()
    }

    fn published(&mut self, now_ms: u64, epoch: Epoch, permit: CommitPermit, effects: &mut Vec<Effect>) -> Result<()> {
        let Phase::Publishing(flight, pending) = &mut self.phase else { return Ok(()) };
        if flight.epoch != epoch {
            return Ok(());
        }
        if permit.epoch() != epoch {
            return Err(internal(format!("the permit of checkpoint {} came for checkpoint {epoch}", permit.epoch())));
        }
        let (permit, rest) = (Arc::new(permit), std::mem::take(pending));
        self.phase = Phase::Committing(*flight, Commits { permit, epoch, waiting: BTreeSet::new(), rest });
        self.commit_next(now_ms, effects);
        Ok(())
    }

    /// The only place that asks for commits: of one epoch, when no older one is left.
    fn commit_next(&mut self, now_ms: u64, effects: &mut Vec<Effect>) {
        let Phase::Committing(_, commits) = &mut self.phase else { return };
        if !commits.waiting.is_empty() {
            return;
        }
        let Some(oldest) = commits.rest.first().map(|committable| committable.epoch) else {
            return self.settle(now_ms, effects);
        };
        let (now, later) = std::mem::take(&mut commits.rest).into_iter().partition(|it| it.epoch == oldest);
        let now: Pending = now;
        (commits.epoch, commits.rest) = (oldest, later);
        commits.waiting = now.iter().map(|committable| committable.participant.clone()).collect();
        let permit = &commits.permit;
        effects.extend(now.into_iter().map(|committable| Effect::Commit { committable, permit: Arc::clone(permit) }));
    }

    fn committed(&mut self, now_ms: u64, participant: &str, epoch: Epoch, effects: &mut Vec<Effect>) -> Result<()> {
        let early = match &mut self.phase {
            Phase::Committing(_, commits) => {
                if commits.epoch == epoch {
                    commits.waiting.remove(participant);
                    self.commit_next(now_ms, effects);
                    return Ok(());
                }
                epoch > commits.epoch
            }
            Phase::Collecting(flight, _) => self.carried.first().map_or(flight.epoch, |(oldest, _)| *oldest) <= epoch,
            Phase::Publishing(flight, pending) => pending.first().map_or(flight.epoch, |it| it.epoch) <= epoch,
            Phase::Idle | Phase::Done => self.carried.first().is_some_and(|(oldest, _)| *oldest <= epoch),
        };
        if early {
            return Err(internal(format!("`{participant}` committed checkpoint {epoch} before it was to")));
        }
        Ok(())
    }

    fn settle(&mut self, now_ms: u64, effects: &mut Vec<Effect>) {
        let Phase::Committing(flight, _) = &self.phase else { return };
        self.timeouts = 0;
        let Flight { epoch, kind, triggered_ms, state_bytes } = *flight;
        let duration_ms = now_ms.saturating_sub(triggered_ms);
        effects.push(Effect::Settled(Settled { epoch, kind, duration_ms, state_bytes }));
        let finish = match kind {
            CheckpointKind::Checkpoint | CheckpointKind::Savepoint => None,
            CheckpointKind::Suspend => Some(Finish::Suspended),
            CheckpointKind::End => Some(Finish::Ended),
        };
        if let Some(finish) = finish {
            self.phase = Phase::Done;
            effects.push(Effect::Finish(finish));
            return;
        }
        self.phase = Phase::Idle;
        let earliest_ms = now_ms.saturating_add(self.settings.pause_ms_min);
        self.next_trigger_ms =
            self.settings.interval_ms.map(|interval_ms| triggered_ms.saturating_add(interval_ms).max(earliest_ms));
    }

    fn trigger_if_due(&mut self, now_ms: u64, effects: &mut Vec<Effect>) -> Result<()> {
        let Some(kind) = self.due(now_ms) else { return Ok(()) };
        let epoch = self.next_epoch;
        self.next_epoch = epoch.next();
        self.phase =
            Phase::Collecting(Flight { epoch, kind, triggered_ms: now_ms, state_bytes: 0 }, Collecting::default());
        effects.push(Effect::Barrier { epoch, kind });
        self.publish_if_complete(effects)
    }

    /// The kind of checkpoint that should begin now.
    fn due(&self, now_ms: u64) -> Option<CheckpointKind> {
        if !matches!(self.phase, Phase::Idle) {
            return None;
        }
        if self.ended.len() == self.topology.sources.len() * self.topology.workers {
            return Some(CheckpointKind::End);
        }
        if self.suspend {
            return Some(CheckpointKind::Suspend);
        }
        let time_has_come = self.next_trigger_ms.is_some_and(|trigger_ms| trigger_ms <= now_ms);
        time_has_come.then_some(CheckpointKind::Checkpoint)
    }

    fn check_timeout(&mut self, now_ms: u64, effects: &mut Vec<Effect>) -> Result<()> {
        let Some(&flight) = self.flight() else { return Ok(()) };
        if now_ms.saturating_sub(flight.triggered_ms) < self.settings.timeout_ms {
            return Ok(());
        }
        let missing = match &self.phase {
            Phase::Collecting(_, collecting) => self.missing(collecting).join(", "),
            Phase::Committing(_, Commits { epoch, waiting, .. }) => waiting
                .iter()
                .map(|participant| format!("the commit of epoch {epoch} by `{participant}`"))
                .collect::<Vec<_>>()
                .join(", "),
            _ => "the checkpoint store to take the manifest".to_owned(),
        };
        let late = format!(
            "{} {} did not finish within {} ms: it waited for {missing}",
            flight.kind, flight.epoch, self.settings.timeout_ms
        );
        if let (Phase::Collecting(_, collecting), true) =
            (&mut self.phase, self.timeouts < self.settings.tolerated_timeouts)
        {
            let mut output = std::mem::take(collecting);
            output.forget_state();
            if planted(Bug::CarriedAborted) {
                let prepared = output.take_prepared(flight.epoch).into_iter();
                effects.extend(prepared.map(|committable| Effect::Abort { committable }));
            } else {
                self.carried.push((flight.epoch, output));
            }
            self.timeouts += 1;
            self.phase = Phase::Idle;
            self.next_trigger_ms = Some(now_ms.saturating_add(self.settings.pause_ms_min));
            effects.push(Effect::Abandoned { epoch: flight.epoch, late });
            return Ok(());
        }
        let advice = "Look for back-pressure there, or raise the checkpoint timeout";
        Err(Error::new(ErrorKind::Timeout, format!("{late}. {advice}")))
    }

    /// What is missing, of abandoned checkpoints first: it is the oldest that holds things up.
    fn missing(&self, collecting: &Collecting) -> Vec<String> {
        let carried = self.carried.iter().flat_map(|(epoch, carried)| {
            let of = move |what: String| format!("{what} (of checkpoint {epoch})");
            carried.missing_output(&self.topology).into_iter().map(of)
        });
        let mut missing: Vec<String> = carried.collect();
        missing.extend(collecting.missing_state(&self.topology));
        missing.extend(collecting.missing_output(&self.topology));
        if missing.len() > MISSING_NAMED_MAX {
            let more = missing.len() - MISSING_NAMED_MAX;
            missing.truncate(MISSING_NAMED_MAX);
            missing.push(format!("{more} more"));
        }
        missing
    }

    fn flight(&self) -> Option<&Flight> {
        match &self.phase {
            Phase::Collecting(flight, _) | Phase::Publishing(flight, _) | Phase::Committing(flight, _) => Some(flight),
            Phase::Idle | Phase::Done => None,
        }
    }
}

fn unknown(what: &str, id: &str, worker: usize) -> Error {
    internal(format!("a report of {what} `{id}` on worker {worker}, which the plan does not have"))
}

fn internal(what: String) -> Error {
    Error::new(ErrorKind::Internal, format!("the checkpoint coordinator got {what}; please report this"))
}
