//! A whole pipeline in a test: the real graph, coordinator, alignment and two-phase protocol, on one
//! thread, in virtual time.
//!
//! Its sources and sinks are replaced by ones that the test feeds and reads. The sinks obey the rules of
//! transactions: what is written is open, then prepared, then committed or aborted.

mod ends;
#[cfg(test)]
mod tests;

pub(in crate::testing) use ends::maker;
pub use ends::{PipelineSink, PipelineSource};

use super::simulation::{Pid, Simulation, World};
use crate::api::sink::Sink;
use crate::api::source::Source;
use crate::error::Error;
use crate::flow::{Pipeline, SinkFn, SourceFn};
use crate::progress::{Outcome, Summary};
use crate::settings::Settings;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Turns after which a pipeline that still finds something to do is taken to go round in circles.
const TURNS_MAX: u64 = 10_000_000;
/// Checkpoints are taken when the test says so; by themselves not within a lifetime.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Runs a pipeline in a test: what `word_count::harness(config)` returns.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # use staunch::file::{FileSink, FileSource};
/// # use staunch::format::{Json, Text};
/// # use staunch::{Flow, Output, operator, pipeline, sink, source};
/// # #[derive(Deserialize)]
/// # pub struct Config { input: String, output: String }
/// # #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
/// # pub struct Total { word: String, count: u64 }
/// # #[source]
/// # pub fn lines(config: &Config) -> FileSource<Text> { FileSource::lines(&config.input) }
/// # #[operator]
/// # pub fn split(line: &String, #[output] words: &mut Output<String>) {
/// #     for word in line.split_whitespace() { words.emit(word.to_owned()); }
/// # }
/// # #[operator]
/// # pub fn count(#[key] word: &str, _occurrence: String, #[state] seen: &mut u64) -> Total {
/// #     *seen += 1;
/// #     Total { word: word.to_owned(), count: *seen }
/// # }
/// # #[sink]
/// # pub fn totals(config: &Config) -> FileSink<Json<Total>> { FileSink::json(&config.output) }
/// # #[pipeline]
/// # pub fn word_count(flow: &Flow<Config>) {
/// #     totals::write(count::on(split::on(lines::open(flow)).key_by(|word| word.as_str())));
/// # }
/// # fn main() {
/// let mut p = word_count::harness(Config { input: "in".into(), output: "out".into() });
/// p.source::<lines>().push("a b a");
/// p.run_until_idle();
/// assert!(p.sink::<totals>().committed().is_empty()); // nothing before the checkpoint
/// assert_eq!(p.sink::<totals>().uncommitted().len(), 3);
/// p.checkpoint();
/// p.crash();
/// p.run_until_idle(); // a new process goes on from the checkpoint
/// assert_eq!(p.sink::<totals>().committed().len(), 3);
/// # }
/// ```
///
/// The record type of a source that is pushed to is `Clone`, since it is read again after a crash.
/// Methods panic when the job fails, with its error.
pub struct PipelineHarness<P: Pipeline> {
    simulation: Rc<Simulation>,
    workers: usize,
    process: Option<Pid>,
    /// How the last process ended, if it left by itself.
    summary: Option<Summary>,
    pipeline: PhantomData<fn(P)>,
}

impl<P: Pipeline> PipelineHarness<P> {
    /// A pipeline with this configuration that has not read anything yet, on two workers.
    ///
    /// # Panics
    /// When the pipeline's graph does not pass its checks.
    #[must_use]
    #[track_caller]
    pub fn new(config: P::Config) -> Self {
        let mut settings = Settings::default();
        settings.checkpoint.interval = NEVER;
        settings.checkpoint.timeout = NEVER;
        settings.restart.attempts = 0;
        let simulation = Simulation::new::<P>(Arc::new(config), settings, World::new(0, true));
        let mut harness = Self { simulation, workers: 2, process: None, summary: None, pipeline: PhantomData };
        harness.restart();
        harness
    }

    /// With so many workers from the start: before anything is pushed.
    #[must_use]
    #[track_caller]
    pub fn workers(mut self, workers: usize) -> Self {
        self.crash();
        self.workers = workers.max(1);
        self.restart();
        self
    }

