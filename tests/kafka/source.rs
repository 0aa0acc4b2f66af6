//! Reading: where it starts and ends, what it shows, and that positions restore it.

use crate::support::{Reading, kafka, numbers, read, read_as};
use staunch::api::source::{Polled, Source, SourceReader, Wants};
use staunch::connectors::format::{Json, OnBadRecord, Text, Try};
use staunch::connectors::kafka::{KafkaSource, OnLostOffsets, StartAt};
use staunch::{ErrorKind, Timestamp};
use staunch_tests::kafka::{Client, LIMITED_USER, PASSWORD, Record};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn source(client: &Client, topic: &str) -> KafkaSource<Text> {
    KafkaSource::topic(client.brokers(), topic)
}

#[test]
fn reads_all_partitions_from_the_beginning_to_the_end() {
    let client = kafka!();
    let topic = client.topic("all", 3);
    for partition in 0..3 {
        client.produce(&topic, partition, (0..5_000).map(|n| format!("{partition}-{n}")));
    }
    let mut reading = read(&source(&client, &topic).bounded(), None).unwrap();
    assert_eq!(reading.reader.lag(), Some(15_000));
    reading.until_end().unwrap();
    assert_eq!(reading.reader.lag(), Some(0));
    let mut of_split = [0; 3];
    for (split, batch) in &reading.batches {
        for (value, time) in batch.records().iter().zip(batch.times()) {
            assert_eq!(*value, format!("{split}-{}", of_split[*split]), "one split a batch, in order");
            assert_eq!(*time, Timestamp::from_millis(1_000 + of_split[*split]));
            of_split[*split] += 1;
        }
    }
    assert_eq!(of_split, [5_000; 3]);
    assert!(reading.reader.positions().iter().all(|position| position.finished));
}

#[test]
fn every_partition_belongs_to_one_worker() {
    let client = kafka!();
    let topic = client.topic("workers", 5);
    let mut splits = Vec::new();
    for worker in 0..7 {
        let mut reading = read_as(&source(&client, &topic).bounded(), None, Wants::default(), worker, 7).unwrap();
        assert_eq!(reading.poll().unwrap(), Polled::End);
        splits.extend(reading.reader.positions().into_iter().map(|position| position.split));
    }
    splits.sort();
    assert_eq!(splits, (0..5).map(|partition| format!("{topic}/{partition}")).collect::<Vec<_>>());
}

#[test]
fn starts_where_it_is_told_to() {
    let client = kafka!();
    let topic = client.topic("start", 1);
    client.produce(&topic, 0, numbers(0..100));
    let values = |start: StartAt| {
        let mut reading = read(&source(&client, &topic).start(start).bounded(), None).unwrap();
        reading.until_end().unwrap();
        reading.values()
    };
    assert_eq!(values(StartAt::Earliest).len(), 100);
    assert_eq!(values(StartAt::Latest).len(), 0);
    assert_eq!(values(StartAt::Timestamp(1_090)), numbers(90..100));
    assert_eq!(values(StartAt::Timestamp(9_000)).len(), 0);
    assert_eq!(values(StartAt::Explicit([((topic.clone(), 0), 95)].into())), numbers(95..100));
    assert_eq!(values(StartAt::Group(client.name("unknown"))).len(), 100);
    client.delete_records(&topic, 0, 40);
    assert_eq!(values(StartAt::Earliest), numbers(40..100));
}

