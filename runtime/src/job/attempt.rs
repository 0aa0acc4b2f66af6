//! An attempt's beginning: claim the job, settle what earlier attempts left, start the threads.

use super::drive::Underway;
use super::links::connect;
use super::participants::{Attempt, Opened};
use super::runner::Runner;
use super::storage::Storage;
use super::teardown::Threads;
use super::workers::{Workers, bells};
use crate::control::log::{CheckpointLog, ClaimRequest, Claimed, RestoreFrom};
use crate::control::manifest::{Manifest, StateLayout};
use crate::control::message::{OperatorSpec, SinkSpec, Topology};
use crate::control::recovery::{Recovery, RestorePlan, decide};
use crate::control::store::CheckpointStore;
use crate::crash::crash_point;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::logical::{Graph, NodeKind};
use crate::metrics::NodeMetrics;
use crate::progress::Outcome;
use crate::settings::CheckpointSettings;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

/// Reports that may wait for the driver. Workers that find it full wait; the driver always comes round.
const EVENTS_MAX: usize = 4_096;

/// The part of the graph that the coordinator sees.
pub(super) fn topology(graph: &Graph, workers: usize) -> Topology {
    let mut topology = Topology { workers, ..Topology::default() };
    for node in &graph.nodes {
        match (node.kind, &node.state, &node.participant) {
            (NodeKind::Source, ..) => {
                topology.sources.push(node.id.clone());
                topology.endless |= node.endless;
            }
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

/// What came of the beginning.
pub(super) enum Begun {
    Underway(Box<Underway>),
    /// There was nothing left to run.
    Over(Outcome),
}

/// From an epoch's first record until its output is committed or the attempt has failed: the checkpoint
/// may be late, and then as many times as that is tolerated the one that takes its output in.
fn epoch_within(checkpoint: &CheckpointSettings) -> Duration {
    let late = checkpoint.timeout.saturating_add(checkpoint.min_pause);
    checkpoint.interval.saturating_add(late.saturating_mul(checkpoint.tolerated_timeouts.saturating_add(1)))
}

impl Runner {
    /// Begins an attempt.
    pub(super) fn begin(&mut self) -> Result<Begun> {
        self.metrics.iter().for_each(NodeMetrics::forget_lag);
        let (store, start) = self.claim()?;
        let epoch = start.claimed.next_epoch;
        let checkpoint = &self.settings.checkpoint;
        let attempt = Attempt {
            job: &self.name,
            lineage: &store.identity().lineage.to_string(),
            attempt: start.claimed.log.attempt(),
            epoch,
            workers: self.settings.workers,
            epoch_interval: checkpoint.interval,
            epoch_within: epoch_within(checkpoint),
        };
        let mut participants = Opened::open(&self.wired.graph, &self.wired.builds, &attempt)?;
        crash_point("before-recover");
        let Claimed { log, restored, permit, .. } = start.claimed;
        let (mut log, restored) = (log, restored.map(|manifest| manifest.cut));
        let (now, checkpoint) = (self.environment.clock(), &self.settings.checkpoint);
        let finished = restored.as_ref().filter(|_| start.finished).cloned();
        let recovery = log.recovery(restored, permit, checkpoint.accept_data_loss, || now.now_ms());
        participants.recover(&mut recovery.accepting_repeats(checkpoint.accept_repeats))?;
        crash_point("recovered");
        if let Some(finished) = finished {
            // Who starts it once more, long after, may have nobody left to ask how its output has ended.
            if let Err(error) = log.close_restored(finished, now.now_ms()) {
                tracing::warn!(%error, "that the last checkpoint's output is committed could not be noted");
            }
            tracing::info!(
                "all input was read and committed by an earlier run; to process it anew, give the job another checkpoint folder \
                 (--checkpoint-dir) and its sinks another place"
            );
            return Ok(Begun::Over(Outcome::Ended));
        }
        let (bells, wakers) = bells(self.settings.workers);
        let writers = participants.writers(&self.wired.graph, &self.wired.builds, epoch, &wakers)?;
        let links = connect(&self.wired, &wakers);
        let plans = self.worker_plans(&*store, start.plan, links, writers, &wakers);
        let plans = plans.map_err(|error| log.why(error))?;

        let (events, heard) = sync_channel(EVENTS_MAX);
        let (environment, checkpoint) = (&*self.environment, &self.settings.checkpoint);
        let checkpoints = checkpoint.tolerated_timeouts as usize + 1;
        let storage = (checkpoint.retain, checkpoints);
        let storage = Storage::start(environment, log, &start.topology, storage, &events)?;
        let participants = participants.start(environment, &events)?;
        let workers = Workers::start(environment, plans, bells, &events)?;
        let threads = Threads { workers, participants, storage };
        Ok(Begun::Underway(Box::new(Underway::new(threads, heard, start.topology, epoch))))
    }

    /// Takes the job over, and decides what to start from.
    fn claim(&mut self) -> Result<(Arc<dyn CheckpointStore>, Start)> {
        let store = self.open_store()?;
        let topology = topology(&self.wired.graph, self.settings.workers);
        // Only the first attempt goes on from a chosen checkpoint; a restart goes on from its own.
        let chosen = self.settings.checkpoint.restore.filter(|_| self.own.is_none());
        let restore = chosen.map_or(RestoreFrom::Newest, |slot| RestoreFrom::Slot {
            slot,
            accept_repeats: self.settings.checkpoint.accept_repeats,
        });
        let info = self.environment.process();
        let attempt = self.environment.uuid();
        let request = ClaimRequest { attempt, info, restore, now_ms: self.environment.clock().now_ms() };
        let log = CheckpointLog::open(store.clone(), &self.name)?;
        let fits =
            |restored: Option<&Manifest>| decide(restored, &topology, self.settings.checkpoint.allow_dropped_state);
        if self.own.is_none() {
            // A program that does not fit must not stop the one that runs.
            fits(log.look(restore)?.as_ref())?;
        }
        crash_point("before-claim");
        let claimed = log.claim(&request, &mut self.own)?;
        crash_point("claimed");
        let (plan, finished) = match fits(claimed.restored.as_ref())? {
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

    /// Why the last attempt failed: of a copy that has taken the job over it may only see what came of it.
    pub(super) fn why_failed(&self, error: Error) -> Error {
        let Some(own) = &self.own else { return error };
        let store = self.environment.reopen_store(&self.dir).ok();
        let store = store.filter(|store| own.is_in(&**store));
        match store.and_then(|store| CheckpointLog::open(store, &self.name).ok()) {
            Some(log) => log.why_failed(error, own),
            None => error,
        }
    }

    /// Opens the store; the first attempt makes it if there is none.
    fn open_store(&self) -> Result<Arc<dyn CheckpointStore>> {
        let Some(own) = &self.own else { return self.environment.open_store(&self.dir, &self.name) };
        // Never made anew by a restart: an empty store is a first start, and all output would appear again.
        let gone = |what: &str| {
            let message =
                format!("{}: {what} while the job ran; bring it back, then start the job again", self.dir.display());
            Error::new(ErrorKind::Store, message)
        };
        let store = self
            .environment
            .reopen_store(&self.dir)
            .map_err(|error| gone("the checkpoint store has gone").caused_by(error))?;
        if own.is_in(&*store) { Ok(store) } else { Err(gone("another checkpoint store has come here")) }
    }
}
