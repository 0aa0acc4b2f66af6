//! One attempt: claim the job, settle what earlier attempts left, build the workers, drive checkpoints
//! until the end, the suspend, or the first failure.

use super::links::{Links, connect};
use super::participants::{Attempt, Opened, Writers};
use super::storage::{StateTask, Storage};
use super::teardown::Threads;
use super::workers::{Workers, bells};
use super::{Event, Positions, Runner, internal, whole_ms};
use crate::api::sink::Share;
use crate::clock::{Clock, SystemClock};
use crate::control::coordinator::Coordinator;
use crate::control::log::{CheckpointLog, ClaimRequest, Claimed, RestoreFrom};
use crate::control::manifest::StateLayout;
use crate::control::message::{Effect, Finish, Input, OperatorSpec, Settings, SinkSpec, Topology};
use crate::control::recovery::{Recovery, RestorePlan, decide};
use crate::control::store::{CheckpointStore, LocalStore};
use crate::crash::crash_point;
use crate::data::build::{RestoredOperator, WorkerPlan};
use crate::data::event::Barrier;
use crate::data::report::Report;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::logical::{Graph, NodeKind};
use crate::id::Epoch;
use crate::metrics::NodeMetrics;
use crate::progress::{CheckpointStats, Outcome};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

/// Reports that may wait for the driver. Workers that find it full wait; the driver always comes round.
const EVENTS_MAX: usize = 4_096;
/// How long the driver waits for an event before it looks at clock, observer and stop flag.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The part of the graph that the coordinator sees.
pub(super) fn topology(graph: &Graph, workers: usize) -> Topology {
    let mut topology = Topology { workers, ..Topology::default() };
    for node in &graph.nodes {
        match (node.kind, &node.state, &node.participant) {
            (NodeKind::Source, ..) => topology.sources.push(node.id.clone()),
            (_, Some(state), _) => {
                let layout = StateLayout::new(
                    state.key.as_str(),
                    state.schema.clone(),
                    state.event_timers,
                    state.processing_timers,
                );
                topology.operators.push(OperatorSpec { id: node.id.clone(), layout });
            }
            (_, _, Some(participant)) => {
                topology.sinks.push(SinkSpec { id: node.id.clone(), participant: participant.clone() });
            }
            _ => {}
        }
    }
    topology
}

/// What an attempt starts from.
struct Start {
    topology: Topology,
    claimed: Claimed,
    plan: Option<RestorePlan>,
    finished: bool,
}

/// What an attempt of this process claimed last.
pub(super) struct OwnClaim {
    lineage: uuid::Uuid,
    slot: u64,
    attempt: uuid::Uuid,
}

