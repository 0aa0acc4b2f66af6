//! A job: the pipeline's graph, checked, run in attempts until its input ends, it is asked to leave, or
//! a failure is final.
//!
//! ```text
//! wire -> check -> ┌ attempt: claim -> recover -> build -> run ┐ -> summary
//!                  └──────── failed: wait, and again ──────────┘
//! ```

mod attempt;
mod links;
mod participants;
mod storage;
mod teardown;
mod workers;

use crate::api::source::SplitPosition;
use crate::clock::{Clock, SystemClock};
use crate::control::manifest::StatePart;
use crate::data::build::BuildNode;
use crate::data::report::Report;
use crate::error::{Error, ErrorKind, Result};
use crate::flow::{Flow, Parts, Pipeline, Wiring};
use crate::graph::logical::{Graph, PortRef};
use crate::graph::{check, show};
use crate::id::Epoch;
use crate::metrics::NodeMetrics;
use crate::progress::{CheckpointStats, Observer, Outcome, Progress, Summary};
use crate::settings::Settings;
use crate::stop::StopHandle;
use crate::time::Timestamp;
use std::any::Any;
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What the driver hears, from all threads of an attempt.
#[derive(Debug)]
pub(crate) enum Event {
    Worker(usize, Report),
    Stored { worker: usize, operator: String, epoch: Epoch, watermark: Timestamp, parts: Result<Vec<StatePart>> },
    Prepared { participant: String, epoch: Epoch, prepared: Result<Option<Vec<u8>>> },
    Published { epoch: Epoch, result: Result<crate::control::log::Publication> },
    Committed { participant: String, epoch: Epoch, committed: Result<()> },
    Failed(Error),
}

/// A graph that passed its checks, with all that workers need of it.
pub(crate) struct Wired {
    pub graph: Arc<Graph>,
    pub builds: Arc<Vec<Arc<dyn BuildNode>>>,
    pub tees: Arc<HashMap<PortRef, Arc<dyn Any + Send + Sync>>>,
    pub parts: Parts,
}

/// Wires a pipeline and checks what types could not say; all problems at once.
pub(crate) fn wire<P: Pipeline>(config: Arc<P::Config>) -> Result<Wired> {
    let flow = Flow::new(P::NAME, config);
    P::build(&flow);
    let wiring = std::mem::take(&mut *Rc::clone(&flow.wiring).borrow_mut());
    let Wiring { graph, builds, tees, parts, errors } = wiring;
    check::check(&graph, errors, |id| parts.find_config(id).is_some(), |id| parts.find_resource(id).is_some())?;
    Ok(Wired { graph: Arc::new(graph), builds: Arc::new(builds), tees: Arc::new(tees), parts })
}

/// A pipeline with its configuration, about to be run: what `my_pipeline::job(config)` returns.
///
/// ```text
/// word_count::job(config).workers(4).checkpoint_dir("/var/lib/word_count").run()?;
/// ```
#[must_use = "a job does nothing before `.run()`"]
pub struct JobBuilder<P: Pipeline> {
    config: Arc<P::Config>,
    settings: Settings,
    observer: Option<Box<dyn Observer>>,
    stop: Arc<AtomicBool>,
    signals: bool,
}

impl<P: Pipeline> JobBuilder<P> {
    /// A job of this pipeline with default [settings](Settings).
    pub fn new(config: P::Config) -> Self {
        let (config, settings) = (Arc::new(config), Settings::default());
        Self { config, settings, observer: None, stop: Arc::default(), signals: false }
    }

    /// Replaces all settings.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// The job's name: part of everything that it owns outside. By default the pipeline's name.
    pub fn name(mut self, name: &str) -> Self {
        self.settings.name = Some(name.to_owned());
        self
    }

    /// How many workers, each a thread with a copy of the whole graph.
    pub fn workers(mut self, workers: usize) -> Self {
        self.settings.workers = workers;
        self
    }

    /// The folder of the checkpoint store.
    pub fn checkpoint_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.settings.checkpoint.dir = Some(dir.into());
        self
    }

    /// The time from one checkpoint to the next.
    pub fn checkpoint_interval(mut self, interval: Duration) -> Self {
        self.settings.checkpoint.interval = interval;
        self
    }

    /// Tells somebody how the job proceeds.
    pub fn observe(mut self, observer: impl Observer + 'static) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// Suspends on SIGTERM and Ctrl-C; a second one ends the process at once.
    pub fn stop_on_signals(mut self) -> Self {
        self.signals = true;
        self
    }

    /// A handle that suspends this job, from any thread.
    #[must_use]
    pub fn stop_handle(&self) -> StopHandle {
        let stop = self.stop.clone();
        StopHandle::new(move || stop.store(true, Ordering::Relaxed))
    }

    /// The graph as people see it, checked but not run.
    ///
    /// # Errors
    /// [`ErrorKind::Graph`] with everything that is wrong with the wiring.
    pub fn graph(&self, format: show::GraphFormat) -> Result<String> {
        let wired = wire::<P>(self.config.clone())?;
        Ok(show::show(&wired.graph, self.settings.workers, format))
    }

    /// Runs the job on this thread, until its input ends or it is suspended.
    ///
    /// # Errors
    /// What the restart policy does not cure, or what it has given up on. Nothing is lost: the next run
    /// goes on from the last checkpoint.
    pub fn run(self) -> Result<Summary> {
        self.settings.validate()?;
        let wired = wire::<P>(self.config.clone())?;
        let name = self.settings.job_name(P::NAME).to_owned();
        let dir = self.settings.checkpoint_dir(P::NAME);
        let metrics = Arc::new(wired.graph.nodes.iter().map(|_| NodeMetrics::default()).collect());
        Runner { name, dir, wired, settings: self.settings, stop: self.stop, metrics, told: Told::new(self.observer), own: None }.run()
    }
}

