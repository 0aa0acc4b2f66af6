//! What tests do with a Kafka cluster, independent of the connector under test.

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use staunch::connectors::kafka::Security;
use staunch::connectors::kafka::wire::Cluster;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const WITHIN: Duration = Duration::from_secs(30);

/// Administers, writes to and reads one cluster.
#[derive(Clone, Debug)]
pub struct Client {
    brokers: String,
    /// How often new topics are kept.
    replicas: i32,
}

/// A record, as a reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    pub key: Option<Vec<u8>>,
    /// Without one it is a tombstone.
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Record {
    /// The value as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(self.value.as_deref().expect("a test wrote a value")).expect("a test wrote text")
    }

    /// The record as librdkafka takes it.
    pub(super) fn to<'a>(&'a self, topic: &'a str, partition: i32) -> BaseRecord<'a, Vec<u8>, Vec<u8>> {
        let mut headers = OwnedHeaders::new();
        for (key, value) in &self.headers {
            headers = headers.insert(Header { key, value: value.as_ref() });
        }
        let mut record = BaseRecord::to(topic).partition(partition).timestamp(self.timestamp).headers(headers);
        (record.key, record.payload) = (self.key.as_ref(), self.value.as_ref());
        record
    }
}

impl Client {
    pub fn new(brokers: &str) -> Self {
        Self { brokers: brokers.to_owned(), replicas: 1 }
    }

    /// The same client, whose new topics are kept so often.
    #[must_use]
    pub fn with_replicas(self, replicas: i32) -> Self {
        Self { replicas, ..self }
    }

    /// The bootstrap brokers.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    pub(super) fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers).set("log_level", "0");
        config
    }

    pub(super) fn answers(&self) -> bool {
        let consumer: BaseConsumer = self.config().create().expect("a legal configuration");
        consumer.fetch_metadata(None, Duration::from_secs(2)).is_ok_and(|metadata| !metadata.brokers().is_empty())
    }

    /// The wire client, for what only it can ask.
    pub fn cluster(&self) -> Cluster {
        Cluster::new(&self.brokers, Security::Plaintext).expect("a legal address")
    }

    /// A name that no other test uses.
    pub fn name(&self, about: &str) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        format!("{about}-{}-{}", since.as_micros(), COUNT.fetch_add(1, Ordering::Relaxed))
    }

    /// A new topic with an unused name that starts with `about`.
    pub fn topic(&self, about: &str, partitions: i32) -> String {
        let name = self.name(about);
        self.create(&name, partitions);
        name
    }

    /// A new topic with an unused name and these settings.
    pub fn topic_with(&self, about: &str, partitions: i32, settings: &[(&str, &str)]) -> String {
        let name = self.name(about);
        self.create_with(&name, partitions, settings);
        name
    }

    /// Creates a topic.
    pub fn create(&self, name: &str, partitions: i32) {
        // Tests write records of 1970: the broker's next look at retention would delete them.
        self.create_with(name, partitions, &[("retention.ms", "-1")]);
    }

    /// Creates a topic with these settings and no others.
    pub fn create_with(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(self.replicas));
        let topic = settings.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
        let created = self.admin(async |admin| admin.create_topics([&topic], &AdminOptions::new()).await);
        created.expect("the broker answers")[0].as_ref().expect("the topic is new");
        eventually_has(self, name, partitions);
    }

    /// Adds partitions to a topic, so that it has this many.
    pub fn add_partitions(&self, topic: &str, partitions: usize) {
        let more = NewPartitions::new(topic, partitions);
        let added = self.admin(async |admin| admin.create_partitions([&more], &AdminOptions::new()).await);
        added.expect("the broker answers")[0].as_ref().expect("more than before");
        eventually_has(self, topic, partitions as i32);
    }

    /// Deletes all records of a partition below an offset.
    pub fn delete_records(&self, topic: &str, partition: i32, below: i64) {
        let list = offsets(topic, [(partition, Offset::Offset(below))]);
        let deleted = self.admin(async |admin| admin.delete_records(&list, &AdminOptions::new()).await);
        deleted.expect("the broker answers");
    }

    /// Deletes a topic.
    pub fn delete(&self, topic: &str) {
        let deleted = self.admin(async |admin| admin.delete_topics(&[topic], &AdminOptions::new()).await);
        deleted.expect("the broker answers")[0].as_ref().expect("the topic exists");
    }

    /// What a member of a group says of how far it has read partition 0.
    pub fn commit_group_offset(&self, group: &str, topic: &str, offset: i64) {
        let consumer: BaseConsumer = self.config().set("group.id", group).create().expect("a legal configuration");
        let list = offsets(topic, [(0, Offset::Offset(offset))]);
        consumer.commit(&list, CommitMode::Sync).expect("the broker answers");
    }

    /// Deletes a group with its offsets.
    pub fn delete_group(&self, group: &str) {
        let deleted = self.admin(async |admin| admin.delete_groups(&[group], &AdminOptions::new()).await);
        deleted.expect("the broker answers")[0].as_ref().expect("the group exists and has no members");
    }

    pub(super) fn admin<T>(&self, ask: impl AsyncFnOnce(&AdminClient<DefaultClientContext>) -> T) -> T {
        let admin: AdminClient<DefaultClientContext> = self.config().create().expect("a legal configuration");
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(ask(&admin))
    }

    pub(super) fn partitions(&self, topic: &str) -> i32 {
        let consumer: BaseConsumer = self.config().create().expect("a legal configuration");
        let metadata = consumer.fetch_metadata(Some(topic), WITHIN).expect("the broker answers");
        metadata.topics().first().map_or(0, |topic| topic.partitions().len() as i32)
    }

    /// Writes records, all acknowledged when this returns. Timestamps count up from 1,000.
    pub fn produce<V: AsRef<[u8]>>(&self, topic: &str, partition: i32, values: impl IntoIterator<Item = V>) {
        let producer: BaseProducer = self.config().create().expect("a legal configuration");
        send(&producer, topic, partition, values);
    }

    /// Writes one record with everything.
    pub fn produce_record(&self, topic: &str, partition: i32, record: &Record) {
        let producer: BaseProducer = self.config().create().expect("a legal configuration");
        producer.send(record.to(topic, partition)).map_err(|(error, _)| error).expect("room for one");
        producer.flush(WITHIN).expect("delivered");
    }

    /// What a group has committed of each partition.
    pub fn group_offsets(&self, group: &str, topic: &str, partitions: i32) -> Vec<Option<i64>> {
        let consumer: BaseConsumer = self.config().set("group.id", group).create().expect("a legal configuration");
        let asked = offsets(topic, (0..partitions).map(|partition| (partition, Offset::Invalid)));
        let committed = consumer.committed_offsets(asked, WITHIN).expect("the broker answers");
        let offset = |entry: rdkafka::topic_partition_list::TopicPartitionListElem<'_>| match entry.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        };
        committed.elements().into_iter().map(offset).collect()
    }

    /// An open transaction of somebody else.
    pub fn transaction(&self) -> Transaction {
        let id = self.name("foreign");
        let producer: BaseProducer =
            self.config().set("transactional.id", &id).create().expect("a legal configuration");
        producer.init_transactions(WITHIN).expect("transactions");
        producer.begin_transaction().expect("begun");
        Transaction { id, producer }
    }

    /// Everything that is committed, by partition, up to the last stable offset.
    pub fn read_committed(&self, topic: &str) -> Vec<Vec<Record>> {
        self.read(topic, "read_committed")
    }

    /// Everything in the log, by partition, whether it is committed or not.
    pub fn read_uncommitted(&self, topic: &str) -> Vec<Vec<Record>> {
        self.read(topic, "read_uncommitted")
    }

    /// The committed values as text, of all partitions, sorted.
    pub fn committed_values(&self, topic: &str) -> Vec<String> {
        let records = self.read_committed(topic).into_iter().flatten();
        let mut values: Vec<String> = records.map(|record| record.text().to_owned()).collect();
        values.sort_unstable();
        values
    }

    fn read(&self, topic: &str, isolation: &str) -> Vec<Vec<Record>> {
        let consumer: BaseConsumer = self
            .config()
            .set("group.id", "staunch-tests")
            .set("isolation.level", isolation)
            .set("enable.partition.eof", "true")
            .set("enable.auto.commit", "false")
            .create()
            .expect("a legal configuration");
        let count = self.partitions(topic);
        consumer.assign(&offsets(topic, (0..count).map(|partition| (partition, Offset::Beginning)))).expect("assigned");
        let mut records = vec![Vec::new(); count as usize];
        let mut unfinished: BTreeSet<i32> = (0..count).collect();
        // A million records take a busy machine longer than that, but none of them does.
        let mut last = Instant::now();
        while !unfinished.is_empty() {
            assert!(last.elapsed() < WITHIN, "{topic} cannot be read to its end");
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    records[message.partition() as usize].push(owned(&message));
                    last = Instant::now();
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    unfinished.remove(&partition);
                }
                // A slow machine; librdkafka tries again.
                Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AllBrokersDown))) => {}
                Some(Err(error)) => panic!("{topic}: {error}"),
                None => {}
            }
        }
        records
    }

    /// The ids of transactions that are open and start so.
    pub fn open_transactions(&self, prefix: &str) -> Vec<String> {
        let listed = self.cluster().list(prefix, WITHIN).expect("the broker answers");
        listed.into_iter().filter(|it| it.state == "Ongoing").map(|it| it.id).collect()
    }
}

