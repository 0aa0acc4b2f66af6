//! Alignment: what comes after a barrier on one input must not be in the snapshot that waits for another.
//!
//! One worker of three is held up at its first turn, before it reads or passes anything. The others pass barrier 1, and
//! then read more, which belongs to epoch 2, and get every chance to process it; only then is the third
//! let go, whose barrier completes checkpoint 1. Then the job fails and goes on from there.
//!
//! Aligned, the output is exact. Without alignment the state at barrier 1 has the effects of records
//! that are read again: the same test shows counts that are too high. So it can fail.

use crate::tally::settings;
use staunch::api::source::{Polled, ReaderContext, Source, SourceReader, SplitPosition};
use staunch::{
    Batch, Epoch, Error, ErrorKind, Flow, Outcome, Result, State, Summary, Timestamp, operator, pipeline, sink, source,
};
use staunch_tests::faults::wait_until;
use staunch_tests::guard::job_test;
use staunch_tests::sink::Probe;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

const WORKERS: usize = 3;
/// Records that a share has before the first barrier, and after it.
const BEFORE: u64 = 40;
const AFTER: u64 = 60;
const KEYS: u64 = 12;
/// Turns that a worker is given after it has read everything: each steps all of its operators.
const TURNS: u64 = 5;

/// What all shares of both inputs know of each other.
#[derive(Default)]
struct Play {
    /// Shares that have read everything behind the barrier and had their turns since.
    done: usize,
    /// The failure has happened.
    failed: bool,
}

#[derive(Clone, Default)]
struct Stage(Arc<(Mutex<Play>, Condvar)>);

impl Stage {
    fn change<R>(&self, change: impl FnOnce(&mut Play) -> R) -> R {
        let result = change(&mut self.0.0.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.1.notify_all();
        result
    }
}

/// One of the two inputs: a split a worker.
#[derive(Clone)]
pub struct Input {
    side: u8,
    stage: Stage,
}

impl Source for Input {
    type Record = (u64, u8);
    type Reader = Share;

    fn describe(&self) -> String {
        "half of a play".to_owned()
    }

    fn reader(&self, context: &ReaderContext<'_>) -> Result<Share> {
        let first = context.restored.is_none();
        let name = context.worker.to_string();
        let restored = context.restored.unwrap_or_default().iter().find(|at| at.split == name);
        let next = restored.and_then(|at| at.position.as_u64()).unwrap_or(0);
        Ok(Share {
            input: self.clone(),
            worker: context.worker as u64,
            first,
            next,
            passed: false.into(),
            turns: 0,
            fail: false,
        })
    }
}

pub struct Share {
    input: Input,
    worker: u64,
    first: bool,
    next: u64,
    /// Barrier 1 has been passed.
    passed: std::cell::Cell<bool>,
    turns: u64,
    fail: bool,
}

impl SourceReader for Share {
    type Record = (u64, u8);

    fn poll(&mut self, batch: &mut Batch<(u64, u8)>) -> Result<Polled> {
        if self.fail {
            self.input.stage.change(|play| play.failed = true);
            return Err(Error::new(ErrorKind::Source, "the planned failure after checkpoint 1"));
        }
        if self.first && self.worker == WORKERS as u64 - 1 && !self.passed.get() {
            // Both shares of the two other workers. This worker meanwhile hears of no barrier.
            wait_until(&self.input.stage.0, "the quick workers", |play| play.done == 2 * (WORKERS - 1));
            return Ok(Polled::Pending { retry_after: Duration::from_millis(1) });
        }
        let behind = !self.first || self.passed.get();
        let until = if behind { BEFORE + AFTER } else { BEFORE };
        if self.next < until {
            for n in self.next..until.min(self.next + 16) {
                // Each share has keys of its own, spread over all workers.
                let key = (n % KEYS) * WORKERS as u64 + self.worker;
                batch.push((key, self.input.side), Timestamp::MIN);
            }
            self.next = until.min(self.next + 16);
            return Ok(Polled::Records { split: 0 });
        }
        if !self.first {
            return Ok(Polled::End);
        }
        self.turns += u64::from(behind);
        if behind && self.turns == TURNS {
            self.input.stage.change(|play| play.done += 1);
        }
        // Not the end: the attempt is to fail first.
        Ok(Polled::Pending { retry_after: Duration::from_millis(2) })
    }