#[test]
fn starts_at_the_end_of_a_topic_that_is_written_to() {
    let client = kafka!();
    let topic = client.topic("written-to", 1);
    let is_over = AtomicBool::new(false);
    let record = |number| {
        std::thread::sleep(Duration::from_micros(100));
        (!is_over.load(Ordering::SeqCst)).then(|| format!("{number:06}"))
    };
    std::thread::scope(|scope| {
        scope.spawn(|| client.produce(&topic, 0, (0..1_000_000).map_while(record)));
        // Also where an assertion fails.
        let _ends_the_writer = Ends(&is_over);
        let mut last = 0;
        for number in 0..24 {
            // Of no record yet: its place is the end, too.
            let start = if number % 2 == 0 { StartAt::Latest } else { StartAt::Timestamp(10_000_000) };
            let lost = if number / 2 % 2 == 0 { OnLostOffsets::Stop } else { OnLostOffsets::Earliest };
            let source = source(&client, &topic).start(start).on_lost_offsets(lost).bounded();
            let mut reading = read(&source, None).unwrap();
            let begin = reading.reader.positions()[0].position["offset"].as_i64().unwrap();
            assert!(begin >= last, "start {number} is at {begin}, and {last} was the end before");
            reading.until_end().unwrap();
            last = reading.reader.positions()[0].position["offset"].as_i64().unwrap();
        }
        assert!(last > 100, "only {last} records were written");
    });
}

struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn starts_at_given_offsets_of_several_topics() {
    let client = kafka!();
    let (one, two) = (client.topic("one", 2), client.topic("two", 1));
    client.produce(&one, 0, numbers(0..100));
    client.produce(&one, 1, numbers(100..200));
    client.produce(&two, 0, numbers(200..300));
    let source = |offsets: &[(&str, i32, i64)]| {
        let offsets = offsets.iter().map(|&(topic, partition, offset)| ((topic.to_owned(), partition), offset));
        let source = KafkaSource::<Text>::topics(client.brokers(), [&one, &two]).bounded();
        source.start(StartAt::Explicit(offsets.collect()))
    };
    // The same partition of both, and one that is not named.
    let given = source(&[(&one, 0, 95), (&two, 0, 98)]);
    let mut reading = read(&given, None).unwrap();
    reading.until_end().unwrap();
    let mut values = reading.values();
    values.sort();
    assert_eq!(values, [numbers(95..200), numbers(298..300)].concat());
    // Its end is in the log, too.
    let mut nothing = read(&source(&[(&one, 0, 100), (&one, 1, 100), (&two, 0, 100)]), None).unwrap();
    assert_eq!(nothing.poll().unwrap(), Polled::End);

    for (topic, partition, offset, why) in [
        (&*one, 2, 5, "partitions are 0 to 1"),
        (&*one, -1, 5, "partitions are 0 to 1"),
        ("three", 0, 5, "does not read that topic"),
        (&*two, 0, -2, "offsets begin with 0"),
    ] {
        let wrong = source(&[(&one, 0, 95), (topic, partition, offset)]);
        let error = read(&wrong, None).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        let place = format!("{topic}/{partition} offset {offset}: ");
        assert!(error.message().contains(&place) && error.message().contains(why), "{error}");
        // A later start goes on from the checkpoint, whatever the topics have become since.
        assert!(read(&wrong, Some(&reading.reader.positions())).is_ok());
    }
}

#[test]
fn positions_restore_it() {
    let client = kafka!();
    let topic = client.topic("restore", 2);
    for partition in 0..2 {
        client.produce(&topic, partition, numbers(0..3_000));
    }
    let source = source(&client, &topic).bounded();
    let mut first = read(&source, None).unwrap();
    first.until_count(2_500).unwrap();
    let positions = first.reader.positions();
    let seen = first.values();
    drop(first);
    // What comes after the first start is beyond the end.
    client.produce(&topic, 0, ["late"]);
    let mut second = read(&source, Some(&positions)).unwrap();
    second.until_end().unwrap();
    let mut all = [seen, second.values()].concat();
    all.sort();
    let mut expected = [numbers(0..3_000), numbers(0..3_000)].concat();
    expected.sort();
    assert_eq!(all, expected);
    let mut third = read(&source, Some(&second.reader.positions())).unwrap();
    assert_eq!(third.poll().unwrap(), Polled::End);
}

