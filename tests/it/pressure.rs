//! A sink that takes nothing: the sources stop, memory stays bounded, nothing is lost.

use crate::tally::{Tallying, make_items, settings, start};
use staunch::{ErrorKind, Outcome};
use staunch_tests::faults::{Act, Faults, Step};
use staunch_tests::guard::job_test;
use std::time::Duration;

/// More than all channels hold: 3 x 3 of them, 16 batches each, of up to 1,024 records.
const RECORDS: u64 = 400_000;

/// Waits until the sources have stopped reading though there is more: their count stays the same while
/// the workers look at the sink again and again.
fn wait_for_standstill(t: &Tallying) -> usize {
    loop {
        let (read, looked) = (t.input.read(), t.faults.passed(Step::Ready));
        t.faults.wait_for(Step::Ready, looked + 200);
        if read == t.input.read() && read > 0 {
            return read;
        }
    }
}

#[test]
fn a_sink_that_takes_nothing_stops_the_sources_and_nothing_is_lost() {
    job_test(|| {
        let dir = tempfile::tempdir().unwrap();
        let t = Tallying::opened(make_items(RECORDS, 60, 3), Faults::default());
        t.output.close(true);
        let running = start(t.job(dir.path(), 3));
        let read = wait_for_standstill(&t);
        assert!(read < RECORDS as usize / 2, "{read} records are held in memory");
        assert_eq!(t.output.written(), 0);
        t.output.close(false);
        assert_eq!(running.join().unwrap().unwrap().outcome, Outcome::Ended);
        t.assert_exact();
    });
}

#[test]
fn a_suspend_under_back_pressure_waits_for_the_sink_and_loses_nothing() {
    job_test(|| {
        let dir = tempfile::tempdir().unwrap();
        let t = Tallying::opened(make_items(RECORDS, 60, 3), Faults::default());
        t.output.close(true);
        let job = t.job(dir.path(), 3);
        let stop = job.stop_handle();
        let running = start(job);
        wait_for_standstill(&t);
        stop.suspend();
        t.output.close(false);
        assert_eq!(running.join().unwrap().unwrap().outcome, Outcome::Suspended);
        assert!(t.output.committed().len() < RECORDS as usize);
        t.assert_prefix();
        assert_eq!(t.job(dir.path(), 2).run().unwrap().outcome, Outcome::Ended);
        t.assert_exact();
    });
}

#[test]
fn a_suspend_that_the_sink_never_lets_end_gives_up_in_time_and_loses_nothing() {
    job_test(|| {
        let dir = tempfile::tempdir().unwrap();
        let t = Tallying::opened(make_items(RECORDS, 60, 3), Faults::default());
        t.output.close(true);
        let mut settings = settings(dir.path(), 2);
        settings.shutdown_timeout = Duration::from_millis(300);
        let job = t.job_with(settings);
        let stop = job.stop_handle();
        let running = start(job);
        wait_for_standstill(&t);
        stop.suspend();
        let error = running.join().unwrap().unwrap_err();
        assert!(error.to_string().contains("shutdown timeout"), "{error}");
        assert_ne!(error.kind(), ErrorKind::Superseded);
        t.output.close(false);
        assert_eq!(t.job(dir.path(), 2).run().unwrap().outcome, Outcome::Ended);
        t.assert_exact();
    });
}

#[test]
fn a_suspend_is_heard_while_workers_are_not_ready() {
    job_test(|| {
        let dir = tempfile::tempdir().unwrap();
        let t = Tallying::opened(make_items(100, 6, 3), Faults::default().at(Step::Reader, 2, Act::Block));
        let job = t.job(dir.path(), 2);
        let stop = job.stop_handle();
        let running = start(job);
        t.faults.wait_for(Step::Reader, 2);
        stop.suspend();
        t.faults.release();
        assert_eq!(running.join().unwrap().unwrap().outcome, Outcome::Suspended);
        t.assert_prefix();
        assert_eq!(t.job(dir.path(), 2).run().unwrap().outcome, Outcome::Ended);
        t.assert_exact();
    });
}

#[test]
fn a_source_that_never_opens_does_not_keep_a_suspended_job() {
    job_test(|| {
        let dir = tempfile::tempdir().unwrap();
        let t = Tallying::opened(make_items(100, 6, 3), Faults::default().at(Step::Reader, 1, Act::Block));
        let mut settings = settings(dir.path(), 1);
        settings.shutdown_timeout = Duration::from_millis(300);
        let job = t.job_with(settings);
        let stop = job.stop_handle();
        let running = start(job);
        t.faults.wait_for(Step::Reader, 1);
        stop.suspend();
        let error = running.join().unwrap().unwrap_err();
        t.faults.release();
        assert!(error.to_string().contains("threads do not end"), "{error}");
    });
}

#[test]
fn without_alignment_a_worker_that_is_held_up_makes_checkpoints_late_and_no_more() {
    job_test(|| {
        let dir = tempfile::tempdir().unwrap();
        let t = Tallying::opened(make_items(60_000, 60, 3), Faults::default().at(Step::Record, 20_000, Act::Block));
        let mut settings = settings(dir.path(), 3);
        settings.checkpoint.aligned = false;
        settings.checkpoint.interval = Duration::from_millis(5);
        settings.checkpoint.timeout = Duration::from_millis(300);
        settings.checkpoint.tolerated_timeouts = 10_000;
        let running = start(t.job_with(settings));
        t.faults.wait_for(Step::Record, 20_000);
        // Meanwhile the others pass the barriers of several checkpoints.
        std::thread::sleep(Duration::from_secs(1));
        t.faults.release();
        assert_eq!(running.join().unwrap().unwrap().outcome, Outcome::Ended);
    });
}
