//! What is written again is exact, whatever the codec, the batches, and whoever wrote in between.

use super::{LONG, Manifest, PARTS, Written, count};
use crate::situations::SHORT;
use crate::support::{eventually, kafka};
use staunch_tests::kafka::{Client, Session, own};
use std::time::{Duration, Instant};

/// A prepared transaction. Two foreign producers write in between, and abort every third of their
/// transactions; the same session committed before.
fn prepared(
    client: &Client,
    settings: &[(&str, &str)],
    timeout: Duration,
    options: &[(&str, &str)],
    records: u64,
) -> (Written, Manifest) {
    let mut written = Written::new(client, settings, timeout, options);
    let foreign = [(); 2].map(|()| Session::open(client, &client.name("foreign"), LONG, &[]));
    written.write_other(None, 0, 100, true);
    written.session.begin();
    for part in 0..PARTS {
        let from = records * part / PARTS;
        written.write_part(from, records * (part + 1) / PARTS - from);
        written.write_other(Some(&foreign[part as usize % 2]), 1_000 * (part + 1), 200, part % 3 != 0);
    }
    let manifest = written.prepared();
    (written, manifest)
}

/// It is aborted, and the same session goes on.
fn interleaved(
    client: &Client,
    settings: &[(&str, &str)],
    options: &[(&str, &str)],
    records: u64,
) -> (Written, Manifest) {
    let (mut written, manifest) = prepared(client, settings, LONG, options, records);
    written.session.abort();
    written.write_other(None, 50_000, 100, true);
    (written, manifest)
}

fn among_others(client: &Client, settings: &[(&str, &str)], options: &[(&str, &str)], records: u64) {
    let (written, manifest) = interleaved(client, settings, options, records);
    let started = Instant::now();
    manifest.recover(&written).unwrap();
    println!("{records} records in {:?}, with all of recovery", started.elapsed());
    assert_eq!(manifest.revision(), 1);
    written.assert_equal();
    // As often as one likes.
    manifest.recover(&written).unwrap();
    assert_eq!(manifest.revision(), 1);
    written.assert_equal();
}

macro_rules! codecs {
    ($($name:ident: $codec:literal,)*) => {
        $(#[test]
        fn $name() {
            among_others(&kafka!(), &[], &[("compression.type", $codec)], count());
        })*
    };
}

codecs! {
    uncompressed: "none",
    gzip: "gzip",
    snappy: "snappy",
    lz4: "lz4",
    zstd: "zstd",
}

#[test]
fn batches_of_one_record() {
    among_others(&kafka!(), &[], &[("batch.num.messages", "1"), ("linger.ms", "0")], 2_000);
}

/// The process dies between two batches, in each partition of the four: there is a batch at least for each
/// part and partition.
#[test]
fn killed_while_batches_are_copied() {
    let client = kafka!();
    let (written, manifest) = interleaved(&client, &[], &[("compression.type", "lz4")], count());
    for batch in [1, 2, PARTS + 1, 3 * PARTS - 1, 4 * PARTS] {
        super::crashes::killed_at(&format!("kafka-replay-copying:{batch}"), &written, &manifest);
    }
    assert_eq!(manifest.revision(), 0);
    manifest.recover(&written).unwrap();
    assert_eq!(manifest.revision(), 1);
    written.assert_equal();
}

/// All of it at once: others between the records of four partitions, the broker aborts them as their time is
/// up, and the process that writes them again is killed between two batches and has as little time.
#[test]
fn expired_among_others_and_killed_while_batches_are_copied() {
    let client = kafka!();
    // A million records take a minute on a busy machine, and the transaction must not expire before they are written.
    let time = SHORT + SHORT / 2 + Duration::from_micros(150 * count());
    let (mut written, manifest) = prepared(&client, &[], time, &[("compression.type", "lz4")], count());
    written.expire(&manifest);
    let foreign = Session::open(&client, &client.name("foreign"), LONG, &[]);
    written.write_other(Some(&foreign), 50_000, 100, true);
    super::crashes::killed_at(&format!("kafka-replay-copying:{}", PARTS + 1), &written, &manifest);
    assert_eq!(manifest.revision(), 0);
    manifest.recover(&written).unwrap();
    assert_eq!(manifest.revision(), 1);
    written.assert_equal();
}

