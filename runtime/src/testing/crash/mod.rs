//! The crash test: a user's own pipeline, killed at every step of the protocol and under seeded schedules
//! of everything that can go wrong; what it has committed in the end is compared with an undisturbed run.

mod check;
mod compare;
mod failure;
mod inputs;
mod run;
mod schedule;
mod shrink;
#[cfg(test)]
mod tests;

pub use compare::Compare;
pub use failure::{CrashFailure, CrashReport};
pub use inputs::Inputs;

use crate::api::sink::Sink;
use crate::flow::stand_in::{AnyRecord, AnyShow};
use crate::flow::{Pipeline, SinkFn};
use crate::testing::named::Named;
use crate::testing::simulation::Simulation;
use compare::Rule;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;

/// How many schedules there are, if nobody says otherwise.
const SCHEDULES: u64 = 1_000;
const WORKERS_MAX: usize = 3;

/// The record type of a `#[sink]` function's sink.
type RecordOf<S> = <<S as SinkFn>::Sink as Sink>::Record;

/// Crashes a pipeline in every way there is: what `word_count::crash_test(inputs)` returns.
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
/// # use staunch::testing::Inputs;
/// # fn main() {
/// let config = Config { input: "in".into(), output: "out".into() };
/// let inputs = Inputs::new(config).source::<lines>(["a b a", "c", "b a"]);
/// word_count::crash_test(inputs).key::<totals, _>(|total| total.word.clone()).schedules(50).run();
/// # }
/// ```
///
/// Each schedule runs the pipeline to the end of its input on one thread, in virtual time, under a
/// plan of faults that follows from the schedule's number: first a kill at each
/// [crash point](super::CRASH_POINTS) that the pipeline passes, where it is passed first, in the middle and last;
/// these are run however few schedules are asked for. Then a kill at each pair of crash points, and among these,
/// and when there are no more of them, random plans of kills, power failures that lose what was not fsync'ed,
/// zombies that wake up beside their successor, slow calls, failed checkpoints and commits, lost and late answers, expired transactions, suspends;
/// each start with another number of workers. Nothing may be lost, nothing may be there twice, and
/// the order of each key's records must be kept where the key is known: the sink's own, or
/// [`key`](Self::key). A sink that is at least once may have records twice: see [`Compare::AtLeastOnce`].
///
/// The sources and sinks are replaced by ones that keep to the rules, so what is tried is the pipeline and
/// the runtime; that a sink of one's own keeps to them is tried by the [conformance suite](super::conformance).
///
/// In the place of a sink with Kafka transactions works what works in the connector, over a simulated cluster that
/// knows sessions, epochs, logs and markers. There more goes wrong, at each crash point: nobody starts the job
/// again before prepared transactions have expired; retention removes what was written, coordinators forget ids;
/// somebody else takes an id over; a request that was thought lost arrives later; checkpoints are late and what they
/// prepared is carried on. Of a job whose transaction is gone from coordinator and log nobody can expect the right
/// output: it must stop with [`DataLoss`](crate::ErrorKind::DataLoss) or
/// [`FateUnknown`](crate::ErrorKind::FateUnknown).
///
/// A failure panics with what differs, a short story of what happened, and the command that replays it.
/// `STAUNCH_SCHEDULES=100000` runs more of them, `STAUNCH_SEED=417` runs schedule 417 alone.
pub struct CrashTest<P: Pipeline> {
    setup: Setup<P>,
    schedules: u64,
    seed: Option<u64>,
}

/// What all schedules have in common.
struct Setup<P: Pipeline> {
    inputs: Inputs<P::Config>,
    workers_max: usize,
    /// For sinks that have none of their own.
    rule: Rule,
    rules: BTreeMap<String, Rule>,
    /// The sinks as they were named, to be compared with those of the pipeline.
    named: Vec<Named>,
    keys: BTreeMap<String, AnyShow>,
    shows: BTreeMap<String, AnyShow>,
    pipeline: PhantomData<fn(P)>,
}

impl<P: Pipeline> Setup<P> {
    /// The id of a sink that the test says something about.
    fn name<S: SinkFn>(&mut self, id: &str) -> String {
        self.named.push(Named::new::<RecordOf<S>>(id));
        id.to_owned()
    }

    /// Whether the pipeline has all sources and sinks that the test names.
    fn check_names(&self, simulation: &Simulation) -> std::result::Result<(), String> {
        let (sources, sinks) = (simulation.known_sources(), simulation.known_sinks());
        self.inputs.named.iter().try_for_each(|source| source.check("source", &sources))?;
        self.named.iter().try_for_each(|sink| sink.check("sink", &sinks))
    }
}

impl<P: Pipeline> CrashTest<P> {
    /// A test with these inputs.
    #[must_use]
    pub fn new(inputs: Inputs<P::Config>) -> Self {
        let (rules, keys, shows) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (workers_max, rule) = (WORKERS_MAX, Rule::Given(Compare::PerKey));
        let setup = Setup { inputs, workers_max, rule, rules, named: Vec::new(), keys, shows, pipeline: PhantomData };
        Self { setup, schedules: SCHEDULES, seed: None }
    }

