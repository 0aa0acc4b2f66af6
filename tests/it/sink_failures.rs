//! A sink that fails, panics or blocks at each step of the protocol.

use crate::tally::{Tallying, make_items, settings, start};
use staunch::{ErrorKind, Outcome};
use staunch_tests::faults::{Act, Faults, Step};
use staunch_tests::guard::job_test;
use std::time::Duration;

const STEPS: [Step; 7] =
    [Step::Ready, Step::Write, Step::Seal, Step::Prepare, Step::Commit, Step::Committed, Step::Writer];

#[test]
fn a_sink_that_fails_once_at_any_step_costs_a_restart_and_no_record() {
    job_test(|| {
        for act in [Act::Fail, Act::Panic] {
            for step in STEPS {
                for passage in [1, 4] {
                    once(step, passage, act);
                }
            }
        }
    });
}

fn once(step: Step, passage: u64, act: Act) {
    // There are as many writers as workers, and one is enough to be the only failure.
    let passage = if step == Step::Writer { passage.min(2) } else { passage };
    let dir = tempfile::tempdir().unwrap();
    let t = Tallying::new(make_items(1_200, 12, 3), Faults::default().at(step, passage, act));
    let running = start(t.job(dir.path(), 2));
    for part in 1..=4 {
        t.input.open_each(100 * part);
        t.output.wait_committed(300 * part);
    }
    let summary = running.join().unwrap().unwrap_or_else(|error| panic!("{step:?} {passage} {act:?}: {error}"));
    assert_eq!((summary.outcome, summary.attempts), (Outcome::Ended, 2), "{step:?} {passage} {act:?}");
    t.assert_exact();
}

#[test]
fn a_sink_that_always_fails_is_named() {
    job_test(|| {
        // Not the commit: once the manifest is durable, the next attempt's recovery settles it.
        let steps = STEPS.into_iter().filter(|step| !matches!(step, Step::Commit | Step::Committed));
        for step in steps.chain([Step::Open, Step::Recover]) {
            let dir = tempfile::tempdir().unwrap();
            let t = Tallying::opened(make_items(300, 6, 2), Faults::default().from(step, 1, Act::Fail));
            let error = t.job(dir.path(), 2).run().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Sink, "{step:?}: {error}");
            assert!(error.to_string().contains("`tallies`"), "{step:?}: {error}");
            assert_eq!(t.faults.passed(Step::Open), 6, "{step:?}: the first attempt and five restarts");
            t.assert_prefix();
        }
    });
}

#[test]
fn recovery_that_failed_is_tried_again() {
    job_test(|| {
        // The commit fails after its manifest is durable, then the recovery that is to settle it fails too.
        let faults = Faults::default().at(Step::Commit, 2, Act::Fail).at(Step::Recover, 2, Act::Fail);
        let dir = tempfile::tempdir().unwrap();
        let t = Tallying::new(make_items(900, 9, 3), faults);
        let running = start(t.job(dir.path(), 2));
        t.input.open_each(100);
        t.output.wait_committed(300);
        t.input.open_all();
        assert_eq!(running.join().unwrap().unwrap().attempts, 3);
        t.assert_exact();
    });
}

/// The step never comes back. The checkpoint's timeout finds it; as its thread cannot be ended, no other
/// attempt may start beside it in this process.
#[test]
fn a_sink_that_blocks_for_ever_is_named_and_the_job_ends() {
    job_test(|| {
        for step in [Step::Prepare, Step::Commit, Step::Write, Step::Seal] {
            let dir = tempfile::tempdir().unwrap();
            let t = Tallying::opened(make_items(300, 6, 2), Faults::default().at(step, 1, Act::Block));
            let mut settings = settings(dir.path(), 2);
            settings.checkpoint.timeout = Duration::from_millis(150);
            settings.checkpoint.tolerated_timeouts = 0;
            settings.shutdown_timeout = Duration::from_millis(150);
            let error = t.job_with(settings.clone()).run().unwrap_err();
            let text = error.to_string();
            let culprit = if matches!(step, Step::Prepare | Step::Commit) { "tallies" } else { "worker" };
            assert!(text.contains(culprit) && text.contains("block"), "{step:?}: {text}");
            assert_eq!(t.faults.passed(Step::Open), 1, "{step:?}: another attempt ran beside a thread of the first");
            t.faults.release();
            // As a new process would; the thread that was held ends beside it, and changes nothing.
            assert_eq!(t.job(dir.path(), 2).run().unwrap().outcome, Outcome::Ended);
            t.assert_exact();
        }
    });
}

