//! Shapes of graphs: union, several readers, several inputs and outputs, ends without sinks, and what
//! operators are given beside records.

use crate::tally::{settings, start};
use staunch::{Failed, Flow, Metadata, Origin, Outcome, Output, State, operator, pipeline, sink, source};
use staunch_tests::faults::{Act, Faults, Step};
use staunch_tests::guard::job_test;
use staunch_tests::sink::Probe;
use staunch_tests::tap::Tap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A number that says from which input it is.
type Tagged = (u8, u64);

#[derive(Clone)]
pub struct Config {
    first: Tap<u64>,
    second: Tap<u64>,
    third: Tap<u64>,
    union: Probe<u64>,
    doubled: Probe<u64>,
    even: Probe<u64>,
    odd: Probe<u64>,
    joined: Probe<(u64, Vec<u64>)>,
    faults: Faults,
    made: Arc<AtomicUsize>,
}

/// Of the configuration, for one operator.
pub struct Factor(u64);

/// A resource: how many records its worker has used it for.
pub struct Uses(u64, Arc<AtomicUsize>);

#[source]
fn first(config: &Config) -> Tap<u64> {
    config.first.clone()
}

#[source]
fn second(config: &Config) -> Tap<u64> {
    config.second.clone()
}

#[source]
fn third(config: &Config) -> Tap<u64> {
    config.third.clone()
}

#[operator]
fn double(number: u64, #[config] factor: &Factor, #[resource] uses: &mut Uses) -> u64 {
    uses.0 += 1;
    uses.1.fetch_add(1, Ordering::Relaxed);
    number * factor.0
}

#[operator]
fn sort_out(
    number: u64,
    #[output] even: &mut Output<u64>,
    #[output] odd: &mut Output<u64>,
    #[output] zero: &mut Output<()>,
) {
    match number {
        0 => zero.emit(()),
        number if number % 2 == 0 => even.emit(number),
        number => odd.emit(number),
    }
}

/// How often a number has come on each of three inputs.
#[derive(State, Clone, Default)]
pub struct Three {
    counts: (u64, u64, u64),
}

impl Three {
    fn all(&self) -> Vec<u64> {
        vec![self.counts.0, self.counts.1, self.counts.2]
    }
}

#[operator]
impl Three {
    #[input]
    fn one(&mut self, number: &u64) -> (u64, Vec<u64>) {
        self.counts.0 += 1;
        (*number, self.all())
    }

    #[input]
    fn two(&mut self, number: &u64) -> (u64, Vec<u64>) {
        self.counts.1 += 1;
        (*number, self.all())
    }

    #[input]
    fn three(&mut self, tagged: &Tagged) -> (u64, Vec<u64>) {
        self.counts.2 += 1;
        (tagged.1, self.all())
    }
}

#[operator]
fn tag(number: u64) -> Tagged {
    (3, number)
}

#[sink]
fn union(config: &Config) -> Probe<u64> {
    config.union.clone()
}

#[sink]
fn doubled(config: &Config) -> Probe<u64> {
    config.doubled.clone()
}

#[sink]
fn even(config: &Config) -> Probe<u64> {
    config.even.clone()
}

#[sink]
fn odd(config: &Config) -> Probe<u64> {
    config.odd.clone()
}

#[sink]
fn joined(config: &Config) -> Probe<(u64, Vec<u64>)> {
    config.joined.clone()
}

#[pipeline(no_main)]
fn shapes(flow: &Flow<Config>) {
    flow.provide(|_| Factor(2));
    flow.resource(|config, _worker| Ok(Uses(0, config.made.clone())));
    let (first, second, third) = (first::open(flow), second::open(flow), third::open(flow));
    // Three readers of one stream.
    union::write(first.clone().union(second.clone()));
    doubled::write(double::on(first.clone()));
    let (even, odd, zero) = sort_out::on(second.clone());
    even::write(even);
    odd::write(odd);
    zero.discard();
    let tagged = tag::on(third).key_by(|tagged| &tagged.1);
    joined::write(Three::on(first.key_by(|number| number), second.key_by(|number| number), tagged));
}

fn config(faults: Faults) -> Config {
    let tap = |numbers: std::ops::Range<u64>| Tap::new(vec![numbers.clone().collect(), numbers.collect()]);
    Config {
        first: tap(0..300),
        second: tap(0..400),
        third: tap(0..500).faults(faults.clone()),
        union: Probe::default(),
        doubled: Probe::default(),
        even: Probe::default(),
        odd: Probe::default(),
        joined: Probe::new(faults.clone()),
        faults,
        made: Arc::default(),
    }
}

fn sorted(mut numbers: Vec<u64>) -> Vec<u64> {
    numbers.sort_unstable();
    numbers
}

fn twice(numbers: impl Iterator<Item = u64>) -> Vec<u64> {
    numbers.flat_map(|number| [number, number]).collect()
}

