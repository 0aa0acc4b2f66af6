//! Positions that the log does not have any more, and topics that change while they are read.

use crate::support::{Reading, WITHIN, eventually, kafka, numbers, read, read_as};
use staunch::api::source::{Polled, SourceReader, SplitPosition, Wants};
use staunch::connectors::format::Text;
use staunch::connectors::kafka::{KafkaSource, OnLostOffsets, StartAt};
use staunch::{Error, ErrorKind};
use staunch_tests::kafka::Client;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_millis(300);

fn source(client: &Client, topic: &str) -> KafkaSource<Text> {
    KafkaSource::topic(client.brokers(), topic).discover_every(SOON)
}

/// Polls until there is an error.
fn fails(reading: &mut Reading<Text>) -> Error {
    let started = Instant::now();
    loop {
        assert!(started.elapsed() < WITHIN, "no error after {:?}", reading.values());
        if let Err(error) = reading.poll() {
            return error;
        }
    }
}

/// The positions after so many records.
fn positions_after(client: &Client, topic: &str, count: usize) -> Vec<SplitPosition> {
    let mut reading = read(&source(client, topic), None).unwrap();
    reading.until_count(count).unwrap();
    reading.reader.positions()
}

fn deleted_and_created(client: &Client, topic: &str, partitions: i32) {
    client.delete(topic);
    eventually("created again", || std::panic::catch_unwind(|| client.create(topic, partitions)).ok());
}

#[test]
fn records_that_retention_removed_stop_the_job_or_are_passed_over() {
    let client = kafka!();
    let topic = client.topic("removed", 1);
    client.produce(&topic, 0, numbers(0..50));
    let source = || source(&client, &topic).bounded();
    let start = || source().start(StartAt::Explicit([((topic.clone(), 0), 10)].into()));
    let positions = read(&start(), None).unwrap().reader.positions();
    client.delete_records(&topic, 0, 30);
    for result in [read(&source(), Some(&positions)), read(&start(), None)] {
        let error = result.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Checkpoint, "a restart does not help");
        for word in ["offset 10", "oldest record left is 30", "on_lost_offsets"] {
            assert!(error.message().contains(word), "{error}");
        }
    }
    for (policy, expected) in [(OnLostOffsets::Earliest, numbers(30..50)), (OnLostOffsets::Latest, vec![])] {
        let mut reading = read(&source().on_lost_offsets(policy), Some(&positions)).unwrap();
        reading.until_end().unwrap();
        assert_eq!(reading.values(), expected);
    }
}

#[test]
fn records_that_retention_removes_under_a_reader_stop_it_or_are_passed_over() {
    let client = kafka!();
    for policy in [OnLostOffsets::Stop, OnLostOffsets::Earliest, OnLostOffsets::Latest] {
        let topic = client.topic("overtaken", 1);
        // Not decided, so the reader has to wait at the beginning.
        let foreign = client.transaction();
        foreign.produce(&topic, 0, numbers(0..50));
        let mut reading = read(&source(&client, &topic).on_lost_offsets(policy), None).unwrap();
        client.delete_records(&topic, 0, 30);
        if policy == OnLostOffsets::Stop {
            let error = fails(&mut reading);
            assert_eq!(error.kind(), ErrorKind::Source);
            assert!(error.message().contains("not in the log any more"), "{error}");
            continue;
        }
        let (offset, expected) = match policy {
            OnLostOffsets::Earliest => (30, [numbers(30..50), vec!["late".to_owned()]].concat()),
            _ => (50, vec!["late".to_owned()]),
        };
        eventually(&format!("{policy:?}"), || {
            reading.poll().unwrap();
            (reading.reader.positions()[0].position["offset"] == offset).then_some(())
        });
        foreign.commit();
        client.produce(&topic, 0, ["late"]);
        reading.until_count(expected.len()).unwrap();
        assert_eq!(reading.values(), expected);
    }
}

