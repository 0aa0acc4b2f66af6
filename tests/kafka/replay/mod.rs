//! A prepared transaction that was aborted is written again from the broker's log: what readers see
//! afterwards equals what was written, record by record: order, key, value, headers, timestamp.
//!
//! `STAUNCH_REPLAY_RECORDS` raises the number of records (1000000 for the long run).

mod crashes;
mod exact;
mod records;
mod refused;
mod settings;

use crate::support::{eventually, parsed, recovered_by, sink};
use records::{is_of, partition, records};
use staunch::api::sink::Committable;
use staunch::kafka::KafkaCommittable;
use staunch::{Epoch, Error, ErrorKind, Result};
use staunch_tests::kafka::{Client, Record, Session, listed};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const EPOCH: Epoch = Epoch(1);
const PARTITIONS: i32 = 4;
const LONG: Duration = Duration::from_secs(300);
/// Others write after each such part of the transaction.
const PARTS: u64 = 12;

fn count() -> u64 {
    std::env::var("STAUNCH_REPLAY_RECORDS").map_or(20_000, |count| count.parse().expect("a number"))
}

/// By partition.
type Log = Vec<Vec<Record>>;

/// A transaction that a manifest lists, and what a topic holds beside it.
struct Written {
    client: Client,
    topic: String,
    lineage: String,
    session: Session,
    /// The transaction's records.
    ours: Log,
    /// What others, and the same producer before it, have committed.
    others: Log,
    now_ms: i64,
}

impl Written {
    /// Nothing yet, in a new topic.
    fn new(client: &Client, settings: &[(&str, &str)], timeout: Duration, options: &[(&str, &str)]) -> Self {
        let settings = [&[("retention.ms", "-1")], settings].concat();
        let topic = client.topic_with("replay", PARTITIONS, &settings);
        let lineage = client.name("lineage");
        let session = Session::open(client, &format!("tests/{lineage}/0"), timeout, options);
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64;
        let empty = || vec![Vec::new(); PARTITIONS as usize];
        Self { client: client.clone(), topic, lineage, session, ours: empty(), others: empty(), now_ms }
    }

    /// A transaction of so many records, with nothing around it.
    fn alone(client: &Client, count: u64, timeout: Duration) -> (Self, Manifest) {
        let mut written = Self::new(client, &[], timeout, &[]);
        written.session.begin();
        written.write_part(0, count);
        let manifest = written.prepared();
        (written, manifest)
    }

    fn write_part(&mut self, first: u64, count: u64) {
        for (number, record) in (first..).zip(records("ours", first, count, self.now_ms)) {
            let partition = partition(number, PARTITIONS);
            self.session.send(&self.topic, partition, [record.clone()]);
            self.ours[partition as usize].push(record);
        }
        self.session.flush();
    }

    /// A transaction of another producer, or of the same one before and after.
    fn write_other(&mut self, by: Option<&Session>, first: u64, count: u64, commit: bool) {
        let by = by.unwrap_or(&self.session);
        by.begin();
        for (number, record) in (first..).zip(records("others", first, count, self.now_ms)) {
            let partition = partition(number, PARTITIONS);
            by.send(&self.topic, partition, [record.clone()]);
            if commit {
                self.others[partition as usize].push(record);
            }
        }
        by.flush();
        if commit { by.commit() } else { by.abort() }
    }

    fn prepared(&self) -> Manifest {
        Manifest::new(&self.session.prepared(EPOCH))
    }

    /// The broker aborts what is listed, as its time is up.
    fn expire(&self, manifest: &Manifest) {
        manifest.listed().iter().for_each(|ours| crate::situations::expire(&self.client, ours));
    }

    /// Readers see ours, complete, once and in order, and what was there before.
    fn assert_equal(&self) {
        let seen = eventually("visible", || {
            let seen = self.client.read_committed(&self.topic);
            let count = |log: &Log| log.iter().map(Vec::len).sum::<usize>();
            (count(&seen) >= count(&self.ours) + count(&self.others)).then_some(seen)
        });
        for (source, expected) in [("ours", &self.ours), ("others", &self.others)] {
            for (partition, expected) in expected.iter().enumerate() {
                let seen = seen[partition].iter().filter(|record| is_of(record, source));
                let seen: Vec<Record> = seen.map(|record| Record { offset: 0, ..record.clone() }).collect();
                let differs = seen.iter().zip(expected).position(|(seen, expected)| seen != expected);
                let shown = differs.map(|at| (at, &seen[at], &expected[at]));
                assert_eq!(shown, None, "{source}, partition {partition}");
                assert_eq!(seen.len(), expected.len(), "{source}, partition {partition}");
            }
        }
    }
}

/// A checkpoint's manifest with all its forms, in a folder: one file each, created once, so that of two
/// attempts one makes the next.
struct Manifest {
    folder: tempfile::TempDir,
}

fn form(folder: &Path, number: usize) -> PathBuf {
    folder.join(number.to_string())
}

fn newest(folder: &Path) -> (usize, Vec<Committable>) {
    let number = (0..).take_while(|number| form(folder, *number).exists()).last().expect("a first form");
    (number, serde_json::from_slice(&fs::read(form(folder, number)).unwrap()).unwrap())
}

/// Writes a form, if nobody else did.
fn publish(folder: &Path, number: usize, listed: &[Committable]) -> Result<()> {
    let file = tempfile::NamedTempFile::new_in(folder).unwrap();
    fs::write(file.path(), serde_json::to_vec(listed).unwrap()).unwrap();
    match file.persist_noclobber(form(folder, number)) {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::new(ErrorKind::Superseded, "another attempt was faster")),
    }
}

/// One attempt recovers from the newest form.
fn recover(client: &Client, lineage: &str, folder: &Path, accept_data_loss: bool) -> Result<()> {
    let (mut number, listed) = newest(folder);
    let publish = |listed: &[Committable]| {
        number += 1;
        publish(folder, number, listed)
    };
    let timeout_ms = parsed(&listed[0]).timeout_ms;
    // The sink of the job that wrote it.
    let sink = sink(client, "any").transaction_timeout(Duration::from_millis(timeout_ms.unsigned_abs().into()));
    recovered_by(&sink, lineage, &listed, EPOCH, accept_data_loss, publish).map(drop)
}

impl Manifest {
    fn new(ours: &KafkaCommittable) -> Self {
        let folder = tempfile::tempdir().unwrap();
        publish(folder.path(), 0, &[listed(ours)]).unwrap();
        Self { folder }
    }

    fn recover(&self, written: &Written) -> Result<()> {
        recover(&written.client, &written.lineage, self.folder.path(), false)
    }

    /// How often it was published anew.
    fn revision(&self) -> usize {
        newest(self.folder.path()).0
    }

    fn listed(&self) -> Vec<KafkaCommittable> {
        newest(self.folder.path()).1.iter().map(parsed).collect()
    }
}
