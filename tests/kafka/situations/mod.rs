//! Each situation in which a prepared transaction can be found, one test a row: what is said of its fate,
//! and, for the rows of the protocol, what recovery makes of it and what readers see.
//!
//! Recovery is the one that asks, as its answer is what counts: it goes on (committed), commits what is
//! open, writes again what was aborted, or stops, as nothing can be told. Where somebody can tell, it is asked
//! once with all the evidence, and once with each half of it made unusable: an answer may be missing,
//! it must never be wrong.

mod broker;
mod fate;
mod logs;
mod protocol;

use crate::support::{WITHIN, eventually, eventually_within, parsed, recovered, sink};
use staunch::api::sink::Sink;
use staunch::api::transactions::Outlook;
use staunch::connectors::kafka::wire::Producer;
use staunch::kafka::KafkaCommittable;
use staunch::{Epoch, ErrorKind};
use staunch_tests::kafka::{Broker, Client, Record, SINKS, Session, listed};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The epoch of every prepared transaction here.
const EPOCH: Epoch = Epoch(1);
/// A transaction timeout that does not pass while a test runs, and one that is waited for; a replay gets the
/// same, and has to be done before.
const LONG: Duration = Duration::from_secs(300);
pub const SHORT: Duration = Duration::from_secs(6);

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Committed,
    Aborted,
}

impl Ending {
    fn opposite(self) -> Self {
        match self {
            Self::Committed => Self::Aborted,
            Self::Aborted => Self::Committed,
        }
    }
}

/// Who can tell.
#[derive(Clone, Copy, Debug)]
pub struct Knows {
    coordinator: bool,
    log: bool,
}

impl Knows {
    pub const BOTH: Self = Self { coordinator: true, log: true };
    pub const COORDINATOR: Self = Self { coordinator: true, log: false };
    pub const LOG: Self = Self { coordinator: false, log: true };
    pub const NOTHING: Self = Self { coordinator: false, log: false };
}

/// Makes two tests of each row: for a transaction that was committed, and for one that was aborted.
macro_rules! both {
    ($($row:ident,)*) => {
        $(mod $row {
            use crate::situations::Ending;
            use crate::support::kafka;

            #[test]
            fn committed() {
                super::$row(&kafka!(), Ending::Committed);
            }

            #[test]
            fn aborted() {
                super::$row(&kafka!(), Ending::Aborted);
            }
        })*
    };
}
use both;

/// A broker that looks after its logs many times a second; shared by the rows that wait for it.
pub fn tidy() -> Option<Client> {
    static TIDY: OnceLock<Option<Broker>> = OnceLock::new();
    let properties = [
        ("log.retention.check.interval.ms", "300"),
        ("log.initial.task.delay.ms", "300"),
        ("log.cleaner.backoff.ms", "200"),
    ];
    TIDY.get_or_init(|| staunch_tests::kafka::own_with(&properties)).as_ref().map(Broker::client)
}

/// A topic that the cleaner of [`tidy`] visits often.
pub const COMPACTED: [(&str, &str); 6] = [
    ("cleanup.policy", "compact"),
    ("segment.ms", "300"),
    ("min.cleanable.dirty.ratio", "0.0001"),
    ("delete.retention.ms", "0"),
    ("max.compaction.lag.ms", "500"),
    ("file.delete.delay.ms", "100"),
];

/// A topic and a transactional producer that writes there.
pub struct Scene {
    client: Client,
    pub topic: String,
    pub session: Session,
}

impl Scene {
    pub fn new(client: &Client, partitions: i32) -> Self {
        Self::with_timeout(client, partitions, LONG)
    }

    fn with_timeout(client: &Client, partitions: i32, timeout: Duration) -> Self {
        Self::open(client, client.topic("situation", partitions), timeout)
    }

    fn of_topic(client: &Client, topic: String) -> Self {
        Self::open(client, topic, LONG)
    }

    fn open(client: &Client, topic: String, timeout: Duration) -> Self {
        let id = format!("tests/{}/0", client.name("lineage"));
        let session = Session::open(client, &id, timeout, &[]);
        Self { client: client.clone(), topic, session }
    }

    /// Another producer.
    fn foreign(&self) -> Session {
        Session::open(&self.client, &self.client.name("foreign"), LONG, &[])
    }

    /// A transaction with 100 records in partition 0.
    pub fn prepared(&self) -> KafkaCommittable {
        self.session.write(&self.topic, 0, texts(100, 20));
        self.session.prepared(EPOCH)
    }

    pub fn end(&self, ending: Ending) {
        match ending {
            Ending::Committed => self.session.commit(),
            Ending::Aborted => self.session.abort(),
        }
    }
}