#[test]
fn what_becomes_of_a_partition_behind_its_end_is_no_matter() {
    let client = kafka!();
    let topic = client.topic("behind", 2);
    client.produce(&topic, 0, numbers(0..10));
    let below = client.transaction();
    below.produce(&topic, 1, numbers(10..20));
    let mut reading = read(&source(&client, &topic).bounded(), None).unwrap();
    // Not decided, so librdkafka waits before it, and so right behind the end of what is read.
    let behind = client.transaction();
    behind.produce(&topic, 0, numbers(20..30));
    reading.until_count(10).unwrap();
    eventually("finished", || {
        assert_ne!(reading.poll().unwrap(), Polled::End);
        reading.reader.positions()[0].finished.then_some(())
    });
    client.delete_records(&topic, 0, 15);
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(3) {
        assert_ne!(reading.poll().unwrap(), Polled::End);
    }
    below.commit();
    reading.until_end().unwrap();
    assert_eq!(reading.values(), numbers(0..20));
    behind.abort();
}

#[test]
fn retention_may_remove_the_end_of_a_transaction_that_was_read() {
    let client = kafka!();
    let topic = client.topic("marker", 1);
    let foreign = client.transaction();
    foreign.produce(&topic, 0, numbers(0..50));
    foreign.commit();
    let mut reading = read(&source(&client, &topic), None).unwrap();
    reading.until_count(50).unwrap();
    // What ends the transaction has an offset of its own, and is no record.
    eventually("nothing left to read", || {
        reading.poll().unwrap();
        (reading.reader.lag() == Some(0)).then_some(())
    });
    let positions = reading.reader.positions();
    drop(reading);
    client.delete_records(&topic, 0, 51);
    for policy in [OnLostOffsets::Stop, OnLostOffsets::Latest] {
        client.produce(&topic, 0, ["late"]);
        let mut reading = read(&source(&client, &topic).on_lost_offsets(policy), Some(&positions)).unwrap();
        reading.until_count(1).unwrap();
        assert_eq!(reading.values()[0], "late");
    }
}

#[test]
fn a_position_beyond_the_end_of_the_log_is_lost_too() {
    let client = kafka!();
    let topic = client.topic("beyond", 1);
    client.produce(&topic, 0, numbers(0..50));
    let mut positions = positions_after(&client, &topic, 50);
    // As after the loss of a broker's last records.
    positions[0].position["offset"] = 70.into();
    let error = read(&source(&client, &topic), Some(&positions)).err().unwrap();
    assert!(error.message().contains("the log ends at 50"), "{error}");
    let going_on = source(&client, &topic).on_lost_offsets(OnLostOffsets::Latest);
    let mut reading = read(&going_on, Some(&positions)).unwrap();
    client.produce(&topic, 0, ["late"]);
    reading.until_count(1).unwrap();
    assert_eq!(reading.values(), ["late"]);
}

#[test]
fn a_bounded_source_whose_end_the_log_does_not_reach_any_more_stops_or_ends_with_the_log() {
    let client = kafka!();
    let topic = client.topic("shorter", 1);
    client.produce(&topic, 0, numbers(0..50));
    let bounded = || source(&client, &topic).bounded();
    let mut positions = read(&bounded(), None).unwrap().reader.positions();
    positions[0].position["offset"] = 20.into();
    // As after the loss of a broker's last records.
    positions[0].position["end"] = 70.into();
    let error = read(&bounded(), Some(&positions)).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Checkpoint, "{error}");
    assert!(error.message().contains("offset 20 to 70: the log ends at 50"), "{error}");
    for policy in [OnLostOffsets::Earliest, OnLostOffsets::Latest] {
        let mut reading = read(&bounded().on_lost_offsets(policy), Some(&positions)).unwrap();
        reading.until_end().unwrap();
        assert_eq!(reading.values(), numbers(20..50));
    }
    // Not bounded any more, it has no end to miss.
    assert!(read(&source(&client, &topic), Some(&positions)).is_ok());
}

