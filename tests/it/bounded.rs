//! Bounded input: a job ends by itself, with everything committed, once.

use crate::tally::{Tallying, expected, make_items, settings};
use staunch::connectors::file::FileSource;
use staunch::connectors::format::{Json, OnBadRecord};
use staunch::control::store::CheckpointStore;
use staunch::{Flow, Outcome, pipeline, sink, source};
use staunch_tests::faults::Faults;
use staunch_tests::guard::job_test;
use staunch_tests::sink::Probe;
use staunch_tests::tap::Tap;
use std::path::PathBuf;
use std::time::Duration;

#[test]
fn the_end_of_the_input_is_the_end_of_the_job_and_all_of_it_is_committed() {
    job_test(|| {
        for workers in [1, 2, 3] {
            let dir = tempfile::tempdir().unwrap();
            let t = Tallying::opened(make_items(5_000, 40, 4), Faults::default());
            let summary = t.job(dir.path(), workers).run().unwrap();
            assert_eq!((summary.outcome, summary.attempts), (Outcome::Ended, 1));
            assert_eq!((summary.records_read, summary.records_written), (5_000, 5_000));
            assert_eq!(t.output.output().unfinished_count(), 0, "something is prepared and not committed");
            t.assert_exact();
        }
    });
}

#[test]
fn without_any_checkpoint_before_the_end_the_last_one_commits_everything() {
    job_test(|| {
        let dir = tempfile::tempdir().unwrap();
        let t = Tallying::opened(make_items(1_000, 10, 2), Faults::default());
        let mut settings = settings(dir.path(), 2);
        settings.checkpoint.interval = Duration::from_secs(3600);
        let summary = t.job_with(settings).run().unwrap();
        assert_eq!((summary.checkpoints, summary.last_epoch.map(|epoch| epoch.0)), (1, Some(1)));
        assert_eq!(t.output.output().committed_by_epoch().len(), 1);
        t.assert_exact();
    });
}

#[test]
fn a_job_that_has_ended_does_nothing_when_it_is_run_again() {
    job_test(|| {
        let dir = tempfile::tempdir().unwrap();
        let t = Tallying::opened(make_items(1_000, 10, 2), Faults::default());
        t.job(dir.path(), 2).run().unwrap();
        let before = t.output.committed();
        // Also with another number of workers, and with a source that has grown: it ended, for good.
        for workers in [2, 3] {
            let again = t.job(dir.path(), workers).run().unwrap();
            assert_eq!((again.outcome, again.records_read, again.checkpoints), (Outcome::Ended, 0, 0));
        }
        assert_eq!(t.output.committed(), before);
    });
}

#[test]
fn a_job_that_has_ended_goes_on_where_its_source_is_not_bounded_any_more() {
    job_test(|| {
        let dir = tempfile::tempdir().unwrap();
        let items = make_items(1_000, 10, 2);
        let first: Vec<_> = items.iter().map(|split| split[..300].to_vec()).collect();
        let t = Tallying::opened(first, Faults::default());
        t.job(dir.path(), 2).run().unwrap();
        let t = Tallying { input: Tap::opened(items.clone()).unbounded(), items, ..t };
        assert_eq!(t.job(dir.path(), 2).run().unwrap().records_read, 400);
        t.assert_exact();
    });
}

#[test]
fn a_job_without_records_ends_too() {
    job_test(|| {
        let dir = tempfile::tempdir().unwrap();
        let t = Tallying::opened(vec![Vec::new(); 2], Faults::default());
        let summary = t.job(dir.path(), 3).run().unwrap();
        assert_eq!((summary.outcome, summary.records_read), (Outcome::Ended, 0));
        assert!(expected(&t.items).is_empty());
        t.assert_exact();
    });
}

#[test]
fn the_manifest_says_in_text_where_the_sources_stood() {
    job_test(|| {
        let dir = tempfile::tempdir().unwrap();
        let items = make_items(600, 6, 3);
        let t = Tallying::new(items, Faults::default());
        t.input.open_each(100);
        let job = t.job(dir.path(), 2);
        let stop = job.stop_handle();
        let running = crate::tally::start(job);
        t.output.wait_committed(300);
        stop.suspend();
        assert_eq!(running.join().unwrap().unwrap().outcome, Outcome::Suspended);

        let store = staunch::control::store::LocalStore::open_existing(dir.path(), Default::default).unwrap();
        let newest = *store.list().unwrap().last().unwrap();
        let text = String::from_utf8(store.read(newest).unwrap().unwrap()).unwrap();
        let sources = &text[text.find("\"sources\"").expect("no sources")..];
        for split in 0..3 {
            let at =
                sources.find(&format!("\"split\": \"{split}\"")).unwrap_or_else(|| panic!("split {split} in {text}"));
            let entry = &sources[at..at + sources[at..].find('}').unwrap()];
            assert!(entry.contains("\"position\": 100") && entry.contains("\"finished\": false"), "{entry}");
        }
        assert!(text.contains("\"Suspend\"") || text.contains("\"suspend\""), "{text}");
        assert!(text.contains("\"tally\""), "{text}");
    });
}

pub struct Numbers {
    files: PathBuf,
    output: Probe<u64>,
}

#[source]
fn numbers(config: &Numbers) -> FileSource<Json<u64>> {
    FileSource::json(&config.files).on_bad_record(OnBadRecord::Skip)
}

#[sink]
fn passed_on(config: &Numbers) -> Probe<u64> {
    config.output.clone()
}

#[pipeline(no_main)]
pub fn passing_on(flow: &Flow<Numbers>) {
    passed_on::write(numbers::open(flow));
}

#[test]
fn what_is_left_out_is_counted() {
    job_test(|| {
        let (dir, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (name, lines) in [("a", "1\noops\n2\n"), ("b", "oops\noops\n3\n")] {
            std::fs::write(files.path().join(name), lines).unwrap();
        }
        let output = Probe::default();
        let config = Numbers { files: files.path().to_owned(), output: output.clone() };
        let summary = passing_on::job(config).settings(settings(dir.path(), 2)).run().unwrap();
        assert_eq!((summary.records_read, summary.records_left_out), (3, 3));
        let mut committed = output.committed();
        committed.sort_unstable();
        assert_eq!(committed, [1, 2, 3]);
    });
}
