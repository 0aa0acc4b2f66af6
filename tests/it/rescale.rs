//! Suspending in the middle and going on with another number of workers.

use crate::tally::{Tallying, make_items, start};
use staunch::Outcome;
use staunch_tests::faults::Faults;
use staunch_tests::guard::job_test;

/// Runs through these numbers of workers, suspending in between.
fn through(workers: &[usize], splits: usize) {
    let dir = tempfile::tempdir().unwrap();
    let per_split = 600;
    let t = Tallying::new(make_items((per_split * splits) as u64, 50, splits), Faults::default());
    let shortest = t.items.iter().map(Vec::len).min().unwrap();
    let (last, before) = workers.split_last().unwrap();
    for (run, workers) in before.iter().enumerate() {
        let open = shortest * (run + 1) / (before.len() + 1);
        t.input.open_each(open);
        let job = t.job(dir.path(), *workers);
        let stop = job.stop_handle();
        let running = start(job);
        // Only some of it is committed when the suspend is asked for; it takes the rest along.
        t.input.wait_read();
        stop.suspend();
        assert_eq!(running.join().unwrap().unwrap().outcome, Outcome::Suspended);
        assert_eq!(t.output.output().unfinished_count(), 0);
        assert_eq!(t.output.committed().len(), open * splits, "a suspend commits what was read, and no more");
        t.assert_prefix();
    }
    t.input.open_all();
    assert_eq!(t.job(dir.path(), *last).run().unwrap().outcome, Outcome::Ended);
    t.assert_exact();
}

#[test]
fn one_three_and_two_workers_make_what_one_run_makes() {
    job_test(|| through(&[1, 3, 2], 4));
}

#[test]
fn more_workers_than_splits_and_back() {
    job_test(|| through(&[4, 1, 5, 2], 2));
}

#[test]
fn a_suspend_before_anything_was_read_loses_nothing() {
    job_test(|| {
        let dir = tempfile::tempdir().unwrap();
        let t = Tallying::new(make_items(500, 10, 2), Faults::default());
        let job = t.job(dir.path(), 2);
        job.stop_handle().suspend();
        assert_eq!(job.run().unwrap().outcome, Outcome::Suspended);
        t.input.open_all();
        assert_eq!(t.job(dir.path(), 3).run().unwrap().outcome, Outcome::Ended);
        t.assert_exact();
    });
}