/// What is kept over the attempts of a job.
pub(crate) struct Runner {
    name: String,
    dir: PathBuf,
    wired: Wired,
    settings: Settings,
    stop: Arc<AtomicBool>,
    metrics: Arc<Vec<NodeMetrics>>,
    told: Told,
    /// What the attempt before claimed.
    own: Option<attempt::OwnClaim>,
}

/// What the observer is told, and the summary is made of.
struct Told {
    observer: Option<Box<dyn Observer>>,
    started: Timestamp,
    attempt: u32,
    failed: u32,
    checkpoints: u64,
    last: Option<(CheckpointStats, Timestamp)>,
    next: Timestamp,
}

/// How often the observer is told.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

impl Told {
    fn new(observer: Option<Box<dyn Observer>>) -> Self {
        let now = SystemClock.now();
        Self { observer, started: now, attempt: 0, failed: 0, checkpoints: 0, last: None, next: now }
    }

    fn elapsed(&self, since: Timestamp) -> Duration {
        let ms = SystemClock.now().as_millis() - since.as_millis();
        Duration::from_millis(u64::try_from(ms).unwrap_or(0))
    }

    /// Tells the observer, if it is time to.
    fn tell(&mut self, graph: &Graph, metrics: &[NodeMetrics]) {
        let now = SystemClock.now();
        if now < self.next || self.observer.is_none() {
            return;
        }
        self.next = now + PROGRESS_EVERY;
        let progress = self.progress(graph, metrics);
        if let Some(observer) = &mut self.observer {
            observer.progress(&progress);
        }
    }

    fn progress(&self, graph: &Graph, metrics: &[NodeMetrics]) -> Progress {
        let nodes: Vec<_> = graph.nodes.iter().zip(metrics).map(|(node, it)| (node.id.clone(), it.read())).collect();
        let sources = || graph.nodes.iter().zip(metrics).filter(|(node, _)| node.inputs.is_empty());
        let lags: Vec<u64> = sources().filter_map(|(_, it)| it.read().lag).collect();
        let last_checkpoint = self.last.map(|(stats, at)| CheckpointStats { ended_ago: self.elapsed(at), ..stats });
        Progress {
            elapsed: self.elapsed(self.started),
            attempt: self.attempt,
            sources_read: sources().map(|(_, it)| it.read().received).sum(),
            nodes,
            lag: (!lags.is_empty()).then(|| lags.iter().sum()),
            last_checkpoint,
            checkpoints: self.checkpoints,
            failed_attempts: self.failed,
        }
    }
}

impl Runner {
    fn run(mut self) -> Result<Summary> {
        let mut failures: Vec<Timestamp> = Vec::new();
        loop {
            self.told.attempt += 1;
            let error = match self.attempt() {
                Ok(outcome) => return Ok(self.summary(outcome)),
                Err(error) => error,
            };
            self.told.failed += 1;
            let now = SystemClock.now();
            failures.retain(|at| *at + self.settings.restart.window > now);
            failures.push(now);
            let delay = self.settings.restart.delay(u32::try_from(failures.len()).unwrap_or(u32::MAX));
            let Some(delay) = delay.filter(|_| error.kind().is_restartable()) else { return Err(error) };
            tracing::warn!(%error, attempt = self.told.attempt, ?delay, "the attempt failed; restarting from the last checkpoint");
            if self.wait(delay) {
                return Err(error.at("asked to stop while waiting to restart"));
            }
        }
    }

    /// Waits; true when asked to stop meanwhile.
    fn wait(&mut self, delay: Duration) -> bool {
        let until = SystemClock.now() + delay;
        while SystemClock.now() < until && !self.stop.load(Ordering::Relaxed) {
            self.told.tell(&self.wired.graph, &self.metrics);
            crate::clock::sleep(Duration::from_millis(10).min(delay));
        }
        self.stop.load(Ordering::Relaxed)
    }

    fn summary(&self, outcome: Outcome) -> Summary {
        let progress = self.told.progress(&self.wired.graph, &self.metrics);
        let sinks = self.wired.graph.nodes.iter().zip(self.metrics.iter()).filter(|(node, _)| node.participant.is_some());
        Summary {
            outcome,
            elapsed: progress.elapsed,
            records_read: progress.sources_read,
            records_written: sinks.map(|(_, it)| it.read().received).sum(),
            checkpoints: progress.checkpoints,
            attempts: self.told.attempt,
            last_epoch: self.told.last.map(|(stats, _)| stats.epoch),
        }
    }
}

/// The positions to restore, by source node.
type Positions = HashMap<usize, Vec<SplitPosition>>;

fn internal(message: &str) -> Error {
    Error::new(ErrorKind::Internal, message)
}
