//! Writing exactly once: what becomes visible when, driven by hand.

use crate::support::{EPOCH_WITHIN, Job, WITHIN, eventually, kafka, numbers, parsed, sink};
use staunch::api::sink::{Share, Sink, SinkContext, SinkWriter, TwoPhaseCommit};
use staunch::connectors::format::Text;
use staunch::connectors::kafka::{KafkaCommittable, KafkaSink};
use staunch::testing::permit::permit;
use staunch::{Cancellation, Epoch, ErrorKind, Timestamp};
use staunch_tests::kafka::{Client, Session};
use std::time::{Duration, Instant};

#[test]
fn records_become_visible_with_the_commit_and_not_before() {
    let client = kafka!();
    let (topic, lineage) = (client.topic("visible", 2), client.name("lineage"));
    let mut job = Job::start(&[sink(&client, &topic)], &lineage);
    job.write(0, numbers(0..1_000));
    let first = job.prepare();
    job.write(0, numbers(1_000..2_000));
    assert_eq!(client.committed_values(&topic).len(), 0);
    assert!(client.read_uncommitted(&topic).concat().len() >= 1_000, "but durable");
    job.commit(&first);
    assert_eq!(client.committed_values(&topic), numbers(0..1_000));
    let second = job.prepare();
    job.commit(&second);
    assert_eq!(client.committed_values(&topic), numbers(0..2_000));
    let (first, second) = (parsed(&first), parsed(&second));
    assert_ne!(first.transactional_id, second.transactional_id);
    assert!(first.transactional_id.starts_with(&format!("tests/{lineage}/")));
    assert_eq!((first.records, first.epoch, first.writers.len()), (1_000, Epoch(1), 1));
    assert_eq!(first.partitions.iter().map(|range| range.records).sum::<u64>(), 1_000);
}

#[test]
fn keys_values_and_event_times_arrive() {
    let client = kafka!();
    let (topic, lineage) = (client.topic("content", 4), client.name("lineage"));
    let mut job = Job::start(&[sink(&client, &topic)], &lineage);
    job.write_at(0, numbers(0..200), Timestamp::from_millis(123_456));
    let started = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    job.write_at(0, numbers(200..201), Timestamp::MIN);
    let committable = job.prepare();
    job.commit(&committable);
    let partitions = client.read_committed(&topic);
    assert!(partitions.iter().all(|records| !records.is_empty()), "keys are spread");
    for record in partitions.concat() {
        assert_eq!(record.key, record.value);
        if record.text() == "000200" {
            assert!((record.timestamp - started).abs() < 10_000);
        } else {
            assert_eq!(record.timestamp, 123_456);
        }
    }
    // Where a key goes is a promise: the same as with Java clients.
    let of_key = |key: &str| partitions.iter().position(|records| records.iter().any(|record| record.text() == key));
    let murmur2: Vec<_> = ["000000", "000001", "000002"].iter().map(|key| of_key(key).unwrap()).collect();
    assert_eq!(
        murmur2,
        ["000000", "000001", "000002"].map(|key| (java_murmur2(key.as_bytes()) & 0x7fff_ffff) as usize % 4)
    );
}

/// Kafka's `Utils.murmur2`.
fn java_murmur2(data: &[u8]) -> i32 {
    const M: i32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c_u32 as i32 ^ data.len() as i32;
    let mut chunks = data.chunks_exact(4);
    for chunk in &mut chunks {
        let mut word = i32::from_le_bytes(chunk.try_into().unwrap()).wrapping_mul(M);
        word ^= ((word as u32) >> 24) as i32;
        hash = hash.wrapping_mul(M) ^ word.wrapping_mul(M);
    }
    let rest = chunks.remainder();
    for (place, byte) in rest.iter().enumerate() {
        hash ^= i32::from(*byte) << (8 * place);
    }
    if !rest.is_empty() {
        hash = hash.wrapping_mul(M);
    }
    hash ^= ((hash as u32) >> 13) as i32;
    hash = hash.wrapping_mul(M);
    hash ^ ((hash as u32) >> 15) as i32
}

