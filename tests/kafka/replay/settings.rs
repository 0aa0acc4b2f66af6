//! The topic's settings have changed since the transaction was written, and the broker does not take all of its
//! batches again: the error says what to change, and nothing becomes visible until that is done or the rest is enough.

use super::{LONG, Manifest, PARTITIONS, Written, records, recover};
use crate::support::{eventually, kafka};
use staunch::{Error, ErrorKind};
use staunch_tests::kafka::{Client, Record, Session};

/// Of partition 0, which has this many: the first and the last, and some between those on their way together.
const BATCHES: u64 = 24;
const SPOILT: [u64; 8] = [0, 1, 4, 5, 11, 12, 22, 23];
const RECORDS: u64 = 5;

/// A change of a topic's settings.
struct Change {
    setting: &'static str,
    to: &'static str,
    /// What undoes it; the size is in the error's advice.
    back: Option<&'static str>,
    /// Makes a record that is taken before it and not behind it.
    spoil: fn(&mut Record),
}

const CHANGES: [Change; 3] = [
    Change {
        setting: "max.message.bytes",
        to: "5000",
        back: None,
        spoil: |record| record.value = Some(vec![b'x'; 5_000]),
    },
    Change {
        setting: "message.timestamp.before.max.ms",
        to: "86400000",
        back: Some("9223372036854775807"),
        spoil: |record| record.timestamp = 1_000,
    },
    Change { setting: "cleanup.policy", to: "compact", back: Some("delete"), spoil: |record| record.key = None },
];

/// An aborted transaction whose batches of two partitions are spoilt in part and altogether, and what it would have
/// without those.
fn aborted(client: &Client, change: &Change) -> (Written, Manifest, Vec<Vec<Record>>) {
    let mut written = Written::new(client, &[("cleanup.policy", "delete")], LONG, &[]);
    let mut kept = vec![Vec::new(); PARTITIONS as usize];
    written.session.begin();
    for (partition, batches) in [(0, BATCHES), (1, 3), (2, 2)] {
        for batch in 0..batches {
            let is_spoilt = partition == 2 || partition == 0 && SPOILT.contains(&batch);
            let mut batch: Vec<Record> = records("ours", batch * RECORDS, RECORDS, written.now_ms).collect();
            for record in &mut batch {
                record.key = Some(b"key".to_vec());
                if is_spoilt {
                    (change.spoil)(record);
                }
            }
            written.session.send(&written.topic, partition, batch.clone());
            written.session.flush();
            if !is_spoilt {
                kept[partition as usize].extend(batch.clone());
            }
            written.ours[partition as usize].extend(batch);
        }
    }
    let manifest = written.prepared();
    written.session.abort();
    (written, manifest, kept)
}

/// Waits until the leader of partition 0 refuses what is spoilt.
fn until_refused(written: &Written, change: &Change) {
    let mut record = records("probe", 1, 1, written.now_ms).next().expect("one");
    (change.spoil)(&mut record);
    eventually("the setting heeded", || {
        let probe = Session::open(&written.client, &written.client.name("probe"), LONG, &[]);
        probe.begin();
        probe.send(&written.topic, 0, [record.clone()]);
        let refused = probe.try_flush().is_err();
        probe.abort();
        refused.then_some(())
    });
}

fn refused(written: &Written, manifest: &Manifest, change: &Change, lost: u64) -> Error {
    let error = manifest.recover(written).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DataLoss, "{error}");
    let loss = error.data_loss().expect("what is lost");
    assert_eq!((loss.records, loss.epoch), (lost, super::EPOCH), "{loss}");
    for words in [&format!("{}/0: the broker refuses", written.topic), change.setting, "start again"] {
        assert!(loss.reason.contains(words), "{words:?} is not in: {loss}");
    }
    assert_eq!(written.client.read_committed(&written.topic).concat(), []);
    assert_eq!(written.client.open_transactions(&format!("tests/{}/", written.lineage)), Vec::<String>::new());
    assert_eq!(manifest.revision(), 0);
    error
}

#[test]
fn what_the_topic_does_not_take_any_more_is_refused_until_its_settings_are_changed_or_the_rest_is_enough() {
    let client = kafka!();
    let [size, time, key] = &CHANGES;
    for (change, is_enough) in [(size, false), (size, true), (time, false), (key, false)] {
        let (mut written, manifest, kept) = aborted(&client, change);
        let count = |log: &[Vec<Record>]| log.iter().map(Vec::len).sum::<usize>() as u64;
        let lost = count(&written.ours) - count(&kept);
        client.alter(&written.topic, &[(change.setting, change.to)]);
        until_refused(&written, change);
        let error = refused(&written, &manifest, change, lost).to_string();
        if is_enough {
            recover(&client, &written.lineage, manifest.folder.path(), true).unwrap();
            written.ours = kept;
        } else {
            let advised = || {
                let (_, rest) = error.split_once("max.message.bytes of the topic to ").expect("a size");
                rest.split_once(' ').expect("and more").0
            };
            client.alter(&written.topic, &[(change.setting, change.back.unwrap_or_else(advised))]);
            eventually("taken again", || manifest.recover(&written).ok());
        }
        manifest.recover(&written).unwrap();
        written.assert_equal();
        assert_eq!(client.open_transactions(&format!("tests/{}/", written.lineage)), Vec::<String>::new());
    }
}
