//! The job that most tests run: items with a key, counted and summed per key.
//!
//! Each key's items are in one split, so the sequence of a key's tallies does not depend on how threads
//! interleave: it must be, item by item, what a plain loop makes.

use staunch::{Flow, JobBuilder, Result, Settings, Summary, operator, pipeline, sink, source};
use staunch_tests::faults::{Faults, Step};
use staunch_tests::sink::Probe;
use staunch_tests::tap::Tap;
use std::collections::BTreeMap;
use std::path::Path;
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Item {
    pub key: u32,
    pub amount: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    pub key: u32,
    pub count: u64,
    pub sum: u64,
}

pub struct Config {
    pub input: Tap<Item>,
    pub output: Probe<Tally>,
    pub faults: Faults,
}

/// One of this pipeline's faults: a record for which user code panics.
pub struct Trip(Faults);

#[source]
fn items(config: &Config) -> Tap<Item> {
    config.input.clone()
}

#[operator]
fn tally(item: &Item, #[config] trip: &Trip, #[state] count: &mut u64, #[state] sum: &mut u64) -> Tally {
    assert_eq!(trip.0.pass(Step::Record), Ok(()));
    *count += 1;
    *sum += item.amount;
    Tally { key: item.key, count: *count, sum: *sum }
}

#[sink]
fn tallies(config: &Config) -> Probe<Tally> {
    config.output.clone()
}

#[pipeline(no_main)]
pub fn tallying(flow: &Flow<Config>) {
    flow.provide(|config| Trip(config.faults.clone()));
    tallies::write(tally::on(items::open(flow).key_by(|item| &item.key)));
}

/// `count` items of so many keys, each key in one of `splits`.
pub fn make_items(count: u64, keys: u32, splits: usize) -> Vec<Vec<Item>> {
    let mut made = vec![Vec::new(); splits];
    for n in 0..count {
        let key = u32::try_from(n * 7 % u64::from(keys)).unwrap();
        made[key as usize % splits].push(Item { key, amount: n });
    }
    made
}

/// What a plain loop makes of it, by key.
pub fn expected(items: &[Vec<Item>]) -> BTreeMap<u32, Vec<Tally>> {
    let mut all: BTreeMap<u32, Vec<Tally>> = BTreeMap::new();
    for Item { key, amount } in items.iter().flatten() {
        let of_key = all.entry(*key).or_default();
        let sum = of_key.last().map_or(0, |last| last.sum) + amount;
        of_key.push(Tally { key: *key, count: of_key.len() as u64 + 1, sum });
    }
    all
}

pub fn by_key(committed: Vec<Tally>) -> BTreeMap<u32, Vec<Tally>> {
    let mut all: BTreeMap<u32, Vec<Tally>> = BTreeMap::new();
    committed.into_iter().for_each(|tally| all.entry(tally.key).or_default().push(tally));
    all
}

/// A job over some items, with what a test wants to hold on to.
#[derive(Clone)]
pub struct Tallying {
    pub items: Vec<Vec<Item>>,
    pub input: Tap<Item>,
    pub output: Probe<Tally>,
    pub faults: Faults,
}

impl Tallying {
    pub fn new(items: Vec<Vec<Item>>, faults: Faults) -> Self {
        let input = Tap::new(items.clone()).faults(faults.clone());
        Self { items, input, output: Probe::new(faults.clone()), faults }
    }

    pub fn opened(items: Vec<Vec<Item>>, faults: Faults) -> Self {
        let this = Self::new(items, faults);
        this.input.open_all();
        this
    }

    pub fn job(&self, dir: &Path, workers: usize) -> JobBuilder<tallying> {
        self.job_with(settings(dir, workers))
    }

    pub fn job_with(&self, settings: Settings) -> JobBuilder<tallying> {
        let (input, output, faults) = (self.input.clone(), self.output.clone(), self.faults.clone());
        tallying::job(Config { input, output, faults }).settings(settings)
    }

    /// Every key's tallies, each once, in order, and nothing else.
    #[track_caller]
    pub fn assert_exact(&self) {
        let (got, want) = (by_key(self.output.committed()), expected(&self.items));
        for (key, want) in &want {
            let got = got.get(key).map_or(&[][..], Vec::as_slice);
            let differs = got.iter().zip(want).position(|(got, want)| got != want).unwrap_or(got.len().min(want.len()));
            assert!(
                got == want,
                "key {key}: {} of {} tallies; first difference at {differs}: {:?}",
                got.len(),
                want.len(),
                got.get(differs)
            );
        }
        assert_eq!(got.len(), want.len());
    }

    /// What is committed is the beginning of what every key should have.
    #[track_caller]
    pub fn assert_prefix(&self) {
        let want = expected(&self.items);
        for (key, got) in by_key(self.output.committed()) {
            assert!(want[&key].starts_with(&got), "key {key} has {:?} last", got.last());
        }
    }
}

/// Quick checkpoints and quick restarts.
pub fn settings(dir: &Path, workers: usize) -> Settings {
    let mut settings = Settings::default();
    settings.workers = workers;
    settings.shutdown_timeout = Duration::from_secs(20);
    settings.checkpoint.dir = Some(dir.to_owned());
    settings.checkpoint.interval = Duration::from_millis(20);
    settings.restart.attempts = 5;
    settings.restart.initial = Duration::from_millis(1);
    settings
}

/// Runs a job on a thread of its own.
pub fn start<P: staunch::Pipeline>(job: JobBuilder<P>) -> JoinHandle<Result<Summary>> {
    spawn(|| job.run())
}
