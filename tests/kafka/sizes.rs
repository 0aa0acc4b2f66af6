//! Records that are too large for their topic go where the sink was told to send them: before that, librdkafka
//! has to refuse whatever the broker would.

use crate::support::{Job, kafka, numbers};
use staunch::connectors::format::Text;
use staunch::connectors::kafka::{KafkaSink, OnRefused};
use staunch::{Epoch, ErrorKind};

/// What the topics here take.
const BATCH_MAX: &[(&str, &str)] = &[("max.message.bytes", "20000")];
/// What librdkafka counts for a record beside its key, value and headers.
const RECORD_HEAD: usize = 36;

#[test]
fn what_the_topic_does_not_take_is_a_dead_letter_with_the_size_that_the_start_asks_for() {
    let client = kafka!();
    let (topic, dead) = (client.topic_with("small", 1, BATCH_MAX), client.topic_with("small-dead", 1, BATCH_MAX));
    let (wide, lineage) = (client.topic("wide", 1), client.name("lineage"));
    // Without compression the sizes are what they seem.
    let sink = |topic: &str, policy| {
        KafkaSink::<Text>::topic(client.brokers(), topic).set("compression.type", "none").on_refused(policy)
    };
    let letters = || OnRefused::DeadLetter(dead.clone());
    // A dead letter may be refused as well.
    for (topic, policy, named) in [(&topic, OnRefused::Skip, &topic), (&wide, letters(), &dead)] {
        let error = Job::restart(&[sink(topic, policy)], &lineage, &[], Epoch(0)).err().expect("refused");
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        let message = error.to_string();
        for words in [named.as_str(), "max.message.bytes", "20000", "1000061", "on_refused"] {
            assert!(message.contains(words), "{words:?} is not in: {message}");
        }
    }
    Job::start(&[sink(&topic, OnRefused::Stop)], &lineage);

    let error = Job::restart(&[sink(&topic, letters())], &lineage, &[], Epoch(0)).err().expect("refused").to_string();
    let advised = error.split_once(r#".set("message.max.bytes", ""#).and_then(|(_, rest)| rest.split_once('"'));
    let (advised, _) = advised.unwrap_or_else(|| panic!("no advice in: {error}"));
    let mut job = Job::start(&[sink(&topic, letters()).set("message.max.bytes", advised)], &lineage);
    let largest = "x".repeat(advised.parse::<usize>().unwrap() - RECORD_HEAD);
    let (larger, large) = (format!("y{largest}"), "z".repeat(500_000));
    // Enough to fill batches, and what needs one of its own.
    let small = numbers(0..10_000);
    job.write(0, small.clone());
    job.write(0, vec![large.clone(), largest.clone(), larger.clone()]);
    let prepared = job.prepare();
    assert!(client.committed_values(&dead).is_empty(), "dead letters belong to the transaction");
    job.commit(&prepared);
    assert_eq!(client.committed_values(&topic), [small, vec![largest.clone()]].concat());
    let found = client.read_committed(&dead).concat();
    assert_eq!(found.len(), 2);
    for (letter, whole) in found.iter().zip([large, larger]) {
        let length = whole.len().to_string().into_bytes();
        assert!(letter.headers.contains(&("staunch.refused.bytes".to_owned(), Some(length))), "{:?}", letter.headers);
        assert!(letter.text().len() > 19_000 && whole.starts_with(letter.text()), "as much as there is room for");
    }
}