fn values_after<F>(mut reading: Reading<Text>, meanwhile: F) -> Vec<String>
where
    F: FnOnce(),
{
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(1) {
        assert_ne!(reading.poll().unwrap(), Polled::End, "an open transaction may still become input");
    }
    meanwhile();
    reading.until_end().unwrap();
    reading.values()
}

#[test]
fn a_bounded_source_waits_for_transactions_that_are_open_below_its_end() {
    let client = kafka!();
    for commit in [true, false] {
        let topic = client.topic("open", 1);
        client.produce(&topic, 0, ["before"]);
        let foreign = client.transaction();
        foreign.produce(&topic, 0, ["foreign"]);
        client.produce(&topic, 0, ["after"]);
        let reading = read(&source(&client, &topic).bounded(), None).unwrap();
        let values = values_after(reading, || if commit { foreign.commit() } else { foreign.abort() });
        let expected: &[&str] = if commit { &["before", "foreign", "after"] } else { &["before", "after"] };
        assert_eq!(values, expected);
    }
}

#[test]
fn a_bounded_source_ends_behind_an_aborted_tail() {
    let client = kafka!();
    let topic = client.topic("tail", 1);
    client.produce(&topic, 0, ["before"]);
    let foreign = client.transaction();
    foreign.produce(&topic, 0, numbers(0..10));
    foreign.abort();
    let mut reading = read(&source(&client, &topic).bounded(), None).unwrap();
    reading.until_end().unwrap();
    assert_eq!(reading.values(), ["before"]);
    let positions = reading.reader.positions();
    // The end may be of a later leader's time than the last record: by that one's the log would look cut back.
    assert_eq!((&positions[0].position["offset"], positions[0].position.get("leader_epoch")), (&12.into(), None));
    // Not bounded any more, it goes on behind its end.
    client.produce(&topic, 0, ["late"]);
    let mut reading = read(&source(&client, &topic), Some(&positions)).unwrap();
    reading.until_count(1).unwrap();
    assert_eq!(reading.values(), ["late"]);
}

#[test]
fn an_unbounded_source_is_woken_by_new_records() {
    let client = kafka!();
    let topic = client.topic("unbounded", 1);
    let mut reading = read(&source(&client, &topic), None).unwrap();
    assert!(matches!(reading.poll().unwrap(), Polled::Pending { .. }));
    client.produce(&topic, 0, ["late"]);
    reading.until_count(1).unwrap();
    assert_eq!(reading.values(), ["late"]);
}

#[test]
fn a_bad_record_stops_the_job_or_is_skipped_or_becomes_a_record() {
    let client = kafka!();
    let topic = client.topic("bad", 1);
    client.produce(&topic, 0, ["1", "x", "3"]);
    let source = || KafkaSource::<Json<u32>>::topic(client.brokers(), &topic).bounded();
    let error = read(&source(), None).unwrap().until_end().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source);
    for word in [format!("{topic}/0 offset 1"), "OnBadRecord::Skip".into(), "Try<".into()] {
        assert!(error.message().contains(&word), "{error}");
    }
    let mut skipping = read(&source().on_bad_record(OnBadRecord::Skip), None).unwrap();
    skipping.until_end().unwrap();
    assert_eq!((skipping.count(), skipping.reader.left_out()), (2, 1));
    let mut trying = read(&KafkaSource::<Try<Json<u32>>>::topic(client.brokers(), &topic).bounded(), None).unwrap();
    trying.until_end().unwrap();
    let records: Vec<_> = trying.batches.iter().flat_map(|(_, batch)| batch.records().to_vec()).collect();
    assert_eq!((&records[0], &records[2]), (&Ok(1), &Ok(3)));
    let bad = records[1].clone().unwrap_err();
    assert_eq!((bad.bytes.as_slice(), &*bad.origin.source, bad.origin.offset), (&b"x"[..], topic.as_str(), 1));
}

