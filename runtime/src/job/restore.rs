//! What the workers of an attempt go on from: each its copy of the graph, its positions, its state.

use super::links::Links;
use super::participants::Writers;
use super::runner::Runner;
use crate::api::source::{SplitPosition, Waker};
use crate::control::recovery::RestorePlan;
use crate::control::store::CheckpointStore;
use crate::data::build::{RestoredOperator, WorkerPlan};
use crate::error::Result;
use crate::planted::{Bug, planted};
use std::collections::HashMap;
use std::sync::Arc;

/// The positions to restore, by source node.
type Positions = HashMap<usize, Vec<SplitPosition>>;

impl Runner {
    pub(super) fn worker_plans(
        &self,
        store: &dyn CheckpointStore,
        restore: Option<RestorePlan>,
        links: Links,
        writers: Writers,
        wakers: &[Waker],
    ) -> Result<Vec<WorkerPlan>> {
        let listed = restore.as_ref().filter(|_| !planted(Bug::PositionsForgotten));
        let positions = Arc::new(listed.map(|plan| self.positions(plan)).unwrap_or_default());
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
                aligned: self.settings.checkpoint.aligned && !planted(Bug::AlignmentOff),
                now: self.environment.clock().now(),
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
}