fn eventually_has(client: &Client, topic: &str, partitions: i32) {
    let started = Instant::now();
    while client.partitions(topic) != partitions {
        assert!(started.elapsed() < WITHIN, "{topic} does not appear");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A transaction outside the job.
pub struct Transaction {
    id: String,
    producer: BaseProducer,
}

impl Transaction {
    /// Its transactional id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Writes records into the transaction, all acknowledged when this returns.
    pub fn produce<V: AsRef<[u8]>>(&self, topic: &str, partition: i32, values: impl IntoIterator<Item = V>) {
        send(&self.producer, topic, partition, values);
    }

    pub fn commit(self) {
        self.producer.commit_transaction(WITHIN).expect("committed");
    }

    pub fn abort(self) {
        self.producer.abort_transaction(WITHIN).expect("aborted");
    }
}

fn send<V: AsRef<[u8]>>(producer: &BaseProducer, topic: &str, partition: i32, values: impl IntoIterator<Item = V>) {
    for (time, value) in (1_000..).zip(values) {
        let record = BaseRecord::<(), [u8]>::to(topic).partition(partition).payload(value.as_ref()).timestamp(time);
        producer.send(record).map_err(|(error, _)| error).expect("room");
        producer.poll(Duration::ZERO);
    }
    producer.flush(WITHIN).expect("delivered");
}

pub(super) fn offsets(topic: &str, offsets: impl IntoIterator<Item = (i32, Offset)>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in offsets {
        list.add_partition_offset(topic, partition, offset).expect("a legal offset");
    }
    list
}

fn owned(message: &impl Message<Headers: Headers>) -> Record {
    let headers = message.headers().into_iter().flat_map(Headers::iter);
    Record {
        offset: message.offset(),
        timestamp: message.timestamp().to_millis().unwrap_or(-1),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: headers.map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect(),
    }
}
