//! What is wrong with a pipeline is told all at once, before anything runs.

use crate::tally::settings;
use staunch::memory::{MemorySink, MemorySource};
use staunch::{ErrorKind, Flow, operator, pipeline, sink, source};
use staunch_tests::guard::job_test;

pub struct Limits;
pub struct Client;

#[source]
fn ones() -> MemorySource<u64> {
    MemorySource::new([1])
}

#[operator]
fn limited(number: u64, #[config] _limits: &Limits, #[resource] _client: &mut Client) -> u64 {
    number
}

#[operator]
fn same(number: u64) -> u64 {
    number
}

#[sink]
fn out(_config: &()) -> MemorySink<u64> {
    MemorySink::new()
}

#[pipeline(no_main)]
fn wrong(flow: &Flow<()>) {
    let ones = ones::open(flow);
    let once = same::on(ones.clone());
    // The same id again, and nothing reads what comes out.
    drop(same::on(ones));
    out::write(limited::on(once));
}

#[test]
fn every_mistake_is_told_and_nothing_is_touched() {
    job_test(|| {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("store");
        let error = wrong::job(()).settings(settings(&root, 2)).run().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Graph);
        let text = error.to_string();
        for told in [
            "`wrong` has 4 errors",
            "2 nodes have the id `same`",
            "nothing reads the output of `same`",
            "Limits",
            "Client",
        ] {
            assert!(text.contains(told), "`{told}` is not in: {text}");
        }
        assert!(!root.exists(), "a store was made for a job that cannot run");
    });
}
