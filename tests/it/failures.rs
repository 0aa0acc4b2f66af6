//! Failures of user code, sources and the store: a restart from the last checkpoint with exact output,
//! or an error that names the culprit. Never a hang.

use crate::tally::{Tallying, make_items, settings, start};
use staunch::{Error, ErrorKind, Flow, Outcome, operator, pipeline, sink, source};
use staunch_tests::faults::{Act, Faults, Step};
use staunch_tests::guard::job_test;
use staunch_tests::sink::Probe;
use staunch_tests::tap::Tap;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Runs it in two halves with a checkpoint between them, so that a restart has something to go on from.
#[track_caller]
fn cured(step: Step, passages: &[u64], act: Act, workers: usize) {
    let dir = tempfile::tempdir().unwrap();
    let faults = passages.iter().fold(Faults::default(), |faults, at| faults.at(step, *at, act));
    let t = Tallying::new(make_items(3_000, 30, 3), faults);
    t.input.open_each(500);
    let running = start(t.job(dir.path(), workers));
    t.output.wait_committed(1_500);
    t.input.open_all();
    let summary = running.join().unwrap().unwrap();
    assert_eq!(summary.outcome, Outcome::Ended);
    // Two workers may fail in one attempt.
    assert!((2..=passages.len() + 1).contains(&(summary.attempts as usize)), "{step:?} {act:?}: {summary:?}");
    t.assert_exact();
}

/// Fails for good; returns the error.
#[track_caller]
fn fatal(step: Step, from: u64, act: Act) -> Error {
    let dir = tempfile::tempdir().unwrap();
    let t = Tallying::opened(make_items(3_000, 30, 3), Faults::default().from(step, from, act));
    let error = t.job(dir.path(), 2).run().unwrap_err();
    t.assert_prefix();
    error
}

#[test]
fn a_panic_in_an_operator_is_cured_by_a_restart() {
    job_test(|| {
        cured(Step::Record, &[700], Act::Panic, 1);
        cured(Step::Record, &[1_600, 1_700, 2_500], Act::Panic, 3);
    });
}

#[test]
fn failures_amid_the_flow_lose_and_repeat_nothing() {
    job_test(|| {
        let dir = tempfile::tempdir().unwrap();
        // Never a pause: barriers always fall between records that are on their way. One worker, so that
        // the channels hold far less than there is to read.
        let faults =
            [20_000, 50_000, 90_000].iter().fold(Faults::default(), |it, at| it.at(Step::Record, *at, Act::Panic));
        let t = Tallying::opened(make_items(100_000, 60, 3), faults);
        let mut settings = settings(dir.path(), 1);
        settings.checkpoint.interval = Duration::from_millis(2);
        assert_eq!(t.job_with(settings).run().unwrap().outcome, Outcome::Ended);
        assert!(t.output.output().committed_by_epoch().len() > 3, "too few checkpoints to tell");
        t.assert_exact();
    });
}

#[test]
fn an_operator_that_always_panics_is_named_after_the_last_attempt() {
    job_test(|| {
        let error = fatal(Step::Record, 1_000, Act::Panic);
        assert_eq!(error.kind(), ErrorKind::Operator);
        let text = error.to_string();
        assert!(text.contains("panicked") && text.contains("planned panic") && text.contains("worker"), "{text}");
    });
}

#[test]
fn a_failing_source_is_cured_or_named() {
    job_test(|| {
        cured(Step::Poll, &[3, 12], Act::Fail, 2);
        cured(Step::Poll, &[9], Act::Panic, 3);
        let error = fatal(Step::Poll, 5, Act::Fail);
        assert_eq!(error.kind(), ErrorKind::Source);
        assert!(error.to_string().contains("source `items`"), "{error}");
    });
}

#[test]
fn attempts_are_counted() {
    job_test(|| {
        let dir = tempfile::tempdir().unwrap();
        let t = Tallying::opened(make_items(100, 3, 1), Faults::default().from(Step::Poll, 1, Act::Fail));
        let mut settings = settings(dir.path(), 1);
        settings.restart.attempts = 2;
        t.job_with(settings).run().unwrap_err();
        // The first, and two restarts.
        assert_eq!(t.faults.passed(Step::Poll), 3);
    });
}

