//! A job: the pipeline's graph, checked, run in attempts until its input ends, it is asked to leave, or
//! a failure is final.
//!
//! ```text
//! wire -> check -> ┌ attempt: claim -> recover -> build -> run ┐ -> summary
//!                  └──────── failed: wait, and again ──────────┘
//! ```

mod attempt;
mod drive;
pub(crate) mod environment;
mod links;
mod look;
mod participants;
mod restore;
pub(crate) mod runner;
mod storage;
mod teardown;
mod told;
mod workers;

pub(crate) use look::Look;

use crate::control::manifest::StatePart;
use crate::data::build::BuildNode;
use crate::data::report::Report;
use crate::error::{Error, ErrorKind, Result};
use crate::flow::stand_in::StandIns;
use crate::flow::{Flow, Parts, Pipeline, Wiring};
use crate::graph::logical::{Graph, PortRef};
use crate::graph::{check, show};
use crate::id::Epoch;
use crate::progress::{Observer, Summary};
use crate::settings::Settings;
use crate::stop::StopHandle;
use crate::time::Timestamp;
use environment::System;
use runner::Runner;
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
pub(crate) fn wire<P: Pipeline>(config: Arc<P::Config>, stand_ins: Option<Rc<dyn StandIns>>) -> Result<Wired> {
    let flow = Flow::new(P::NAME, config, stand_ins);
    P::build(&flow);
    let wiring = std::mem::take(&mut *Rc::clone(&flow.wiring).borrow_mut());
    let Wiring { graph, builds, tees, parts, errors, .. } = wiring;
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
        let wired = wire::<P>(self.config.clone(), None)?;
        Ok(show::show(&wired.graph, self.settings.workers, format))
    }

    /// Runs the job on this thread, until its input ends or it is suspended.
    ///
    /// # Errors
    /// What the restart policy does not cure, or what it has given up on. Nothing is lost: the next run
    /// goes on from the last checkpoint.
    pub fn run(self) -> Result<Summary> {
        self.settings.validate()?;
        if self.signals {
            crate::signals::stop_on_signals(self.stop_handle(), |text| tracing::info!("{text}"))?;
        }
        let wired = wire::<P>(self.config, None)?;
        Runner::new(P::NAME, wired, self.settings, self.stop, self.observer, Arc::new(System)).run()
    }
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn internal(message: &str) -> Error {
    Error::new(ErrorKind::Internal, message)
}