#[test]
fn over_several_segments() {
    among_others(&kafka!(), &[("segment.bytes", "1048576")], &[("compression.type", "none")], 40_000);
}

/// Larger than what is fetched at once, and than what brokers take by default.
#[test]
fn records_of_megabytes() {
    let client = kafka!();
    let settings = [("max.message.bytes", "10000000")];
    let mut written = Written::new(&client, &settings, LONG, &[("message.max.bytes", "9000000")]);
    written.session.begin();
    written.write_part(0, 50);
    for (partition, bytes) in [(0, 6_000_000), (1, 3_000_000), (1, 5_000_000)] {
        let mut record = written.ours[0][0].clone();
        record.value = Some(vec![b'm'; bytes]);
        written.session.send(&written.topic, partition, [record.clone()]);
        written.session.flush();
        written.ours[partition as usize].push(record);
    }
    let manifest = written.prepared();
    written.session.abort();
    manifest.recover(&written).unwrap();
    written.assert_equal();
}

#[test]
fn the_timeout_passes_while_the_job_is_down() {
    let client = kafka!();
    let (written, manifest) = Written::alone(&client, 1_000, SHORT);
    written.expire(&manifest);
    manifest.recover(&written).unwrap();
    assert_eq!(manifest.revision(), 1);
    written.assert_equal();
}

/// A broker that starts aborts at once what has expired, when no partition has a leader yet: Kafka 4 then forgets
/// the markers (KAFKA-20734).
#[test]
fn the_timeout_passes_while_the_broker_is_down() {
    let Some(broker) = own() else { return };
    let client = broker.client();
    let (written, manifest) = Written::alone(&client, 1_000, SHORT);
    broker.kill();
    std::thread::sleep(SHORT + Duration::from_secs(2));
    broker.restart();
    written.expire(&manifest);
    manifest.recover(&written).unwrap();
    assert_eq!(manifest.revision(), 1);
    written.assert_equal();
    // The id's next transaction commits its own records and no others.
    let same = Session::open(&client, &manifest_id(&written), LONG, &[]);
    for partition in 0..super::PARTITIONS {
        same.begin();
        same.send(&written.topic, partition, super::records("others", 0, 1, written.now_ms));
        same.flush();
        same.commit();
    }
    let seen = client.read_committed(&written.topic).concat().len();
    assert_eq!(seen, 1_000 + super::PARTITIONS as usize);
}

fn manifest_id(written: &Written) -> String {
    format!("tests/{}/0", written.lineage)
}

/// Each replay is published, and then nobody commits it until its own time is up.
#[test]
fn a_replay_is_replayed() {
    let client = kafka!();
    let (written, manifest) = Written::alone(&client, 1_000, SHORT);
    for revision in 1..=2 {
        written.expire(&manifest);
        super::crashes::killed_at("kafka-replay-published", &written, &manifest);
        assert_eq!(manifest.revision(), revision);
        let id = &manifest.listed()[0].transactional_id;
        assert!(id.contains(&format!("~r{revision}-")), "{id}");
        assert_eq!(client.read_committed(&written.topic).concat().len(), 0);
    }
    written.expire(&manifest);
    manifest.recover(&written).unwrap();
    assert_eq!(manifest.revision(), 3);
    written.assert_equal();
}

/// Both see it aborted and write it again, each under an id of its own. One of them publishes; the other is told that
/// it came too late, and aborts what it has written.
#[test]
fn two_recover_at_once() {
    let client = kafka!();
    for _ in 0..3 {
        let (written, manifest) = Written::alone(&client, 5_000, LONG);
        written.session.abort();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                // The error says that another one is at it, or was faster: then it begins again.
                scope.spawn(|| eventually("recovered", || manifest.recover(&written).ok()));
            }
        });
        manifest.recover(&written).unwrap();
        written.assert_equal();
    }
}
