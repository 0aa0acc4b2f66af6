//! Writing at least once: visible at once, complete when a checkpoint is.

use crate::support::{Job, eventually, kafka, numbers, sink};
use staunch::api::sink::Sink;
use staunch::{Epoch, ErrorKind};

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

#[test]
fn a_record_that_the_broker_refuses_fails_the_checkpoint() {
    let client = kafka!();
    let (topic, lineage) = (client.topic("refused-at-least", 1), client.name("lineage"));
    let large =
        sink(&client, &topic).at_least_once().set("message.max.bytes", "3000000").set("compression.type", "none");
    let mut job = Job::start(&[large], &lineage);
    job.write(0, vec!["x".repeat(1_200_000)]);
    let error = job.try_prepare().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Sink);
    assert!(error.message().contains(&topic), "{error}");
}