#[test]
fn two_sinks_and_two_workers_share_one_transaction() {
    let client = kafka!();
    let (one, other) = (client.topic("one", 2), client.topic("other", 1));
    let lineage = client.name("lineage");
    let sinks = [sink(&client, &one), sink(&client, &other)];
    let mut job = Job::workers(&sinks, &lineage, &[], Epoch(0), 2).unwrap();
    for writer in 0..4 {
        job.write(writer, numbers(writer as u32 * 100..writer as u32 * 100 + 100));
    }
    let committable = job.prepare();
    assert_eq!(client.open_transactions(&format!("tests/{lineage}/")).len(), 1);
    let content = parsed(&committable);
    assert_eq!((content.records, content.writers.len(), content.partitions.len()), (400, 4, 3));
    job.commit(&committable);
    assert_eq!(client.committed_values(&one), numbers(0..200));
    assert_eq!(client.committed_values(&other), numbers(200..400));
}

#[test]
fn an_epoch_without_records_has_no_transaction() {
    let client = kafka!();
    let (topic, lineage) = (client.topic("empty", 1), client.name("lineage"));
    let mut job = Job::start(&[sink(&client, &topic)], &lineage);
    for _ in 0..5 {
        assert_eq!(job.try_prepare().unwrap(), None);
    }
    assert!(client.open_transactions(&format!("tests/{lineage}/")).is_empty());
    job.write(0, numbers(0..3));
    let committable = job.prepare();
    job.commit(&committable);
    assert_eq!(job.try_prepare().unwrap(), None);
    assert_eq!(client.committed_values(&topic), numbers(0..3));
}

#[test]
fn a_broker_that_is_gone_is_named_and_no_later_epoch_overtakes_what_it_has_not_taken() {
    let Some(broker) = staunch_tests::kafka::own() else { return };
    let client = broker.client();
    let (topic, lineage) = (client.topic("gone", 1), client.name("lineage"));
    let timeout = Duration::from_secs(8);
    let mut job = Job::start(&[sink(&client, &topic).transaction_timeout(timeout)], &lineage);
    job.write(0, numbers(0..10));
    let first = job.prepare();
    job.commit(&first);
    job.write(0, numbers(10..11));
    // The transaction of the next epoch is ready: only the order of records keeps the writer from taking it.
    let prefix = format!("tests/{lineage}/");
    eventually("ready", || (client.cluster().list(&prefix, WITHIN).unwrap().len() >= 3).then_some(()));
    broker.kill();
    job.write(0, numbers(11..20));
    let epoch = job.epoch;
    let bytes = job.writers[0].seal(epoch).unwrap();
    job.writers[0].seal(epoch.next()).unwrap();
    assert!(!job.writers[0].ready().unwrap(), "an epoch without records hides those that are under way");

    let share = Share { sink: "sink".into(), worker: 0, bytes };
    let error = job.participant.prepare(epoch, vec![share]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Sink | ErrorKind::Timeout), "{error}");
    assert!(error.to_string().contains(broker.address()), "{error}");
}

#[test]
fn ids_rotate_and_a_listed_one_is_left_alone_until_the_next_commit() {
    let client = kafka!();
    let (topic, lineage) = (client.topic("rotate", 1), client.name("lineage"));
    let mut job = Job::start(&[sink(&client, &topic)], &lineage);
    let mut ids = Vec::new();
    for epoch in 0..12 {
        job.write(0, numbers(epoch * 10..epoch * 10 + 10));
        let committable = job.prepare();
        job.commit(&committable);
        ids.push(parsed(&committable).transactional_id);
    }
    assert!(ids.windows(2).all(|pair| pair[0] != pair[1]), "{ids:?}");
    ids.sort();
    ids.dedup();
    assert!(ids.len() <= 4, "{ids:?}");
    assert_eq!(client.committed_values(&topic), numbers(0..120));
}

#[test]
fn what_was_prepared_may_be_carried_into_the_next_checkpoint() {
    let client = kafka!();
    let (topic, lineage) = (client.topic("carried", 1), client.name("lineage"));
    let mut job = Job::start(&[sink(&client, &topic)], &lineage);
    let mut ids = Vec::new();
    for round in 0..3 {
        // Another participant was late for the first of two epochs: the second's manifest lists both.
        let mut listed = Vec::new();
        for part in 0..2 {
            job.write(0, numbers(round * 20 + part * 10..round * 20 + part * 10 + 10));
            listed.push(job.prepare());
        }
        assert!(listed.iter().all(|committable| !ids.contains(&parsed(committable).transactional_id)));
        ids = listed.iter().map(|committable| parsed(committable).transactional_id).collect();
        for committable in &listed {
            job.participant.commit(committable, &permit(listed[1].epoch)).unwrap();
        }
    }
    assert_eq!(client.committed_values(&topic), numbers(0..60));
}