#[test]
fn a_topic_that_was_created_again_while_the_job_was_down_is_noticed() {
    let client = kafka!();
    for partitions in [1, 2] {
        let topic = client.topic("again", 2);
        client.produce(&topic, 0, numbers(0..50));
        let positions = positions_after(&client, &topic, 50);
        deleted_and_created(&client, &topic, partitions);
        // More than before: the old offset is in the new log.
        client.produce(&topic, 0, numbers(1_000..1_100));
        let error = read(&source(&client, &topic), Some(&positions)).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Checkpoint, "{error}");
        assert!(error.message().contains("deleted and created again"), "{error}");
        let going_on = source(&client, &topic).on_lost_offsets(OnLostOffsets::Earliest);
        let mut reading = read(&going_on, Some(&positions)).unwrap();
        reading.until_count(100).unwrap();
        assert_eq!(reading.values(), numbers(1_000..1_100));
        let id = |positions: &[SplitPosition]| positions[0].position["topic_id"].as_str().unwrap().to_owned();
        assert_ne!(id(&positions), id(&reading.reader.positions()));
    }
}

#[test]
fn a_partition_that_the_brokers_have_not_heard_of_yet_is_waited_for() {
    let client = kafka!();
    let topic = client.topic("late", 1);
    let mut positions = positions_after(&client, &topic, 0);
    // As a checkpoint has it when a broker is asked that is behind.
    let late = SplitPosition { split: format!("{topic}/1"), ..positions[0].clone() };
    positions.push(late);
    let mut reading = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_secs(1));
            client.add_partitions(&topic, 2);
            client.produce(&topic, 1, numbers(0..10));
        });
        read(&source(&client, &topic), Some(&positions)).unwrap()
    });
    reading.until_count(10).unwrap();
    assert_eq!(reading.values(), numbers(0..10));
}

#[test]
fn a_position_of_an_earlier_version_is_believed_and_gets_the_topics_id() {
    let client = kafka!();
    let topic = client.topic("old", 1);
    client.produce(&topic, 0, numbers(0..50));
    let mut positions = positions_after(&client, &topic, 50);
    positions[0].position = serde_json::json!({ "offset": 20, "leader_epoch": 0 });
    let mut reading = read(&source(&client, &topic), Some(&positions)).unwrap();
    reading.until_count(30).unwrap();
    assert_eq!(reading.values(), numbers(20..50));
    assert!(reading.reader.positions()[0].position["topic_id"].as_str().is_some());
}

#[test]
fn a_topic_that_is_created_again_or_deleted_under_a_reader_stops_it() {
    let client = kafka!();
    let topic = client.topic("under", 1);
    client.produce(&topic, 0, numbers(0..10));
    let mut reading = read(&source(&client, &topic), None).unwrap();
    reading.until_count(10).unwrap();
    deleted_and_created(&client, &topic, 1);
    // As many as were read: librdkafka by itself goes on behind them.
    client.produce(&topic, 0, numbers(20..40));
    let error = fails(&mut reading);
    assert_eq!(error.kind(), ErrorKind::Source);
    let mut reading = read(&source(&client, &topic), None).unwrap();
    reading.until_count(20).unwrap();
    client.delete(&topic);
    assert!(fails(&mut reading).message().contains("does not exist any more"));
}

#[test]
fn a_bounded_reader_notices_a_topic_that_was_created_again_too() {
    let client = kafka!();
    // While it reads, where the new log never reaches the end; and where it does, before it ends.
    for (every, left_open) in [(SOON, 50), (Duration::from_secs(3_600), 0)] {
        let topic = client.topic("ends", 1);
        client.produce(&topic, 0, numbers(0..10));
        let foreign = client.transaction();
        foreign.produce(&topic, 0, numbers(0..left_open));
        let mut reading = read(&source(&client, &topic).discover_every(every).bounded(), None).unwrap();
        deleted_and_created(&client, &topic, 1);
        client.produce(&topic, 0, numbers(20..40));
        let error = reading.until_end().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Source, "{error}");
    }
}

