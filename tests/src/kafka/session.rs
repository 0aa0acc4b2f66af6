//! A transactional producer that knows where its records went, and can say of its open transaction what
//! a manifest would keep of it: prepared transactions without a job around them.

use super::client::{Client, Record, offsets};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, NoCustomPartitioner, Producer, ProducerContext};
use rdkafka::{ClientContext, Offset};
use staunch::Epoch;
use staunch::api::sink::Committable;
use staunch::connectors::kafka::{KafkaCommittable, PartitionRange, WriterShare};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const WITHIN: Duration = Duration::from_secs(60);

/// The sinks that a session's records are said to be of, in the order in which a loss names them.
pub const SINKS: [&str; 2] = ["alerts", "totals"];

/// First and last offset and the count of the records of one transaction, by topic and partition.
type Delivered = BTreeMap<(String, i32), (i64, i64, u64)>;

#[derive(Clone, Default)]
struct Deliveries(Arc<Mutex<(Delivered, Option<KafkaError>)>>);

impl ClientContext for Deliveries {}

impl ProducerContext<NoCustomPartitioner> for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(message) => {
                let at = message.offset();
                let place = (message.topic().to_owned(), message.partition());
                let range = known.0.entry(place).or_insert((at, at, 0));
                *range = (range.0.min(at), range.1.max(at), range.2 + 1);
            }
            Err((error, _)) => known.1 = Some(error.clone()),
        }
    }
}

/// What a manifest lists of it, of the sinks whose participant is called `kafka`.
pub fn listed(committable: &KafkaCommittable) -> Committable {
    let bytes = serde_json::to_vec(committable).expect("numbers and texts are JSON");
    Committable { participant: "kafka".into(), epoch: committable.epoch, bytes }
}

/// One producer session of a transactional id; dropping it leaves an open transaction as a dead process does.
pub struct Session {
    client: Client,
    id: String,
    producer: BaseProducer<Deliveries>,
    deliveries: Deliveries,
}

impl Session {
    /// Initialises the id, which aborts what it has open. Further `options` are librdkafka's.
    pub fn open(client: &Client, id: &str, timeout: Duration, options: &[(&str, &str)]) -> Self {
        let mut config = client.config();
        let timeout_ms = timeout.as_millis().to_string();
        config.set("transactional.id", id).set("transaction.timeout.ms", &timeout_ms);
        config.set("message.timeout.ms", &timeout_ms).set("linger.ms", "2");
        for (key, value) in options {
            config.set(*key, *value);
        }
        let deliveries = Deliveries::default();
        let producer =
            BaseProducer::from_config_and_context(&config, deliveries.clone()).expect("a legal configuration");
        producer.init_transactions(WITHIN).expect("transactions");
        Self { client: client.clone(), id: id.to_owned(), producer, deliveries }
    }

    /// The transactional id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Begins a transaction.
    pub fn begin(&self) {
        *self.deliveries.0.lock().unwrap_or_else(PoisonError::into_inner) = Default::default();
        self.producer.begin_transaction().expect("begun");
    }

    /// Hands records over; [`Session::flush`] waits for them. Their offsets are ignored.
    pub fn send(&self, topic: &str, partition: i32, records: impl IntoIterator<Item = Record>) {
        for record in records {
            self.send_one(topic, partition, &record);
        }
    }

    fn send_one(&self, topic: &str, partition: i32, record: &Record) {
        let mut next = record.to(topic, partition);
        loop {
            match self.producer.send(next) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), unsent)) => {
                    self.producer.poll(Duration::from_millis(10));
                    next = unsent;
                }
                Err((error, _)) => panic!("{topic}/{partition}: {error}"),
            }
        }
        self.producer.poll(Duration::ZERO);
    }

    /// Waits until every record is in the log.
    pub fn flush(&self) {
        self.try_flush().expect("delivered");
    }

    /// Waits until every record is in the log, or is not taken.
    ///
    /// # Errors
    /// What is said of the last one that is not taken.
    pub fn try_flush(&self) -> Result<(), KafkaError> {
        let started = Instant::now();
        while self.producer.in_flight_count() > 0 {
            assert!(started.elapsed() < WITHIN, "{} records are not acknowledged", self.producer.in_flight_count());
            self.producer.poll(Duration::from_millis(2));
        }
        let known = self.deliveries.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.1.clone().map_or(Ok(()), Err)
    }

    /// Puts a consumer group's offset into the transaction, and no record.
    pub fn send_group_offset(&self, group: &str, topic: &str, offset: i64) {
        let consumer: BaseConsumer =
            self.client.config().set("group.id", group).create().expect("a legal configuration");
        let metadata = consumer.group_metadata().expect("a consumer of a group");
        let list = offsets(topic, [(0, Offset::Offset(offset))]);
        self.producer.send_offsets_to_transaction(&list, &metadata, WITHIN).expect("taken");
    }

    pub fn commit(&self) {
        self.producer.commit_transaction(WITHIN).expect("committed");
    }

    /// Commits, and begins again; what each says.
    pub fn try_to_go_on(&self) -> [KafkaResult<()>; 2] {
        [self.producer.commit_transaction(WITHIN), self.producer.begin_transaction()]
    }

    pub fn abort(&self) {
        self.producer.abort_transaction(WITHIN).expect("aborted");
    }

    /// Begins a transaction with these records in one partition, all in the log when this returns.
    pub fn write(&self, topic: &str, partition: i32, records: impl IntoIterator<Item = Record>) {
        self.begin();
        self.send(topic, partition, records);
        self.flush();
    }

    /// What a manifest would keep of the open transaction.
    pub fn prepared(&self, epoch: Epoch) -> KafkaCommittable {
        let mut cluster = self.client.cluster();
        let described = cluster.describe(&self.id, WITHIN).expect("an answer").expect("a known id");
        assert_eq!(described.state, "Ongoing", "only an open transaction can be prepared");
        let known = self.deliveries.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut topic_id = |topic: &str| cluster.topic(topic, WITHIN).expect("an answer").expect("the topic exists").id;
        let partitions = known.0.iter().map(|((topic, partition), &(first, last, records))| PartitionRange {
            topic: topic.clone(),
            topic_id: topic_id(topic),
            partition: *partition,
            first,
            last,
            records,
        });
        let partitions: Vec<_> = partitions.collect();
        let records = partitions.iter().map(|range| range.records).sum();
        // As workers report them, whose order is their own.
        let share = |sink: usize, records| WriterShare { sink: SINKS[sink].to_owned(), worker: 0, records };
        KafkaCommittable {
            version: 1,
            cluster_id: self.client.cluster().cluster_id(WITHIN).expect("an answer"),
            transactional_id: self.id.clone(),
            producer_id: described.producer.id,
            producer_epoch: described.producer.epoch,
            start_ms: described.start_ms,
            timeout_ms: described.timeout_ms,
            epoch,
            records,
            partitions,
            writers: vec![share(1, records - records / 2), share(0, records / 2)],
        }
    }
}