#[test]
fn an_aborted_epoch_is_never_seen() {
    let client = kafka!();
    let (topic, lineage) = (client.topic("abort", 1), client.name("lineage"));
    let mut job = Job::start(&[sink(&client, &topic)], &lineage);
    job.write(0, vec!["never".into()]);
    let committable = job.prepare();
    job.participant.abort(&committable).unwrap();
    job.write(0, vec!["seen".into()]);
    let committable = job.prepare();
    job.commit(&committable);
    assert_eq!(client.committed_values(&topic), ["seen"]);
}

#[test]
fn what_finds_no_room_waits_and_keeps_its_order() {
    let client = kafka!();
    let (topic, lineage) = (client.topic("room", 1), client.name("lineage"));
    let small = sink(&client, &topic).set("queue.buffering.max.messages", "10");
    let mut job = Job::start(&[small], &lineage);
    for epoch in 0..3 {
        // Two batches without asking `ready` in between: the writer has to take them.
        let mut batch = staunch::Batch::default();
        eventually("ready", || job.writers[0].ready().unwrap().then_some(()));
        numbers(epoch * 500..epoch * 500 + 500).into_iter().for_each(|value| batch.push(value, Timestamp::MIN));
        job.writers[0].write(&mut batch).unwrap();
        assert!(!job.writers[0].ready().unwrap() || epoch > 0);
        let committable = job.prepare();
        job.commit(&committable);
    }
    let values: Vec<_> = client.read_committed(&topic).concat().iter().map(|record| record.text().to_owned()).collect();
    assert_eq!(values, numbers(0..1_500), "in order");
}

#[test]
fn a_record_that_kafka_refuses_fails_the_attempt() {
    let client = kafka!();
    let (topic, lineage) = (client.topic("refused", 1), client.name("lineage"));
    let large = sink(&client, &topic).set("message.max.bytes", "3000000").set("compression.type", "none");
    let mut job = Job::start(&[large], &lineage);
    job.write(0, vec!["x".repeat(1_200_000)]);
    let error = job.try_prepare().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Sink);
    assert!(error.message().contains(&topic), "{error}");
}

#[test]
fn a_transaction_that_expired_or_was_taken_over_is_not_prepared() {
    let client = kafka!();
    let (topic, lineage) = (client.topic("expired", 1), client.name("lineage"));
    let short = sink(&client, &topic).transaction_timeout(Duration::from_secs(2));
    let mut job = Job::start(&[short], &lineage);
    job.write(0, numbers(0..1));
    std::thread::sleep(Duration::from_millis(2_500));
    let error = job.try_prepare().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");

    let (mut job, topic, id) = written(&client);
    client.cluster().init_producer_id(&id, WITHIN, WITHIN).unwrap();
    let error = job.try_prepare().unwrap_err();
    assert!(error.kind() == ErrorKind::Sink && error.message().contains("is not open any more"), "{error}");
    assert!(client.committed_values(&topic).is_empty());
}

/// A job with a record that is acknowledged and not prepared, its topic, and its transactional id.
fn written(client: &Client) -> (Job, String, String) {
    let (topic, lineage) = (client.topic("taken-over", 1), client.name("lineage"));
    let mut job = Job::start(&[sink(client, &topic)], &lineage);
    job.write(0, numbers(0..1));
    eventually("acknowledged", || (client.read_uncommitted(&topic).concat().len() == 1).then_some(()));
    let id = client.open_transactions(&format!("tests/{lineage}/")).pop().unwrap();
    (job, topic, id)
}

/// The coordinator speaks of an open transaction of that id, but it is another process's: if that were listed, its
/// records would be committed in the place of ours.
#[test]
fn an_open_transaction_of_somebody_else_under_the_same_id_is_not_prepared() {
    let client = kafka!();
    let (mut job, topic, id) = written(&client);
    let other = Session::open(&client, &id, Duration::from_secs(60), &[]);
    other.write(&topic, 0, client.read_uncommitted(&topic).concat());
    assert_eq!(client.open_transactions(&id), [id.as_str()]);
    let error = job.try_prepare().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Sink, "{error}");
    assert!(error.message().contains(&id) && error.message().contains("belongs to another process now"), "{error}");
    assert!(client.committed_values(&topic).is_empty());
}