    fn positions(&self) -> Vec<SplitPosition> {
        // Called when a barrier passes.
        self.passed.set(true);
        vec![SplitPosition { split: self.worker.to_string(), position: self.next.into(), finished: false }]
    }

    fn committed(&mut self, _positions: &[SplitPosition]) {
        self.fail = self.first && self.worker == WORKERS as u64 - 1;
    }
}

pub struct Config {
    stage: Stage,
    output: Probe<(u64, u8, u64)>,
}

#[source]
fn left(config: &Config) -> Input {
    Input { side: 0, stage: config.stage.clone() }
}

#[source]
fn right(config: &Config) -> Input {
    Input { side: 1, stage: config.stage.clone() }
}

/// How many records a key has had on each side.
#[derive(State, Clone, Default)]
pub struct Both {
    left: u64,
    right: u64,
}

#[operator]
impl Both {
    #[input]
    fn left(&mut self, record: &(u64, u8)) -> (u64, u8, u64) {
        self.left += 1;
        (record.0, record.1, self.left)
    }

    #[input]
    fn right(&mut self, record: &(u64, u8)) -> (u64, u8, u64) {
        self.right += 1;
        (record.0, record.1, self.right)
    }
}

#[sink]
fn counts(config: &Config) -> Probe<(u64, u8, u64)> {
    config.output.clone()
}

#[pipeline(no_main)]
fn play(flow: &Flow<Config>) {
    let left = left::open(flow).key_by(|record| &record.0);
    let right = right::open(flow).key_by(|record| &record.0);
    counts::write(Both::on(left, right));
}

/// Runs the play; the counts of each key and side, in the order of output.
fn run(aligned: bool) -> (Summary, BTreeMap<(u64, u8), Vec<u64>>) {
    let dir = tempfile::tempdir().unwrap();
    let (stage, output) = (Stage::default(), Probe::default());
    let mut settings = settings(dir.path(), WORKERS);
    settings.checkpoint.aligned = aligned;
    // Long enough that the slow worker is held up before the first barrier.
    settings.checkpoint.interval = Duration::from_millis(300);
    let summary = play::job(Config { stage: stage.clone(), output: output.clone() }).settings(settings).run().unwrap();
    assert!(stage.change(|play| play.failed), "the failure did not happen");
    assert_eq!((summary.outcome, summary.attempts), (Outcome::Ended, 2));
    let epochs: Vec<Epoch> = output.output().committed_by_epoch().into_iter().map(|(epoch, _)| epoch).collect();
    assert_eq!(epochs.first(), Some(&Epoch(1)), "checkpoint 1 has output");
    let mut counts: BTreeMap<_, Vec<u64>> = BTreeMap::new();
    output.committed().into_iter().for_each(|(key, side, count)| counts.entry((key, side)).or_default().push(count));
    (summary, counts)
}

/// How many records each key has on each side.
fn expected() -> BTreeMap<(u64, u8), u64> {
    let mut expected = BTreeMap::new();
    for side in [0, 1] {
        for worker in 0..WORKERS as u64 {
            for n in 0..BEFORE + AFTER {
                *expected.entry(((n % KEYS) * WORKERS as u64 + worker, side)).or_default() += 1;
            }
        }
    }
    expected
}

#[test]
fn nothing_behind_a_barrier_is_in_the_snapshot() {
    job_test(|| {
        let (_, counts) = run(true);
        let want: BTreeMap<_, Vec<u64>> =
            expected().into_iter().map(|(key, count)| (key, (1..=count).collect())).collect();
        assert_eq!(counts, want);
    });
}

#[test]
fn without_alignment_the_same_job_counts_records_twice() {
    job_test(|| {
        let (_, counts) = run(false);
        let too_many = |(key, count): (&(u64, u8), &u64)| counts[key].iter().max().unwrap() > count;
        let wrong = expected().iter().filter(|it| too_many((it.0, it.1))).count();
        assert!(wrong > 0, "no key has counted too much: the test that alignment holds would not notice");
    });
}