fn check(config: &Config) {
    let want = sorted([twice(0..300), twice(0..400)].concat());
    assert_eq!(sorted(config.union.committed()), want);
    assert_eq!(sorted(config.doubled.committed()), twice((0..300).map(|number| number * 2)));
    assert_eq!(sorted(config.even.committed()), twice((1..200).map(|number| number * 2)));
    assert_eq!(sorted(config.odd.committed()), twice((0..200).map(|number| number * 2 + 1)));
    let joined = config.joined.committed();
    assert_eq!(joined.len(), 2 * (300 + 400 + 500));
    for number in 0..500 {
        let of: Vec<&Vec<u64>> = joined.iter().filter(|it| it.0 == number).map(|it| &it.1).collect();
        // Each step is one more on one input: nothing was lost or counted twice on the way.
        for (step, counts) in of.iter().enumerate() {
            assert_eq!(counts.iter().sum::<u64>(), step as u64 + 1, "{number}: {of:?}");
        }
        let want = vec![if number < 300 { 2 } else { 0 }, if number < 400 { 2 } else { 0 }, 2];
        assert_eq!(of.last(), Some(&&want), "{number}");
    }
}

#[test]
fn every_shape_gives_each_record_once_over_failures_suspends_and_workers() {
    job_test(|| {
        let dir = tempfile::tempdir().unwrap();
        // One failure of a source and one of a commit, of one of five sinks.
        let config = config(Faults::default().at(Step::Poll, 9, Act::Fail).at(Step::Commit, 2, Act::Fail));
        let open =
            |records| [&config.first, &config.second, &config.third].iter().for_each(|tap| tap.open_each(records));
        open(100);
        let job = shapes::job(config.clone()).settings(settings(dir.path(), 3));
        let stop = job.stop_handle();
        let running = start(job);
        config.joined.wait_committed(600);
        open(200);
        // Behind the failures: a job that is asked to stop while it waits to restart says so, and ends.
        config.joined.wait_committed(1_200);
        open(250);
        stop.suspend();
        assert_eq!(running.join().unwrap().unwrap().outcome, Outcome::Suspended);
        open(usize::MAX);
        let summary = shapes::job(config.clone()).settings(settings(dir.path(), 2)).run().unwrap();
        assert_eq!(summary.outcome, Outcome::Ended);
        check(&config);
        assert!(config.made.load(Ordering::Relaxed) >= 600, "the resource was not used for each record");
        assert!(config.faults.passed(Step::Commit) >= 2);
    });
}

pub struct Origins {
    input: Tap<u64>,
    stored: Vec<Vec<u64>>,
    seen: Probe<(u64, Option<Origin>)>,
    plain: Probe<(u64, bool)>,
    failed: Probe<Failed<String>>,
}

#[source]
fn asked(config: &Origins) -> staunch::memory::MemorySource<u64> {
    let splits = config.stored.iter();
    staunch::memory::MemorySource::splits(
        splits.map(|it| it.iter().map(|n| (*n, staunch::Timestamp::MIN)).collect()).collect(),
    )
}

#[source]
fn not_asked(config: &Origins) -> Tap<u64> {
    config.input.clone()
}

#[operator]
fn with_metadata(number: u64, #[metadata] metadata: &Metadata) -> (u64, Option<Origin>) {
    (number, Some(metadata.origin.clone()))
}

#[operator]
fn refuse_thirds(number: u64) -> Result<(), String> {
    if number.is_multiple_of(3) { Err(format!("{number} is a third")) } else { Ok(()) }
}

#[operator]
fn without(number: u64, #[context] context: &mut staunch::Context<'_>) -> (u64, bool) {
    (number, context.metadata().is_some())
}

#[sink]
fn seen(config: &Origins) -> Probe<(u64, Option<Origin>)> {
    config.seen.clone()
}

#[sink]
fn plain(config: &Origins) -> Probe<(u64, bool)> {
    config.plain.clone()
}

#[sink]
fn refused(config: &Origins) -> Probe<Failed<String>> {
    config.failed.clone()
}

#[pipeline(no_main)]
fn origins(flow: &Flow<Origins>) {
    let asked = asked::open(flow);
    seen::write(with_metadata::on(asked.clone()));
    refused::write(refuse_thirds::on(asked));
    plain::write(without::on(not_asked::open(flow)));
}

#[test]
fn metadata_comes_where_it_is_asked_for_and_nowhere_else() {
    job_test(|| {
        let dir = tempfile::tempdir().unwrap();
        let stored = vec![(0..50).collect(), (50..100).collect()];
        let (seen, plain, failed) = (Probe::default(), Probe::default(), Probe::default());
        let input = Tap::opened(vec![vec![1, 2, 3]]);
        let config = Origins { input, stored, seen: seen.clone(), plain: plain.clone(), failed: failed.clone() };
        origins::job(config).settings(settings(dir.path(), 2)).run().unwrap();
        let origin = |number: u64| Origin {
            source: "asked".into(),
            partition: i32::from(number >= 50),
            offset: (number % 50).cast_signed(),
        };
        let mut got = seen.committed();
        got.sort_by_key(|(number, _)| *number);
        assert_eq!(got, (0..100).map(|number| (number, Some(origin(number)))).collect::<Vec<_>>());
        let mut failed = failed.committed();
        failed.sort_by_key(|it| it.origin.as_ref().map(|at| (at.partition, at.offset)));
        let want: Vec<u64> = (0..100).filter(|number: &u64| number.is_multiple_of(3)).collect();
        assert_eq!(failed.len(), want.len());
        for (failed, number) in failed.iter().zip(want) {
            assert_eq!((&failed.error, &failed.origin), (&format!("{number} is a third"), &Some(origin(number))));
        }
        assert_eq!(plain.committed(), [(1, false), (2, false), (3, false)]);
    });
}