/// What a new attempt says of it; `None` if that nothing can be told.
fn says(client: &Client, ours: &KafkaCommittable) -> Option<Ending> {
    let lineage = ours.transactional_id.split('/').nth(1).expect("<job>/<lineage>/<n>");
    // The topic of the sink plays no part.
    match recovered(&sink(client, "any"), lineage, &[listed(ours)], EPOCH) {
        Ok(now) if parsed(&now[0]) == *ours => Some(Ending::Committed),
        Ok(_) => Some(Ending::Aborted),
        Err(error) if error.kind() == ErrorKind::DataLoss => {
            let loss = error.data_loss().expect("what is lost");
            assert_eq!((loss.epoch, &*loss.sink), (ours.epoch, &*SINKS.join(", ")), "{loss}");
            assert!((1..=ours.records).contains(&loss.records), "{loss}");
            assert!(ours.partitions.iter().any(|range| loss.reason.contains(&range.topic)), "{loss}");
            Some(Ending::Aborted)
        }
        Err(error) if error.kind() == ErrorKind::FateUnknown => None,
        Err(error) => panic!("{error}"),
    }
}

/// Whether a person who only asks is told that it is open, whatever would become of it.
fn is_told_open(client: &Client, ours: &KafkaCommittable) -> bool {
    let mut tool = sink(client, "any").transactions().unwrap().expect("Kafka has transactions");
    match tool.foresee(&[listed(ours)]).unwrap().pop().expect("one of one").outlook {
        Outlook::Commit => true,
        Outlook::Replay(why) | Outlook::Loss(why) => why.contains("are open"),
        Outlook::Committed | Outlook::Stop(_) => false,
    }
}

/// Holds what is said against what became of it.
pub fn check(client: &Client, ours: &KafkaCommittable, ending: Ending, knows: Knows) {
    let told = |known: bool| known.then_some(ending);
    // Another topic has the name now, with fewer partitions. Comes first: nothing can be written again then, and
    // recovery changes nothing.
    let mut by_the_coordinator = ours.clone();
    for range in &mut by_the_coordinator.partitions {
        (range.topic_id, range.partition) = ("another".into(), range.partition + 1_000);
    }
    assert_eq!(says(client, &by_the_coordinator), told(knows.coordinator), "by the coordinator alone");
    assert_eq!(says(client, ours), told(knows.log || knows.coordinator), "by all evidence");
    // Of another start the coordinator knows nothing.
    let by_the_log = KafkaCommittable { start_ms: ours.start_ms + 1, ..ours.clone() };
    assert_eq!(says(client, &by_the_log), told(knows.log), "by the log alone");
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64
}

/// Records of now, with values of this size.
fn texts(count: usize, bytes: usize) -> Vec<Record> {
    let record = Record { offset: 0, timestamp: now_ms(), key: None, value: Some(vec![b'v'; bytes]), headers: vec![] };
    vec![record; count]
}

/// Records of now with the keys `<prefix>0`, `<prefix>1`, ...
fn keyed(count: usize, prefix: &str) -> Vec<Record> {
    let mut records = texts(count, 20);
    for (number, record) in records.iter_mut().enumerate() {
        record.key = Some(format!("{prefix}{number}").into_bytes());
    }
    records
}

/// An open transaction is committed by whoever recovers, and then it is visible.
pub fn check_open(client: &Client, ours: &KafkaCommittable) {
    let topic = &ours.partitions[0].topic;
    let described = client.cluster().describe(&ours.transactional_id, WITHIN).unwrap().expect("a known id");
    assert_eq!((described.state.as_str(), described.start_ms), ("Ongoing", ours.start_ms));
    let before = client.read_committed(topic).concat().len();
    assert_eq!(says(client, ours), Some(Ending::Committed));
    let after = before + ours.records as usize;
    eventually("visible", || (client.read_committed(topic).concat().len() >= after).then_some(()));
    assert_eq!(client.read_committed(topic).concat().len(), after);
}

/// Waits until the broker has aborted it.
pub fn expire(client: &Client, ours: &KafkaCommittable) {
    let mut cluster = client.cluster();
    let timeout = Duration::from_millis(ours.timeout_ms.unsigned_abs().into());
    eventually_within(timeout + WITHIN, "aborted by its timeout", || {
        let described = cluster.describe(&ours.transactional_id, WITHIN).unwrap().expect("a known id");
        (described.state == "CompleteAbort").then_some(())
    });
}

/// What another user of the id does first; aborts what is open.
fn initialise(client: &Client, ours: &KafkaCommittable) -> Producer {
    client.cluster().init_producer_id(&ours.transactional_id, Duration::from_secs(60), WITHIN).unwrap()
}

/// The broker's error code for EndTxn.
fn end(client: &Client, ours: &KafkaCommittable, commit: bool) -> i16 {
    let producer = Producer { id: ours.producer_id, epoch: ours.producer_epoch };
    client.cluster().end(&ours.transactional_id, producer, commit, WITHIN).unwrap()
}