#[test]
fn a_log_that_was_cut_back_is_noticed_though_it_has_grown_since() {
    let Some(broker) = staunch_tests::kafka::own() else { return };
    let client = broker.client();
    let topic = client.topic("cut", 1);
    for number in numbers(0..100) {
        client.produce(&topic, 0, [number]);
    }
    let positions = positions_after(&client, &topic, 100);
    broker.kill();
    broker.cut_log(&topic, 0);
    broker.restart();
    let left = client.read_committed(&topic).concat().len();
    assert!((1..100).contains(&left), "{left} of 100 records are left");
    client.produce(&topic, 0, numbers(1_000..1_100));
    let mut reading = read(&source(&client, &topic), Some(&positions)).unwrap();
    let error = fails(&mut reading);
    assert!(error.message().contains("truncation"), "{error}");
    let going_on = source(&client, &topic).on_lost_offsets(OnLostOffsets::Earliest);
    let mut reading = read(&going_on, Some(&positions)).unwrap();
    reading.until_count(left + 100).unwrap();
    assert_eq!(reading.values(), [numbers(0..left as u32), numbers(1_000..1_100)].concat());
}

#[test]
fn a_batch_that_was_damaged_on_the_disk_stops_the_job_and_is_not_passed_over() {
    let Some(broker) = staunch_tests::kafka::own() else { return };
    let client = broker.client();
    let topic = client.topic("damaged", 1);
    client.produce(&topic, 0, numbers(0..50));
    client.produce(&topic, 0, numbers(50..100));
    broker.damage_log(&topic, 0);
    client.produce(&topic, 0, numbers(100..150));
    let mut reading = read(&source(&client, &topic), None).unwrap();
    let error = fails(&mut reading);
    assert_eq!(reading.values(), numbers(0..50));
    for word in ["damaged-", "offset 50", "cannot be read"] {
        assert!(error.message().contains(word), "{error}");
    }
}

#[test]
fn new_partitions_are_read_from_their_beginning_while_running_and_after_a_restart() {
    let client = kafka!();
    let topic = client.topic("grows", 1);
    client.produce(&topic, 0, numbers(0..10));
    let mut readings: Vec<_> = (0..2)
        .map(|worker| {
            read_as(&source(&client, &topic).start(StartAt::Latest), None, Wants::default(), worker, 2).unwrap()
        })
        .collect();
    client.add_partitions(&topic, 3);
    for partition in [1, 2] {
        client.produce(&topic, partition, numbers(partition as u32 * 100..partition as u32 * 100 + 10));
    }
    let started = Instant::now();
    while readings.iter().map(Reading::count).sum::<usize>() < 20 {
        assert!(started.elapsed() < WITHIN, "not found");
        for reading in &mut readings {
            assert_ne!(reading.poll().unwrap(), Polled::End, "partitions may still be added");
        }
    }
    let mut values: Vec<_> = readings.iter().flat_map(Reading::values).collect();
    values.sort();
    assert_eq!(values, [numbers(100..110), numbers(200..210)].concat());
    let positions: Vec<_> = readings.iter().flat_map(|reading| reading.reader.positions()).collect();
    assert_eq!(positions.len(), 3);
    drop(readings);

    client.add_partitions(&topic, 4);
    client.produce(&topic, 3, numbers(300..310));
    let mut restarted = read(&source(&client, &topic).start(StartAt::Latest), Some(&positions)).unwrap();
    restarted.until_count(10).unwrap();
    assert_eq!(restarted.values(), numbers(300..310));
    // Bounded from now on, it reads to the end what is there now; started again, no more than that.
    client.add_partitions(&topic, 5);
    client.produce(&topic, 4, numbers(400..410));
    let bounded = source(&client, &topic).bounded();
    let mut first = read(&bounded, Some(&restarted.reader.positions())).unwrap();
    first.until_end().unwrap();
    assert_eq!(first.values(), numbers(400..410));
    client.add_partitions(&topic, 6);
    client.produce(&topic, 5, numbers(500..510));
    let mut again = read(&bounded, Some(&first.reader.positions())).unwrap();
    again.until_end().unwrap();
    assert_eq!(again.count(), 0);
}