/// It is late, and nothing has failed: what was sealed meanwhile goes into a later checkpoint. Barriers
/// of checkpoints that were abandoned are still under way when the next ones come.
#[test]
fn a_sink_that_is_late_is_waited_for_without_a_restart() {
    job_test(|| {
        for step in [Step::Prepare, Step::Write] {
            let dir = tempfile::tempdir().unwrap();
            let t = Tallying::new(make_items(900, 9, 3), Faults::default().at(step, 1, Act::Block));
            let mut settings = settings(dir.path(), 2);
            settings.checkpoint.timeout = Duration::from_secs(1);
            settings.checkpoint.tolerated_timeouts = 20;
            let running = start(t.job_with(settings));
            t.input.open_each(100);
            t.faults.wait_for(step, 1);
            // Several timeouts: nothing tells of them but time.
            std::thread::sleep(Duration::from_millis(2_300));
            t.faults.release();
            t.output.wait_committed(300);
            t.input.open_all();
            assert_eq!(running.join().unwrap().unwrap().attempts, 1, "{step:?}");
            t.assert_exact();
        }
    });
}

/// It comes back in the end, within the shutdown timeout: then a restart is safe.
#[test]
fn a_sink_that_blocks_for_a_while_is_restarted() {
    job_test(|| {
        for step in [Step::Prepare, Step::Commit] {
            let dir = tempfile::tempdir().unwrap();
            let t = Tallying::opened(make_items(300, 6, 2), Faults::default().at(step, 1, Act::Block));
            let mut settings = settings(dir.path(), 2);
            settings.checkpoint.timeout = Duration::from_millis(200);
            settings.checkpoint.tolerated_timeouts = 0;
            let running = start(t.job_with(settings));
            t.faults.wait_for(step, 1);
            // After the checkpoint's timeout: nothing tells of it but time.
            std::thread::sleep(Duration::from_millis(400));
            t.faults.release();
            assert_eq!(running.join().unwrap().unwrap().attempts, 2, "{step:?}");
            t.assert_exact();
        }
    });
}

/// All input has ended, so nothing else is left to take in what the last checkpoint has prepared.
#[test]
fn a_last_checkpoint_that_is_late_is_tried_again() {
    job_test(|| {
        let dir = tempfile::tempdir().unwrap();
        let t = Tallying::opened(make_items(300, 6, 2), Faults::default().at(Step::Prepare, 1, Act::Block));
        let mut settings = settings(dir.path(), 2);
        settings.checkpoint.interval = Duration::from_secs(3_600);
        settings.checkpoint.timeout = Duration::from_millis(400);
        settings.checkpoint.tolerated_timeouts = 20;
        let running = start(t.job_with(settings));
        t.faults.wait_for(Step::Prepare, 1);
        // Several timeouts: nothing tells of them but time.
        std::thread::sleep(Duration::from_millis(1_000));
        t.faults.release();
        let summary = running.join().unwrap().unwrap();
        assert_eq!((summary.outcome, summary.attempts, summary.checkpoints), (Outcome::Ended, 1, 1));
        assert!(summary.last_epoch > Some(staunch::Epoch(1)), "{summary:?}");
        t.assert_exact();
    });
}
