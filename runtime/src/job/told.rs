//! What an observer is told while the job runs, and what the summary is made of.

use crate::clock::Clock;
use crate::graph::logical::Graph;
use crate::metrics::NodeMetrics;
use crate::progress::{CheckpointStats, Observer, Progress};
use crate::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// What the observer is told, and the summary is made of.
pub(super) struct Told {
    observer: Option<Box<dyn Observer>>,
    /// For elapsed time and deadlines.
    pub clock: Arc<dyn Clock>,
    started: Timestamp,
    pub attempt: u32,
    pub failed: u32,
    pub checkpoints: u64,
    pub last: Option<(CheckpointStats, Timestamp)>,
    next: Timestamp,
}

/// How often the observer is told.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

impl Told {
    pub fn new(observer: Option<Box<dyn Observer>>, clock: Arc<dyn Clock>) -> Self {
        let now = clock.now();
        Self { observer, clock, started: now, attempt: 0, failed: 0, checkpoints: 0, last: None, next: now }
    }

    fn elapsed(&self, since: Timestamp) -> Duration {
        let ms = self.clock.now().as_millis() - since.as_millis();
        Duration::from_millis(u64::try_from(ms).unwrap_or(0))
    }

    /// Tells the observer, if it is time to.
    pub fn tell(&mut self, graph: &Graph, metrics: &[NodeMetrics]) {
        let now = self.clock.now();
        if now < self.next || self.observer.is_none() {
            return;
        }
        self.next = now + PROGRESS_EVERY;
        let progress = self.progress(graph, metrics);
        if let Some(observer) = &mut self.observer {
            observer.progress(&progress);
        }
    }

    pub fn progress(&self, graph: &Graph, metrics: &[NodeMetrics]) -> Progress {
        let nodes: Vec<_> = graph.nodes.iter().zip(metrics).map(|(node, it)| (node.id.clone(), it.read())).collect();
        let sources = || graph.nodes.iter().zip(metrics).filter(|(node, _)| node.inputs.is_empty());
        let lags: Vec<u64> = sources().filter_map(|(_, it)| it.read().lag).collect();
        let left_out = nodes.iter().map(|(_, counts)| counts.left_out).sum();
        let last_checkpoint = self.last.map(|(stats, at)| CheckpointStats { ended_ago: self.elapsed(at), ..stats });
        Progress {
            elapsed: self.elapsed(self.started),
            attempt: self.attempt,
            sources_read: sources().map(|(_, it)| it.read().received).sum(),
            nodes,
            left_out,
            lag: (!lags.is_empty()).then(|| lags.iter().sum()),
            last_checkpoint,
            checkpoints: self.checkpoints,
            failed_attempts: self.failed,
        }
    }
}
