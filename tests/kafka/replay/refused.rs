//! What cannot be written again, or not all of it: the error says what is lost, nothing becomes visible, and
//! the manifest lists what it listed. Going on without it has to be asked for.

use super::{LONG, Log, Manifest, Written, recover};
use crate::situations::{COMPACTED, tidy};
use crate::support::{eventually, kafka};
use staunch::ErrorKind;
use staunch_tests::kafka::{Client, SINKS, Session};
use std::time::Duration;

/// A transaction of 100 records in partition 0, aborted.
fn aborted(client: &Client, settings: &[(&str, &str)]) -> (Written, Manifest) {
    let mut written = Written::new(client, settings, LONG, &[]);
    written.session.begin();
    let records: Vec<_> = super::records("ours", 0, 100, written.now_ms).collect();
    // Compacted topics want keys.
    let keyed = records.into_iter().enumerate().map(|(number, mut record)| {
        record.key = Some(number.to_string().into_bytes());
        record
    });
    written.ours[0] = keyed.collect();
    written.session.send(&written.topic, 0, written.ours[0].clone());
    written.session.flush();
    let manifest = written.prepared();
    written.session.abort();
    (written, manifest)
}

/// The error, whose loss is of so many records of `topic` for this reason; and nothing has changed, whoever
/// asks again: neither for readers, nor in the log, where half of a replay that was aborted would be seen.
fn assert_lost(written: &Written, manifest: &Manifest, topic: &str, records: u64, reason: &str) {
    let seen = || -> [Log; 2] {
        [written.client.read_committed(&written.topic), written.client.read_uncommitted(&written.topic)]
    };
    let before = seen();
    for _ in 0..2 {
        let error = manifest.recover(written).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DataLoss, "{error}");
        let loss = error.data_loss().expect("what is lost");
        assert_eq!((loss.records, loss.epoch), (records, super::EPOCH), "{loss}");
        assert_eq!(loss.sink, SINKS.join(", "), "{loss}");
        let told = loss.reason.split_once(&format!("{topic}/0: ")).map(|(_, told)| told);
        assert!(told.is_some_and(|told| told.contains(reason)), "{loss}");
        // As a person reads it.
        let said = error.to_string();
        assert!(said.contains("--accept-data-loss") && said.ends_with(&loss.to_string()), "{said}");
        assert!(seen() == before, "something was written");
        assert_eq!(manifest.revision(), 0);
    }
}

#[test]
fn the_log_start_has_moved_past_all_of_it() {
    let client = kafka!();
    let (written, manifest) = aborted(&client, &[]);
    let range = manifest.listed()[0].partitions[0].clone();
    client.delete_records(&written.topic, 0, range.last + 1);
    let reason = format!("the log begins at offset {} now", range.last + 1);
    assert_lost(&written, &manifest, &written.topic, 100, &reason);
}

#[test]
fn the_log_start_has_moved_past_some_of_it() {
    let client = kafka!();
    let mut written = Written::new(&client, &[], LONG, &[]);
    written.session.begin();
    let records: Vec<_> = super::records("ours", 0, 100, written.now_ms).collect();
    for half in records.chunks(50) {
        // A batch each.
        written.session.send(&written.topic, 0, half.to_vec());
        written.session.flush();
    }
    let manifest = written.prepared();
    written.session.abort();
    let range = manifest.listed()[0].partitions[0].clone();
    client.delete_records(&written.topic, 0, range.first + 50);
    let reason = format!("the log begins at offset {} now", range.first + 50);
    assert_lost(&written, &manifest, &written.topic, 50, &reason);

    // What is left is written when that is asked for, and then nothing is lost any more.
    recover(&client, &written.lineage, manifest.folder.path(), true).unwrap();
    written.ours[0] = records[50..].to_vec();
    written.assert_equal();
    manifest.recover(&written).unwrap();
    written.assert_equal();
}

#[test]
fn the_topic_was_deleted_and_created_again() {
    let client = kafka!();
    let (written, manifest) = aborted(&client, &[]);
    client.delete(&written.topic);
    eventually("created again", || std::panic::catch_unwind(|| client.create(&written.topic, 4)).ok());
    client.produce(&written.topic, 0, vec!["another"; 200]);
    assert_lost(&written, &manifest, &written.topic, 100, "the topic was deleted and created again");

    // All of it is lost, and that is accepted: the manifest lists it no more.
    recover(&client, &written.lineage, manifest.folder.path(), true).unwrap();
    assert_eq!(manifest.listed(), []);
    assert_eq!(client.read_committed(&written.topic).concat().len(), 200);
}

#[test]
fn the_topic_was_deleted() {
    let client = kafka!();
    let (written, manifest) = aborted(&client, &[]);
    client.delete(&written.topic);
    let error = manifest.recover(&written).unwrap_err();
    let loss = error.data_loss().expect("what is lost");
    assert_eq!((error.kind(), loss.records, &*loss.sink), (ErrorKind::DataLoss, 100, &*SINKS.join(", ")), "{error}");
    assert!(loss.reason.ends_with(&format!("{}/0: the topic was deleted", written.topic)), "{loss}");
    assert_eq!(manifest.revision(), 0);
}

/// Nobody can see all of it any more. The loss is what was in that topic; when that is accepted it is aborted, and the
/// rest is written again.
#[test]
fn a_topic_was_deleted_while_the_transaction_is_open() {
    let client = kafka!();
    let mut written = Written::new(&client, &[], LONG, &[]);
    let lost = client.topic("lost", 1);
    written.session.begin();
    written.write_part(0, 40);
    written.session.send(&lost, 0, super::records("ours", 40, 10, written.now_ms));
    written.session.flush();
    let manifest = written.prepared();
    client.delete(&lost);
    assert_lost(&written, &manifest, &lost, 10, "the topic was deleted");
    recover(&client, &written.lineage, manifest.folder.path(), true).unwrap();
    written.assert_equal();
    let left = &manifest.listed()[0];
    assert!(left.records == 40 && left.partitions.iter().all(|range| range.topic == written.topic), "{left:?}");
}

/// The cleaner removes an aborted transaction's records; the abort itself stays known.
#[test]
fn the_topic_was_compacted() {
    let Some(client) = tidy() else { return };
    let (written, manifest) = aborted(&client, &COMPACTED);
    let range = manifest.listed()[0].partitions[0].clone();
    let others = Session::open(&client, &client.name("others"), LONG, &[]);
    let mut keys = 1_000..;
    eventually("cleaned", || {
        let mut record = written.ours[0][1].clone();
        record.key = keys.next().map(|key: u32| key.to_string().into_bytes());
        others.write(&written.topic, 0, [record]);
        others.commit();
        std::thread::sleep(Duration::from_millis(200));
        let left = client.read_uncommitted(&written.topic).swap_remove(0);
        (!left.iter().any(|record| (range.first..=range.last).contains(&record.offset))).then_some(())
    });
    drop(others);
    // The head of a producer's last batch is kept, or not.
    assert_lost(&written, &manifest, &written.topic, 100, "compacted");
}