#[test]
fn nothing_is_committed_without_its_permit() {
    let client = kafka!();
    let (topic, lineage) = (client.topic("permit", 1), client.name("lineage"));
    let mut job = Job::start(&[sink(&client, &topic)], &lineage);
    job.write(0, numbers(0..1));
    let committable = job.prepare();
    let error = job.participant.commit(&committable, &permit(Epoch(0))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(client.committed_values(&topic).is_empty());
}

fn context<'a>(participant: &'a str, lineage: &'a str) -> SinkContext<'a> {
    let (epoch, epoch_interval, epoch_within) = (Epoch(1), EPOCH_WITHIN, EPOCH_WITHIN);
    SinkContext {
        participant,
        job: "tests",
        lineage,
        attempt: 1,
        epoch,
        workers: 1,
        epoch_interval,
        epoch_within,
        cancellation: Cancellation::default(),
    }
}

#[test]
fn one_cluster_has_one_list_of_brokers() {
    let client = kafka!();
    let lineage = client.name("lineage");
    let open = |brokers: &str, attempt| {
        let sink = KafkaSink::<Text>::topic(brokers, "any");
        let participant = sink.participant("x");
        sink.open(&SinkContext { attempt, ..context(&participant, &lineage) })
    };
    let twice = format!("{},localhost:1", client.brokers());
    open(client.brokers(), 1).unwrap();
    open(client.brokers(), 1).unwrap();
    let error = open(&twice, 1).err().unwrap();
    assert!(error.kind() == ErrorKind::Config && error.message().contains("same list of brokers"), "{error}");
    open(&twice, 2).unwrap();
}

#[test]
fn what_cannot_work_is_said_when_the_sink_opens() {
    let client = kafka!();
    let open = |sink: KafkaSink<Text>| sink.open(&context("kafka", "l")).err().unwrap();
    let topic = client.topic("wrong", 1);
    for (key, value) in
        [("acks", "1"), ("transactional.id", "x"), ("message.timeout.ms", "1"), ("security.protocol", "SASL_SSL")]
    {
        let error = open(sink(&client, &topic).set(key, value));
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    }
    let error = Job::restart(&[sink(&client, "no-such-topic")], &client.name("lineage"), &[], Epoch(0)).err().unwrap();
    assert!(error.message().contains("no-such-topic"), "{error}");
    let differing = [sink(&client, &topic), sink(&client, &topic).set("linger.ms", "1")];
    let error = Job::restart(&differing, &client.name("lineage"), &[], Epoch(0)).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    let started = Instant::now();
    let error = open(KafkaSink::topic("127.0.0.1:1", "any"));
    assert_eq!(error.kind(), ErrorKind::Sink, "{error}");
    assert!(started.elapsed() < Duration::from_secs(40));
    let described = sink(&client, "totals");
    assert_eq!(described.describe(), "kafka topic totals, exactly once");
    assert_eq!(described.participant("x"), format!("kafka:{}", client.brokers()));
}

#[test]
fn shards_have_a_transaction_each_and_are_settled_together() {
    let client = kafka!();
    let (topic, lineage) = (client.topic("shards", 2), client.name("lineage"));
    let sinks = [sink(&client, &topic).shards(2)];
    let mut job = Job::workers(&sinks, &lineage, &[], Epoch(0), 3).unwrap();
    (0..3).for_each(|writer| job.write(writer, numbers(writer as u32 * 100..writer as u32 * 100 + 10)));
    let first = job.prepare();
    assert_eq!(client.open_transactions(&format!("tests/{lineage}/")).len(), 2);
    job.commit(&first);
    assert_eq!(client.committed_values(&topic).len(), 30);
    // One worker alone: one transaction, as any other job's.
    job.write(1, numbers(100..105));
    let second = job.prepare();
    assert_eq!(parsed(&second).records, 5);
    job.commit(&second);
    // After a crash both are finished; one of them was aborted, and is written again.
    (0..3).for_each(|writer| job.write(writer, numbers(writer as u32 * 100 + 10..writer as u32 * 100 + 20)));
    let third = job.prepare();
    drop(job);
    let listed: Vec<KafkaCommittable> = serde_json::from_slice(&third.bytes).unwrap();
    assert_eq!(listed.iter().map(|one| one.records).collect::<Vec<_>>(), [20, 10]);
    client.cluster().init_producer_id(&listed[0].transactional_id, WITHIN, WITHIN).unwrap();
    Job::workers(&sinks, &lineage, &[third], Epoch(3), 1).unwrap();
    let mut expected = [0, 100, 200].map(|from| numbers(from..from + 20)).concat();
    expected.extend(numbers(100..105));
    expected.sort();
    eventually("visible", || (client.committed_values(&topic).len() == 65).then_some(()));
    let mut values = client.committed_values(&topic);
    values.sort();
    assert_eq!(values, expected);
}