pub struct Strict {
    input: Tap<u64>,
    output: Probe<u64>,
}

#[source]
fn numbers(config: &Strict) -> Tap<u64> {
    config.input.clone()
}

#[operator]
fn below_hundred(number: u64) -> Result<u64, String> {
    if number < 100 { Ok(number) } else { Err(format!("{number} is too much")) }
}

#[sink]
fn small(config: &Strict) -> Probe<u64> {
    config.output.clone()
}

#[pipeline(no_main)]
fn strict(flow: &Flow<Strict>) {
    let (fine, failed) = below_hundred::on(numbers::open(flow));
    small::write(fine);
    failed.fail_job();
}

#[test]
fn fail_job_names_the_operator_and_the_record() {
    job_test(|| {
        let dir = tempfile::tempdir().unwrap();
        let output = Probe::default();
        let config = Strict { input: Tap::opened(vec![(0..=100).collect()]), output: output.clone() };
        let error = strict::job(config).settings(settings(dir.path(), 2)).run().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Operator);
        assert!(
            error.to_string().contains("`below_hundred`") && error.to_string().contains("100 is too much"),
            "{error}"
        );
        let committed = output.committed();
        assert_eq!(committed, (0..committed.len() as u64).collect::<Vec<_>>());
    });
}

/// What stands in the way of the store, and how it is taken away again.
#[track_caller]
fn store_fails(what: &str, breaking: fn(&Path), mending: Option<fn(&Path)>) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    let t = Tallying::new(make_items(3_000, 30, 3), Faults::default());
    t.input.open_each(500);
    let running = start(t.job(&root, 2));
    t.output.wait_committed(1_500);
    breaking(&root);
    t.input.open_all();
    let error = running.join().unwrap().unwrap_err();
    t.assert_prefix();
    assert!(matches!(error.kind(), ErrorKind::Store | ErrorKind::Checkpoint), "{what}: {error}");
    assert!(error.to_string().contains(root.to_str().unwrap()), "{what}: {error}");
    if let Some(mending) = mending {
        mending(&root);
        assert_eq!(t.job(&root, 3).run().unwrap().outcome, Outcome::Ended, "{what}");
        t.assert_exact();
    }
}

/// Folders are exchanged for files: that stops even a user who may write everywhere.
fn block(root: &Path, folder: &str) {
    fs::rename(root.join(folder), root.join(format!("{folder}.aside"))).unwrap();
    fs::write(root.join(folder), "in the way").unwrap();
}

fn unblock(root: &Path, folder: &str) {
    fs::remove_file(root.join(folder)).unwrap();
    fs::rename(root.join(format!("{folder}.aside")), root.join(folder)).unwrap();
}

#[test]
fn a_store_that_cannot_be_written_ends_the_job_and_once_mended_it_goes_on() {
    job_test(|| {
        store_fails("no room for files", |root| block(root, "tmp"), Some(|root| unblock(root, "tmp")));
        store_fails("no state", |root| block(root, "state"), Some(|root| unblock(root, "state")));
        store_fails("no log", |root| block(root, "log"), Some(|root| unblock(root, "log")));
    });
}

#[test]
fn a_job_whose_store_is_removed_does_not_start_over_unnoticed() {
    job_test(|| {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("store");
        let t = Tallying::new(make_items(3_000, 30, 3), Faults::default());
        t.input.open_each(500);
        let running = start(t.job(&root, 2));
        t.output.wait_committed(1_500);
        // Aside in one step; deleting would race with the job, which makes files there.
        fs::rename(&root, dir.path().join("aside")).unwrap();
        t.input.open_all();
        // An empty store is a first start: that its output were committed a second time must not happen
        // within one process, which knows better.
        let ended = running.join().unwrap();
        assert!(ended.is_err(), "{ended:?}");
        t.assert_prefix();
    });
}
