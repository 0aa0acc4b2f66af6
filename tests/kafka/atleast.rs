//! Writing at least once: visible at once, complete when a checkpoint is.

use crate::support::{Job, eventually, kafka, numbers, sink};
use staunch::Epoch;
use staunch::api::sink::Sink;

#[test]
fn records_are_visible_at_once_and_all_of_them_when_prepared() {
    let client = kafka!();
    let (topic, lineage) = (client.topic("at-least-once", 2), client.name("lineage"));
    let sink = sink(&client, &topic).at_least_once();
    assert!(sink.participant("x").starts_with("kafka-at-least-once:"));
    let mut job = Job::workers(&[sink], &lineage, &[], Epoch(0), 2).unwrap();
    job.write(0, numbers(0..100));
    eventually("visible", || (client.committed_values(&topic) == numbers(0..100)).then_some(()));
    for epoch in 1..4 {
        job.write(1, numbers(epoch * 100..epoch * 100 + 100));
        assert_eq!(job.try_prepare().unwrap(), None);
        assert_eq!(client.committed_values(&topic), numbers(0..epoch * 100 + 100));
    }
    assert!(client.open_transactions("tests/").iter().all(|id| !id.contains(&lineage)));
}