    /// A source, under its own id.
    ///
    /// # Panics
    /// When the pipeline has no such source.
    #[track_caller]
    pub fn source<S: SourceFn>(&mut self) -> PipelineSource<'_, <S::Source as Source>::Record> {
        self.source_at::<S>(S::ID)
    }

    /// A source that was opened under another id, with `at`.
    ///
    /// # Panics
    /// When the pipeline has no such source.
    #[track_caller]
    pub fn source_at<S: SourceFn>(&mut self, id: &str) -> PipelineSource<'_, <S::Source as Source>::Record> {
        PipelineSource::new(&self.simulation, id)
    }

    /// A sink, under its own id.
    ///
    /// # Panics
    /// When the pipeline has no such sink.
    #[track_caller]
    pub fn sink<S: SinkFn>(&self) -> PipelineSink<'_, <S::Sink as Sink>::Record> {
        self.sink_at::<S>(S::ID)
    }

    /// A sink that was written to under another id, with `at`.
    ///
    /// # Panics
    /// When the pipeline has no such sink.
    #[track_caller]
    pub fn sink_at<S: SinkFn>(&self, id: &str) -> PipelineSink<'_, <S::Sink as Sink>::Record> {
        PipelineSink::new(&self.simulation, id)
    }

    /// Lets the job run until it waits for input, time or a checkpoint. Starts a process if none lives. Time
    /// stands still.
    ///
    /// # Panics
    /// When the job fails.
    #[track_caller]
    pub fn run_until_idle(&mut self) -> &mut Self {
        if self.process.is_none() && self.summary.as_ref().is_none_or(|it| it.outcome != Outcome::Ended) {
            self.restart();
        }
        self.run(|_| false);
        self
    }

    /// Takes turns until nobody has anything to do, or `enough`.
    #[track_caller]
    fn run(&mut self, mut enough: impl FnMut(&Simulation) -> bool) {
        let simulation = self.simulation.clone();
        let last = simulation.turns() + TURNS_MAX;
        simulation.hooked(|| {
            while !enough(&simulation) && simulation.turn(None) {
                assert!(simulation.turns() < last, "the pipeline did not come to rest within {TURNS_MAX} turns");
            }
        });
        if let Some(error) = self.see_end() {
            panic!("the job failed: {error}");
        }
    }

    /// Takes notice of a process that died or ended.
    fn see_end(&mut self) -> Option<Error> {
        self.process = self.process.filter(|pid| self.simulation.living().contains(pid));
        let (_, result) = self.simulation.take_ended().pop()?;
        match result {
            Ok(summary) => self.summary = Some(summary),
            Err(error) => return Some(error),
        }
        None
    }

    /// Takes a checkpoint and waits until it is committed.
    ///
    /// # Panics
    /// When the job fails before, or nothing runs that could take one.
    #[track_caller]
    pub fn checkpoint(&mut self) -> &mut Self {
        self.run_until_idle();
        let pid = self.process.unwrap_or_else(|| panic!("no process runs: all input has ended"));
        let settled = |simulation: &Simulation| simulation.with_runner(pid, |runner| runner.checkpoints());
        let before = settled(&self.simulation);
        self.simulation.with_runner(pid, crate::job::runner::Runner::checkpoint_now);
        self.run(|_| false);
        let after = settled(&self.simulation);
        let died = !self.simulation.living().contains(&pid);
        assert!(died || after > before, "the checkpoint did not complete");
        self
    }

    /// Kills the process where it stands, as by `kill -9`. The next [`run_until_idle`](Self::run_until_idle)
    /// starts another.
    pub fn crash(&mut self) -> &mut Self {
        self.simulation.kill_all();
        self.process = None;
        self
    }

    /// Kills the process when it next comes to this [crash point](super::CRASH_POINTS):
    /// `p.crash_at("before-commit").checkpoint()`.
    ///
    /// # Panics
    /// When there is no such crash point.
    #[track_caller]
    pub fn crash_at(&mut self, point: &str) -> &mut Self {
        let known = super::CRASH_POINTS.iter().find(|name| **name == point);
        let point = known.unwrap_or_else(|| panic!("`{point}` is none of {}", super::CRASH_POINTS.join(", ")));
        self.simulation.faults.borrow_mut().arm(point);
        self
    }

    /// Starts a process that goes on from the last checkpoint; one that lives is killed before.
    ///
    /// # Panics
    /// When the pipeline's graph does not pass its checks.
    #[track_caller]
    pub fn restart(&mut self) -> &mut Self {
        self.crash();
        let pid = self.simulation.hooked(|| self.simulation.start(self.workers));
        self.process = Some(pid.unwrap_or_else(|error| panic!("{error}")));
        self
    }

    /// Stops the job cleanly, with a last checkpoint, and starts it with another number of workers.
    ///
    /// # Panics
    /// When the job fails.
    #[track_caller]
    pub fn rescale(&mut self, workers: usize) -> &mut Self {
        self.suspend();
        self.workers = workers.max(1);
        self.restart();
        self.run_until_idle()
    }

    /// Asks the job to leave, as SIGTERM does: a last checkpoint, its commits, the end of the process.
    ///
    /// # Panics
    /// When the job fails.
    #[track_caller]
    pub fn suspend(&mut self) -> &mut Self {
        self.run_until_idle();
        if let Some(pid) = self.process {
            self.simulation.ask_to_leave(pid);
            self.run(|_| false);
        }
        self
    }

    /// Ends all sources: what was pushed is all there is. The next [`run_until_idle`](Self::run_until_idle) takes
    /// the job to its end, with the last watermark and the last checkpoint.
    pub fn end_input(&mut self) -> &mut Self {
        self.simulation.end_input();
        self
    }

    /// Lets time pass, then runs: processing-time timers fire, idle splits are noticed.
    ///
    /// # Panics
    /// When the job fails.
    #[track_caller]
    pub fn advance(&mut self, time: Duration) -> &mut Self {
        self.run_until_idle();
        self.simulation.advance_ms(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        self.run_until_idle()
    }

    /// How the job ended, if it left by itself.
    #[must_use]
    pub fn summary(&self) -> Option<&Summary> {
        self.summary.as_ref()
    }

    /// What has happened so far, one event a line, for people.
    #[must_use]
    pub fn story(&self) -> String {
        super::simulation::story(&self.simulation.world)
    }
}