    /// How many schedules are run; 1,000 if not said. The environment's `STAUNCH_SCHEDULES` goes before.
    #[must_use]
    pub fn schedules(mut self, schedules: u64) -> Self {
        self.schedules = schedules;
        self
    }

    /// Runs this schedule alone. The environment's `STAUNCH_SEED` goes before.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Each process has from 1 to so many workers; 3 if not said.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.setup.workers_max = workers.max(1);
        self
    }

    /// The key of a sink's records: those of one key must come in their order. For sinks that write no keys.
    #[must_use]
    pub fn key<S: SinkFn, K: Debug>(self, key: impl Fn(&RecordOf<S>) -> K + Send + Sync + 'static) -> Self {
        self.key_at::<S, K>(S::ID, key)
    }

    /// As [`key`](Self::key), for a sink that was written to under another id, with `at`.
    #[must_use]
    pub fn key_at<S: SinkFn, K: Debug>(
        mut self,
        id: &str,
        key: impl Fn(&RecordOf<S>) -> K + Send + Sync + 'static,
    ) -> Self {
        let key = move |record: &RecordOf<S>| format!("{:?}", key(record));
        let id = self.setup.name::<S>(id);
        self.setup.keys.insert(id, erased(key));
        self
    }

    /// How the records of all sinks are compared; [`Compare::PerKey`] if not said.
    #[must_use]
    pub fn compare(mut self, compare: Compare) -> Self {
        self.setup.rule = Rule::Given(compare);
        self
    }

    /// How the records of one sink are compared.
    #[must_use]
    pub fn compare_sink<S: SinkFn>(self, compare: Compare) -> Self {
        self.compare_sink_at::<S>(S::ID, compare)
    }

    /// As [`compare_sink`](Self::compare_sink), for a sink that was written to under another id, with `at`.
    #[must_use]
    pub fn compare_sink_at<S: SinkFn>(mut self, id: &str, compare: Compare) -> Self {
        let id = self.setup.name::<S>(id);
        self.setup.rules.insert(id, Rule::Given(compare));
        self
    }

    /// Compares what a sink has committed with what it has in the undisturbed run: the undisturbed run's records
    /// come first. For pipelines whose output depends on the order in which different inputs happen to be read.
    /// An assertion that fails is a difference like an error that is returned.
    #[must_use]
    pub fn compare_with<S: SinkFn>(
        self,
        compare: impl Fn(&[RecordOf<S>], &[RecordOf<S>]) -> std::result::Result<(), String> + Send + Sync + 'static,
    ) -> Self
    where
        RecordOf<S>: Clone,
    {
        self.compare_with_at::<S>(S::ID, compare)
    }

    /// As [`compare_with`](Self::compare_with), for a sink that was written to under another id, with `at`.
    #[must_use]
    pub fn compare_with_at<S: SinkFn>(
        mut self,
        id: &str,
        compare: impl Fn(&[RecordOf<S>], &[RecordOf<S>]) -> std::result::Result<(), String> + Send + Sync + 'static,
    ) -> Self
    where
        RecordOf<S>: Clone,
    {
        let records = |records: &[&AnyRecord]| -> Vec<RecordOf<S>> {
            records.iter().filter_map(|record| record.downcast_ref::<RecordOf<S>>().cloned()).collect()
        };
        let rule =
            move |undisturbed: &[&AnyRecord], crashed: &[&AnyRecord]| compare(&records(undisturbed), &records(crashed));
        let id = self.setup.name::<S>(id);
        self.setup.rules.insert(id, Rule::Own(Arc::new(rule)));
        self
    }

    /// How a sink's records are shown, and compared. For records that have neither `Debug` nor `Serialize`.
    #[must_use]
    pub fn show<S: SinkFn>(self, show: impl Fn(&RecordOf<S>) -> String + Send + Sync + 'static) -> Self {
        self.show_at::<S>(S::ID, show)
    }

    /// As [`show`](Self::show), for a sink that was written to under another id, with `at`.
    #[must_use]
    pub fn show_at<S: SinkFn>(
        mut self,
        id: &str,
        show: impl Fn(&RecordOf<S>) -> String + Send + Sync + 'static,
    ) -> Self {
        let id = self.setup.name::<S>(id);
        self.setup.shows.insert(id, erased(show));
        self
    }

    /// Runs all schedules.
    ///
    /// # Panics
    /// When one fails.
    #[track_caller]
    pub fn run(self) -> CrashReport {
        match self.try_run() {
            Ok(report) => report,
            Err(failure) => panic!("{failure}"),
        }
    }

    /// Runs all schedules.
    ///
    /// # Errors
    /// What went wrong in the first schedule that failed.
    pub fn try_run(self) -> std::result::Result<CrashReport, Box<CrashFailure>> {
        let (seed, schedules) = (from_environment("STAUNCH_SEED"), from_environment("STAUNCH_SCHEDULES"));
        self.setup.check(seed.or(self.seed), schedules.unwrap_or(self.schedules))
    }
}

fn erased<T: 'static>(show: impl Fn(&T) -> String + Send + Sync + 'static) -> AnyShow {
    Arc::new(move |record| record.downcast_ref::<T>().map_or_else(String::new, &show))
}

/// A number that a person gave for this run.
#[expect(clippy::disallowed_methods, reason = "a person asks for one schedule, or for more")]
fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}
