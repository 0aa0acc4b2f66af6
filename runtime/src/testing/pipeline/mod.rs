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

use super::simulation::chance::Chance;
use super::simulation::{Pid, Simulation, World};
use crate::api::sink::Sink;
use crate::api::source::Source;
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
    /// How the process left, if it did so by itself and no other was started since.
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

    /// Whose turn it is follows from this number, which is 0 if not said; so does how many records a source hands out
    /// at once. From the start: before anything is pushed.
    #[must_use]
    #[track_caller]
    pub fn seed(mut self, seed: u64) -> Self {
        self.crash();
        self.simulation.world.with(|state| state.chance = Chance::new(seed));
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
    /// When the job fails, or does not come by where it was to [crash](Self::crash_at).
    #[track_caller]
    pub fn run_until_idle(&mut self) -> &mut Self {
        self.rest();
        self.crashed()
    }

    /// Lets one part of the job (a worker, a sink's participant, the coordinator) take one turn; the
    /// [seed](Self::seed) says whose it is. False: nobody has anything to do before there is input, time or a
    /// checkpoint. Starts a process if none lives.
    ///
    /// # Panics
    /// When the job fails.
    #[track_caller]
    pub fn step(&mut self) -> bool {
        self.revive();
        let simulation = self.simulation.clone();
        let worked = simulation.hooked(|| simulation.turn());
        self.see_end();
        worked
    }

    #[track_caller]
    fn revive(&mut self) {
        if self.process.is_none() && self.summary.as_ref().is_none_or(|it| it.outcome != Outcome::Ended) {
            self.restart();
        }
    }

    /// Takes turns until nobody has anything to do.
    #[track_caller]
    fn rest(&mut self) {
        self.revive();
        self.take_turns();
    }

    #[track_caller]
    fn take_turns(&mut self) {
        let simulation = self.simulation.clone();
        let last = simulation.turns() + TURNS_MAX;
        simulation.hooked(|| {
            while simulation.turn() {
                assert!(simulation.turns() < last, "the pipeline did not come to rest within {TURNS_MAX} turns");
            }
        });
        self.see_end();
    }

    /// Takes notice of a process that died or ended.
    #[track_caller]
    fn see_end(&mut self) {
        self.process = self.process.filter(|pid| self.simulation.living().contains(pid));
        match self.simulation.take_ended().pop() {
            Some((_, Ok(summary))) => self.summary = Some(summary),
            Some((_, Err(error))) => panic!("the job failed: {error}"),
            None => {}
        }
    }

    /// A test that has waited for a crash which did not come would go on with a job that is not what it thinks.
    #[track_caller]
    fn crashed(&mut self) -> &mut Self {
        if let Some(point) = self.simulation.faults.borrow_mut().disarm() {
            panic!("the job came to rest and did not pass `{point}`, where it was to crash");
        }
        self
    }

    /// Takes a checkpoint and waits until it is committed.
    ///
    /// # Panics
    /// When the job fails before, or nothing runs that could take one.
    #[track_caller]
    pub fn checkpoint(&mut self) -> &mut Self {
        let pid = self.ask_for_checkpoint();
        let settled = |simulation: &Simulation| simulation.with_runner(pid, |runner| runner.checkpoints());
        let before = settled(&self.simulation);
        self.take_turns();
        let after = settled(&self.simulation);
        let died = !self.simulation.living().contains(&pid);
        assert!(died || after > before, "the checkpoint did not complete");
        self.crashed()
    }

    /// Runs until the job waits, then begins a checkpoint and leaves it to [`step`](Self::step) to go on with it.
    ///
    /// # Panics
    /// When the job fails before, or nothing runs that could take one.
    #[track_caller]
    pub fn begin_checkpoint(&mut self) -> &mut Self {
        self.ask_for_checkpoint();
        self
    }

    #[track_caller]
    fn ask_for_checkpoint(&mut self) -> Pid {
        self.rest();
        let pid = self.process.unwrap_or_else(|| panic!("no process runs that could take a checkpoint"));
        self.simulation.with_runner(pid, crate::job::runner::Runner::checkpoint_now);
        pid
    }

    /// Kills the process where it stands, as by `kill -9`. The next [`run_until_idle`](Self::run_until_idle)
    /// starts another.
    pub fn crash(&mut self) -> &mut Self {
        self.simulation.kill_all();
        self.process = None;
        self
    }

    /// Kills the process when it comes to this [crash point](super::CRASH_POINTS) in what is called next, which
    /// panics if it does not come there: `p.crash_at("before-commit").checkpoint()`.
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
        self.summary = None;
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
        self.leave();
        self.workers = workers.max(1);
        self.restart();
        self.rest();
        self.crashed()
    }

    /// Asks the job to leave, as SIGTERM does: a last checkpoint, its commits, the end of the process.
    ///
    /// # Panics
    /// When the job fails.
    #[track_caller]
    pub fn suspend(&mut self) -> &mut Self {
        self.leave();
        self.crashed()
    }

    #[track_caller]
    fn leave(&mut self) {
        self.rest();
        if let Some(pid) = self.process {
            self.simulation.ask_to_leave(pid);
            self.take_turns();
        }
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
        self.rest();
        self.simulation.advance_ms(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        self.rest();
        self.crashed()
    }

    /// How the last process left, if it did so by itself.
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