impl Runner {
    /// Runs one attempt to its end.
    pub(super) fn attempt(&mut self) -> Result<Outcome> {
        self.metrics.iter().for_each(NodeMetrics::forget_lag);
        let (store, start) = self.claim()?;
        let epoch = start.claimed.next_epoch;
        let attempt = Attempt {
            job: &self.name,
            lineage: &store.identity().lineage.to_string(),
            attempt: start.claimed.log.attempt(),
            epoch,
            workers: self.settings.workers,
            epoch_interval: self.settings.checkpoint.interval,
            epoch_within: self.settings.checkpoint.interval + self.settings.checkpoint.timeout,
        };
        let mut participants = Opened::open(&self.wired.graph, &self.wired.builds, &attempt)?;
        crash_point("before-recover");
        let Claimed { log, restored, permit, .. } = start.claimed;
        let (mut log, restored) = (log, restored.map(|manifest| manifest.cut));
        let accept_data_loss = self.settings.checkpoint.accept_data_loss;
        participants.recover(&mut log.recovery(restored, permit, accept_data_loss, || SystemClock.now_ms()))?;
        crash_point("recovered");
        if start.finished {
            tracing::info!(
                "all input was read and committed by an earlier run; to process it anew, give the job another checkpoint folder \
                 (--checkpoint-dir) and its sinks another place"
            );
            return Ok(Outcome::Ended);
        }
        let (bells, wakers) = bells(self.settings.workers);
        let writers = participants.writers(&self.wired.graph, &self.wired.builds, epoch, &wakers)?;
        let links = connect(&self.wired, &wakers);
        let plans = self.worker_plans(&*store, start.plan, links, writers, &wakers)?;

        let (events, heard) = sync_channel(EVENTS_MAX);
        let checkpoint = &self.settings.checkpoint;
        let checkpoints = checkpoint.tolerated_timeouts as usize + 1;
        let storage = Storage::start(log, &start.topology, checkpoint.retain, checkpoints, &events)?;
        let participants = participants.start(&events)?;
        let workers = Workers::spawn(plans, bells, &events)?;
        let threads = Threads { workers, participants, storage };
        let settings = self.coordinator_settings();
        let outcome = self.await_built(&heard).and_then(|early| {
            let mut coordinator = Coordinator::new(start.topology, settings, epoch, self.now_ms());
            self.drive(&threads, &mut coordinator, early, &heard)
        });
        drop(events);
        // Whatever the outcome: beside a thread that does not end there must be no other attempt.
        match (threads.stop(&heard, self.settings.shutdown_timeout), outcome) {
            (Ok(()), outcome) => outcome,
            (Err(stuck), Ok(_)) => Err(stuck),
            (Err(stuck), Err(failure)) => Err(stuck.caused_by(failure)),
        }
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

    /// Takes the job over, and decides what to start from.
    fn claim(&mut self) -> Result<(Arc<dyn CheckpointStore>, Start)> {
        let store: Arc<dyn CheckpointStore> = Arc::new(self.open_store()?);
        let topology = topology(&self.wired.graph, self.settings.workers);
        // Only the first attempt goes on from a chosen checkpoint; a restart goes on from its own.
        let chosen = self.settings.checkpoint.restore.filter(|_| self.own.is_none());
        let restore = chosen.map_or(RestoreFrom::Newest, |slot| RestoreFrom::Slot {
            slot,
            accept_repeats: self.settings.checkpoint.accept_repeats,
        });
        let info = format!("process {}", std::process::id());
        let attempt = crate::random::uuid();
        let follows = self.own.as_ref().map(|own| (own.slot, own.attempt));
        let request = ClaimRequest { attempt, info, restore, now_ms: SystemClock.now_ms(), follows };
        crash_point("before-claim");
        let claimed = CheckpointLog::open(store.clone(), &self.name)?.claim(&request)?;
        self.own = Some(OwnClaim { lineage: store.identity().lineage, slot: claimed.log.attempt(), attempt });
        crash_point("claimed");
        let recovery = decide(claimed.restored.as_ref(), &topology, self.settings.checkpoint.allow_dropped_state)?;
        let (plan, finished) = match recovery {
            Recovery::Fresh => (None, false),
            Recovery::Restore(plan) => (Some(plan), false),
            Recovery::Finished(plan) => (Some(plan), true),
        };
        match &plan {
            None => tracing::info!(job = self.name, store = store.describe(), "starting for the first time"),
            Some(plan) => {
                tracing::info!(
                    job = self.name,
                    store = store.describe(),
                    epoch = plan.epoch.0,
                    "going on from a checkpoint"
                );
                plan.dropped.iter().for_each(|what| tracing::warn!("leaving behind {what}"));
            }
        }
        Ok((store, Start { topology, claimed, plan, finished }))
    }

    /// Opens the store; the first attempt makes it if there is none.
    fn open_store(&self) -> Result<LocalStore> {
        let Some(own) = &self.own else { return LocalStore::open(&self.dir, &self.name, crate::random::uuid) };
        // Never made anew by a restart: an empty store is a first start, and all output would appear again.
        let gone = |what: &str| {
            let message =
                format!("{}: {what} while the job ran; bring it back, then start the job again", self.dir.display());
            Error::new(ErrorKind::Store, message)
        };
        let store = LocalStore::open_existing(&self.dir, crate::random::uuid)
            .map_err(|error| gone("the checkpoint store has gone").caused_by(error))?;
        if store.identity().lineage == own.lineage {
            Ok(store)
        } else {
            Err(gone("another checkpoint store has come here"))
        }
    }

    fn worker_plans(
        &self,
        store: &dyn CheckpointStore,
        restore: Option<RestorePlan>,
        links: Links,
        writers: Writers,
        wakers: &[crate::api::source::Waker],
    ) -> Result<Vec<WorkerPlan>> {
        let positions = restore.as_ref().map(|plan| Arc::new(self.positions(plan)));
        let mut states = match &restore {
            Some(plan) => self.read_states(store, plan)?,
            None => wakers.iter().map(|_| HashMap::new()).collect(),
        };
        let workers = wakers.len();
        let each = links.into_iter().zip(writers).zip(wakers).enumerate();
        Ok(each
            .map(|(worker, ((links, writers), waker))| WorkerPlan {
                job: self.name.clone(),
                worker,
                workers,
                graph: self.wired.graph.clone(),
                builds: self.wired.builds.clone(),
                tees: self.wired.tees.clone(),
                parts: self.wired.parts.clone(),
                links,
                writers,
                states: std::mem::take(&mut states[worker]),
                positions: positions.clone(),
                waker: waker.clone(),
                aligned: self.settings.checkpoint.aligned,
                now: SystemClock.now(),
                metrics: self.metrics.clone(),
            })
            .collect())
    }

    fn positions(&self, plan: &RestorePlan) -> Positions {
        let nodes = self.wired.graph.nodes.iter().enumerate();
        let restored = nodes.filter_map(|(at, node)| Some((at, plan.sources.get(&node.id)?.splits.clone())));
        restored.collect()
    }

    /// Reads the blobs, each once, and gives every worker those that hold key groups of its own.
    fn read_states(
        &self,
        store: &dyn CheckpointStore,
        plan: &RestorePlan,
    ) -> Result<Vec<HashMap<usize, RestoredOperator>>> {
        let mut read: HashMap<&str, Arc<Vec<u8>>> = HashMap::new();
        let mut states: Vec<HashMap<usize, RestoredOperator>> =
            (0..self.settings.workers).map(|_| HashMap::new()).collect();
        for (at, node) in self.wired.graph.nodes.iter().enumerate() {
            for (worker, restore) in plan.operators.get(&node.id).into_iter().flatten().enumerate() {
                let mut restored = RestoredOperator { watermark: restore.watermark, parts: Vec::new() };
                for part in &restore.parts {
                    if !read.contains_key(part.blob.as_str()) {
                        let bytes = store.get_blob(&part.blob)?;
                        part.check(&bytes)?;
                        read.insert(&part.blob, Arc::new(bytes));
                    }
                    restored.parts.extend(read.get(part.blob.as_str()).cloned());
                }
                states[worker].insert(at, restored);
            }
        }
        Ok(states)
    }

    /// Waits until every worker has built its copy of the graph and restored its state, however long that
    /// takes: it does not count against the first checkpoint. Returns what else was heard meanwhile.
    fn await_built(&mut self, events: &Receiver<Event>) -> Result<Vec<Event>> {
        let (mut early, mut built) = (Vec::new(), 0);
        while built < self.settings.workers {
            match events.recv_timeout(LOOK_EVERY) {
                Ok(Event::Worker(_, Report::Built)) => built += 1,
                Ok(Event::Worker(_, Report::Failed(error))) if !error.is_echo() => return Err(error),
                Ok(event) => early.push(event),
                Err(RecvTimeoutError::Timeout) => self.told.tell(&self.wired.graph, &self.metrics),
                Err(RecvTimeoutError::Disconnected) => return Err(internal("nobody is left to drive")),
            }
        }
        Ok(early)
    }

    fn now_ms(&self) -> u64 {
        self.told.clock.now_ms()
    }

    /// Hands on events and effects until the attempt is over.
    fn drive(
        &mut self,
        threads: &Threads,
        coordinator: &mut Coordinator,
        early: Vec<Event>,
        events: &Receiver<Event>,
    ) -> Result<Outcome> {
        let (mut early, mut effects, mut leave_by) = (early.into_iter(), Vec::new(), None);
        loop {
            let until = coordinator.next_deadline().map_or(u64::MAX, |at| at.saturating_sub(self.now_ms()));
            let next =
                early.next().map_or_else(|| events.recv_timeout(Duration::from_millis(until).min(LOOK_EVERY)), Ok);
            let input = match next {
                Ok(event) => self.translate(event, threads)?,
                Err(RecvTimeoutError::Timeout) => Some(Input::Tick),
                Err(RecvTimeoutError::Disconnected) => return Err(internal("nobody is left to drive")),
            };
            if self.stop.load(Ordering::Relaxed) && leave_by.is_none() {
                leave_by = Some(self.told.clock.now() + self.settings.shutdown_timeout);
                coordinator.step(self.now_ms(), Input::Suspend, &mut effects);
            }
            if leave_by.is_some_and(|at| self.told.clock.now() > at) {
                return Err(self.too_slow_to_leave());
            }
            if let Some(input) = input {
                coordinator.step(self.now_ms(), input, &mut effects);
            }
            for effect in effects.drain(..) {
                if let Some(outcome) = self.carry_out(effect, threads)? {
                    return Ok(outcome);
                }
            }
            self.told.tell(&self.wired.graph, &self.metrics);
        }
    }

    fn too_slow_to_leave(&self) -> Error {
        let message = format!(
            "the last checkpoint was not finished within the shutdown timeout of {:?}; nothing is lost, the next start goes on \
             from the checkpoint before",
            self.settings.shutdown_timeout
        );
        // Not a kind that restarts: the job was asked to leave.
        Error::new(ErrorKind::Internal, message)
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

    /// Does what the coordinator asks for.
    fn carry_out(&mut self, effect: Effect, threads: &Threads) -> Result<Option<Outcome>> {
        match effect {
            Effect::Barrier { epoch, kind } => threads.workers.inject(Barrier { epoch, kind }),
            Effect::Prepare { participant, epoch, shares } => threads.participants.prepare(&participant, epoch, shares),
            Effect::Publish(cut) => threads.storage.publish(cut)?,
            Effect::Commit { committable, permit } => threads.participants.commit(committable, permit),
            Effect::Abandoned { epoch, late } => {
                tracing::warn!(
                    epoch = epoch.0,
                    late,
                    "a checkpoint is too late; the next one takes in what it has prepared"
                );
            }
            Effect::Abort { committable } => threads.participants.abort(committable),
            Effect::Settled(settled) => {
                crash_point("settled");
                threads.workers.committed(settled.epoch);
                threads.storage.retain()?;
                self.settled(settled.epoch, settled.duration_ms, settled.state_bytes);
            }
            Effect::Finish(Finish::Ended) => return Ok(Some(Outcome::Ended)),
            Effect::Finish(Finish::Suspended) => return Ok(Some(Outcome::Suspended)),
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