#[test]
fn key_headers_and_origin_come_where_they_are_wanted() {
    let client = kafka!();
    let topic = client.topic("metadata", 1);
    let record = Record {
        offset: 0,
        timestamp: 77,
        key: Some(b"key".to_vec()),
        value: Some(b"value".to_vec()),
        headers: vec![("a".into(), Some(b"1".to_vec())), ("a".into(), None)],
    };
    client.produce_record(&topic, 0, &record);
    let source = source(&client, &topic).bounded();
    let metadata = |wants| {
        let mut reading = read_as(&source, None, wants, 0, 1).unwrap();
        reading.until_end().unwrap();
        let debug = format!("{:?}", reading.batches[0].1);
        (reading.batches.remove(0).1, debug)
    };
    let (batch, debug) = metadata(Wants { origin: true, metadata: true });
    assert_eq!(batch.times(), [Timestamp::from_millis(77)]);
    let key = format!("{:?}", b"key");
    assert!(debug.contains(&key) && debug.contains("offset: 0") && debug.contains(r#"("a", None)"#), "{debug}");
    let (_, debug) = metadata(Wants { origin: true, metadata: false });
    assert!(debug.contains("offset: 0") && !debug.contains(&key), "{debug}");
    let (_, debug) = metadata(Wants::default());
    assert!(!debug.contains("offset: 0"), "{debug}");
}

#[test]
fn what_cannot_work_is_said_when_the_reader_opens() {
    let client = kafka!();
    let error = read(&source(&client, "no-such-topic"), None).err().unwrap();
    assert!(error.message().contains("no-such-topic does not exist"), "{error}");
    let error = read(&source(&client, "any").set("group.id", "mine"), None).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Config);
    let error = read(&source(&client, "any").set("no.such.option", "1"), None).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    let started = Instant::now();
    let nowhere = KafkaSource::<Text>::topic("127.0.0.1:1", "any");
    let error = read(&nowhere, None).err().unwrap();
    assert!(error.message().contains("no broker of 127.0.0.1:1"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(30));
    assert_eq!(nowhere.describe(), "kafka topic any");
}

#[test]
fn several_topics_are_one_stream() {
    let client = kafka!();
    let topics = [client.topic("several-a", 2), client.topic("several-b", 3), client.topic("several-c", 1)];
    for (number, topic) in topics.iter().enumerate() {
        client.produce(topic, 0, numbers(number as u32 * 1_000..number as u32 * 1_000 + 700));
    }
    let source = || KafkaSource::<Text>::topics(client.brokers(), &topics).bounded();
    assert_eq!(source().describe(), format!("kafka topics {}, {}, {}", topics[0], topics[1], topics[2]));
    let mut reading = read_as(&source(), None, Wants { origin: true, metadata: false }, 0, 1).unwrap();
    assert_eq!(reading.reader.positions().len(), 6);
    reading.until_count(800).unwrap();
    let (positions, seen) = (reading.reader.positions(), reading.values());
    for (split, batch) in &reading.batches {
        let topic = positions[*split].split.rsplit_once('/').unwrap().0.to_owned();
        let number = topics.iter().position(|known| *known == topic).unwrap();
        assert!(batch.records().iter().all(|record| record.parse::<usize>().unwrap() / 1_000 == number));
        assert!(format!("{batch:?}").contains(&format!("source: {topic:?}")), "the origin names the topic");
    }
    let mut rest = read(&source(), Some(&positions)).unwrap();
    rest.until_end().unwrap();
    let mut all = [seen, rest.values()].concat();
    all.sort();
    assert_eq!(all, [numbers(0..700), numbers(1_000..1_700), numbers(2_000..2_700)].concat());
    let fewer = KafkaSource::<Text>::topics(client.brokers(), &topics[..2]).bounded();
    let error = read(&fewer, Some(&positions)).err().unwrap();
    assert!(error.kind() == ErrorKind::Checkpoint && error.message().contains("another id"), "{error}");
    let twice = KafkaSource::<Text>::topics(client.brokers(), [&topics[0], &topics[0]]);
    assert_eq!(read(&twice, None).err().unwrap().kind(), ErrorKind::Config);
}

#[test]
fn offsets_are_committed_to_a_group_and_another_source_starts_there() {
    let client = kafka!();
    let (topic, group) = (client.topic("group", 2), client.name("group"));
    client.produce(&topic, 0, numbers(0..10));
    client.produce(&topic, 1, numbers(10..20));
    let mut reading = read(&source(&client, &topic).commit_offsets_to_group(&group), None).unwrap();
    assert_eq!(client.group_offsets(&group, &topic, 2), [None, None]);
    reading.until_count(20).unwrap();
    let mut positions = reading.reader.positions();
    positions.retain(|position| position.split.ends_with("/0"));
    client.produce(&topic, 0, numbers(20..25));
    reading.until_count(25).unwrap();
    assert_eq!(client.group_offsets(&group, &topic, 2), [None, None], "only what a checkpoint has");
    reading.reader.committed(&positions);
    // As when a job is suspended: the last checkpoint's offsets are on their way.
    drop(reading);
    assert_eq!(client.group_offsets(&group, &topic, 2), [Some(10), None]);
    let mut next = read(&source(&client, &topic).start(StartAt::Group(group)).bounded(), None).unwrap();
    next.until_end().unwrap();
    let mut values = next.values();
    values.sort();
    assert_eq!(values, numbers(10..25), "a partition that was not committed is read from its beginning");
}

#[test]
fn uncommitted_records_are_read_where_that_is_said() {
    let client = kafka!();
    let topic = client.topic("uncommitted", 1);
    let open = client.transaction();
    open.produce(&topic, 0, ["open"]);
    let aborted = client.transaction();
    aborted.produce(&topic, 0, ["aborted"]);
    aborted.abort();
    let mut reading = read(&source(&client, &topic).read_uncommitted().bounded(), None).unwrap();
    reading.until_end().unwrap();
    assert_eq!(reading.values(), ["open", "aborted"]);
    open.abort();
}

#[test]
fn a_dead_broker_is_waited_for_and_holds_up_no_shutdown() {
    let Some(broker) = staunch_tests::kafka::own() else { return };
    let client = broker.client();
    let topic = client.topic("dead", 1);
    client.produce(&topic, 0, numbers(0..10));
    let open = || {
        let source = source(&client, &topic).discover_every(Duration::from_millis(100));
        read(&source.commit_offsets_to_group("dead"), None).unwrap()
    };
    let (mut reading, mut dropped) = (open(), open());
    for reading in [&mut reading, &mut dropped] {
        reading.until_count(10).unwrap();
    }
    broker.kill();
    let positions = dropped.reader.positions();
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(3) {
        for reading in [&mut reading, &mut dropped] {
            assert!(matches!(reading.poll().unwrap(), Polled::Pending { .. }));
        }
        dropped.reader.committed(&positions);
    }
    let dropping = Instant::now();
    drop(dropped);
    assert!(dropping.elapsed() < Duration::from_secs(5), "closing took {:?}", dropping.elapsed());
    broker.restart();
    client.produce(&topic, 0, numbers(10..20));
    reading.until_count(20).unwrap();
    assert_eq!(reading.values(), numbers(0..20));
}

#[test]
fn who_may_not_read_a_topic_is_told_which_right_is_missing() {
    let Some(secure) = staunch_tests::kafka::secure() else { return };
    let topic = secure.broker().client().topic("guarded", 1);
    let limited = KafkaSource::<Text>::topic(secure.sasl_plaintext(), &topic)
        .set("security.protocol", "SASL_PLAINTEXT")
        .set("sasl.mechanism", "PLAIN")
        .set("sasl.username", LIMITED_USER)
        .set("sasl.password", PASSWORD);
    let error = read(&limited, None).err().unwrap();
    assert!(error.message().contains(&topic) && error.message().contains("Describe and Read"), "{error}");
}
