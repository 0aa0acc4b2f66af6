//! Two copies of a job on one store: the younger takes over, the older stops and commits nothing more.

use crate::tally::{Tallying, make_items, settings, start};
use staunch::{ErrorKind, Outcome};
use staunch_tests::faults::{Act, Faults, Step};
use staunch_tests::guard::job_test;
use std::time::Duration;

#[test]
fn the_older_copy_is_superseded_and_what_it_had_not_published_never_appears() {
    job_test(|| {
        let dir = tempfile::tempdir().unwrap();
        // Both copies write into one memory, as two processes would into one topic.
        let old = Tallying::new(make_items(3_000, 30, 3), Faults::default());
        old.input.open_each(300);
        let running = start(old.job(dir.path(), 2));
        old.output.wait_committed(900);

        let mut new = Tallying::opened(old.items.clone(), Faults::default());
        new.output = old.output.clone();
        let younger = start(new.job(dir.path(), 3));
        // The older one has more to read, too, and would publish it.
        old.input.open_each(600);
        let error = running.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Superseded, "{error}");
        assert_eq!(younger.join().unwrap().unwrap().outcome, Outcome::Ended);
        new.assert_exact();
    });
}

#[test]
fn a_copy_that_sleeps_between_prepare_and_publish_wakes_up_superseded() {
    job_test(|| {
        let dir = tempfile::tempdir().unwrap();
        let faults = Faults::default().at(Step::Prepare, 2, Act::Block);
        let old = Tallying::new(make_items(3_000, 30, 3), faults);
        old.input.open_each(300);
        let running = start(old.job(dir.path(), 2));
        old.output.wait_committed(900);
        old.input.open_each(600);
        old.faults.wait_for(Step::Prepare, 2);

        // The same memory, reached by a sink that does not block.
        let mut new = Tallying::opened(old.items.clone(), Faults::default());
        new.output = old.output.without_faults();
        assert_eq!(new.job(dir.path(), 3).run().unwrap().outcome, Outcome::Ended);
        old.faults.release();
        let error = running.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Superseded, "{error}");
        new.assert_exact();
    });
}

#[test]
fn a_copy_that_fails_after_it_was_superseded_says_so_and_what_failed() {
    job_test(|| {
        let dir = tempfile::tempdir().unwrap();
        let old = Tallying::new(make_items(300, 30, 3), Faults::default());
        let mut never = settings(dir.path(), 2);
        // It publishes nothing, so only its failure makes it look.
        (never.checkpoint.interval, never.restart.attempts) = (Duration::from_secs(3_600), 0);
        old.input.open_each(10);
        let running = start(old.job_with(never));
        old.faults.wait_for(Step::Record, 30);

        let mut new = Tallying::opened(old.items.clone(), Faults::default());
        new.output = old.output.without_faults();
        assert_eq!(new.job(dir.path(), 3).run().unwrap().outcome, Outcome::Ended);
        let _ = old.faults.clone().from(Step::Poll, 1, Act::Fail);
        let error = running.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Superseded, "{error}");
        assert!(error.to_string().contains("planned failure: Poll"), "{error}");
        new.assert_exact();
    });
}
