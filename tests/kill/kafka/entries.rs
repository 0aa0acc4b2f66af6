//! The input of the ledger job, written while it runs: each account's entries count up, and now and then
//! comes a line that is no entry.

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use staunch_tests::kafka::Client;
use staunch_tests::texts::Random;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

const PARTITIONS: i32 = 3;
const ACCOUNTS: u64 = 500;
/// One line in so many is no entry.
const REFUSED: u64 = 50;
/// A broker that was killed may need some seconds.
const DELIVERED_WITHIN: Duration = Duration::from_secs(120);
const TURN: Duration = Duration::from_millis(10);

/// What was written so far.
pub struct Entries {
    pub topic: String,
    /// How far each account has come, and the lines of each partition that are no entries.
    pub entries: HashMap<String, u64>,
    pub refused: HashMap<String, u64>,
    random: Random,
    producer: BaseProducer,
    brokers: String,
}

/// Entries that are being written, by a thread of their own.
pub struct Feeding {
    pub topic: String,
    /// How many more are wanted, at this pace for each turn; 0 ends it.
    pace: Arc<AtomicU64>,
    thread: JoinHandle<Entries>,
}

impl Entries {
    pub fn new(client: &Client, seed: u64) -> Self {
        let mut config = ClientConfig::new();
        // In order and once, whatever happens to the brokers meanwhile.
        config.set("bootstrap.servers", client.brokers()).set("enable.idempotence", "true").set("log_level", "0");
        Self {
            topic: client.topic("entries", PARTITIONS),
            entries: HashMap::new(),
            refused: HashMap::new(),
            random: Random::new(seed),
            producer: config.set("linger.ms", "10").create().expect("a legal configuration"),
            brokers: client.brokers().to_owned(),
        }
    }

    pub fn records(&self) -> u64 {
        self.entries.values().chain(self.refused.values()).sum()
    }

    /// Writes so many more.
    pub fn write(&mut self, records: u64) {
        for _ in 0..records {
            let (partition, line) = self.next();
            loop {
                let record = BaseRecord::<(), str>::to(&self.topic).partition(partition).payload(&line);
                match self.producer.send(record) {
                    Ok(()) => break,
                    Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                        self.producer.poll(Duration::from_millis(10));
                    }
                    Err((error, _)) => panic!("{}: {error}", self.topic),
                }
            }
        }
        self.producer.poll(Duration::ZERO);
    }

    fn next(&mut self) -> (i32, String) {
        let account = self.random.below(ACCOUNTS);
        let partition = i32::try_from(account).expect("a few hundred") % PARTITIONS;
        if self.random.below(REFUSED) == 0 {
            let number = self.refused.entry(format!("!{partition}")).or_default();
            *number += 1;
            return (partition, format!("!{partition} is no account {number}"));
        }
        let number = self.entries.entry(format!("a{account}")).or_default();
        *number += 1;
        (partition, format!("a{account} {number}"))
    }

    /// Goes on writing so many a second, until it is stopped.
    pub fn keep_writing(mut self, per_second: u64) -> Feeding {
        let each_turn = per_second * u64::try_from(TURN.as_millis()).expect("a few") / 1_000;
        let pace = Arc::new(AtomicU64::new(each_turn.max(1)));
        let (topic, wanted) = (self.topic.clone(), pace.clone());
        let thread = std::thread::spawn(move || {
            loop {
                match wanted.load(Ordering::Relaxed) {
                    0 => return self,
                    records => self.write(records),
                }
                sleep(TURN);
            }
        });
        Feeding { topic, pace, thread }
    }

    /// Waits until all are in the topic: what a test compares with has to be what the job could read.
    pub fn deliver(&self) {
        self.producer.flush(DELIVERED_WITHIN).expect("all entries are written");
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers).set("log_level", "0");
        let consumer: BaseConsumer = config.create().expect("a legal configuration");
        let end = |partition| consumer.fetch_watermarks(&self.topic, partition, DELIVERED_WITHIN).expect("offsets").1;
        let written: i64 = (0..PARTITIONS).map(end).sum();
        assert_eq!(u64::try_from(written), Ok(self.records()), "the test's own input is not what it meant to write");
    }
}

impl Feeding {
    /// Ends it.
    pub fn stop(self) -> Entries {
        self.pace.store(0, Ordering::Relaxed);
        let entries = self.thread.join().expect("the thread that writes the entries");
        entries.deliver();
        entries
    }
}
