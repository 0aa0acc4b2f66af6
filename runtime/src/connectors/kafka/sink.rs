//! [`KafkaSink`]: what to write, and how safely. Nothing connects here.

use super::message::{Headers, OnRefused, Shape, TopicOf};
use super::participant::{KafkaParticipant, Options};
use super::settings::Settings;
use super::tool::KafkaTransactions;
use super::writer::KafkaWriter;
use crate::api::output::Failed;
use crate::api::sink::{Delivery, Sink, SinkContext, WriterContext};
use crate::api::transactions::TransactionTool;
use crate::connectors::format::{DeadLetters, Format, Undecodable};
use crate::error::Result;
use crate::time::Timestamp;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// How long a transaction may stay undecided, unless said otherwise. Far more than the checkpoint interval
/// and the checkpoint's own time, and no more than brokers allow by default.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(600);

/// Writes to Kafka; exactly once unless said otherwise.
///
/// All exactly-once Kafka sinks of a job that name the same brokers share one transaction per
/// checkpoint: their outputs become visible together, to readers with `isolation.level=read_committed`.
///
/// The record's value is what its [format](crate::format) makes of it; everything else about the message
/// is said here. Its timestamp is the record's event time, its partition follows from the key as with
/// Java clients (`murmur2_random`; another one with `.set("partitioner", ..)`), and records without a
/// key are spread.
///
/// ```no_run
/// use staunch::connectors::format::Json;
/// use staunch::connectors::kafka::{KafkaSink, OnRefused};
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Total {
///     customer: String,
///     cents: u64,
///     closed: bool,
/// }
///
/// let totals = KafkaSink::<Json<Total>>::topic("localhost:9092", "totals")
///     .key(|total| total.customer.as_bytes())
///     .tombstone(|total| total.closed)
///     .headers(|_, headers| _ = headers.add("currency", "EUR"))
///     .on_refused(OnRefused::DeadLetter("totals-refused".into()))
///     .set("compression.type", "zstd");
/// ```
pub struct KafkaSink<F: Format> {
    shape: Shape<F::Record>,
    options: Options,
    format: PhantomData<fn() -> F>,
}

impl<F: Format> KafkaSink<F> {
    /// Writes to this topic of the cluster with these bootstrap brokers (`host:port,host:port`). It has
    /// to exist when the job starts.
    pub fn topic(brokers: impl AsRef<str>, topic: impl Into<String>) -> Self {
        Self::new(brokers.as_ref(), TopicOf::Fixed(topic.into()))
    }

    /// Writes each record to the topic that it names: `KafkaSink::topic_by(brokers, |order: &Order|
    /// order.region.as_str())`. Topics are looked up when the first record comes; for one that does not
    /// exist, or may not be written to, see [`on_refused`](Self::on_refused).
    pub fn topic_by(
        brokers: impl AsRef<str>,
        topic: impl for<'a> Fn(&'a F::Record) -> &'a str + Send + Sync + 'static,
    ) -> Self {
        Self::topic_with(brokers, move |record, out| out.push_str(topic(record)))
    }

    /// As [`topic_by`](Self::topic_by), for names that are made: appends the name to an empty text.
    pub fn topic_with(
        brokers: impl AsRef<str>,
        topic: impl Fn(&F::Record, &mut String) + Send + Sync + 'static,
    ) -> Self {
        Self::new(brokers.as_ref(), TopicOf::Each(Arc::new(topic)))
    }

    fn new(brokers: &str, topic: TopicOf<F::Record>) -> Self {
        let settings = Settings::new(brokers);
        Self {
            shape: Shape::new(topic),
            options: Options { settings, exactly_once: true, transaction_timeout: TRANSACTION_TIMEOUT, shards: 1 },
            format: PhantomData,
        }
    }

    /// The key, where it is part of the record: `.key(|total: &Total| total.word.as_bytes())`. Without
    /// one, records are spread over the partitions.
    #[must_use]
    pub fn key(self, key: impl for<'a> Fn(&'a F::Record) -> &'a [u8] + Send + Sync + 'static) -> Self {
        self.key_with(move |record, out| out.extend_from_slice(key(record)))
    }

    /// The key, appended to an empty buffer.
    #[must_use]
    pub fn key_with(mut self, key: impl Fn(&F::Record, &mut Vec<u8>) + Send + Sync + 'static) -> Self {
        self.shape.key = Some(Arc::new(move |record, out| {
            key(record, out);
            true
        }));
        self
    }

    /// The headers, added to none (KIP-82).
    #[must_use]
    pub fn headers(mut self, headers: impl Fn(&F::Record, &mut Headers) + Send + Sync + 'static) -> Self {
        self.shape.headers = Some(Arc::new(headers));
        self
    }

    /// The message's timestamp, in place of the record's event time. What lies at or before 1970 gets
    /// the time of writing, as do records without event time.
    #[must_use]
    pub fn timestamp(mut self, timestamp: impl Fn(&F::Record) -> Timestamp + Send + Sync + 'static) -> Self {
        self.shape.timestamp = Some(Arc::new(timestamp));
        self
    }

    /// Records for which this is true are written as a key without a value: in a compacted topic that
    /// removes what was written under the key before. The format is not asked then.
    #[must_use]
    pub fn tombstone(mut self, is_tombstone: impl Fn(&F::Record) -> bool + Send + Sync + 'static) -> Self {
        self.shape.tombstone = Some(Arc::new(is_tombstone));
        self
    }

    /// The partition of each record, in place of the partitioner's; `None` leaves it to that. One that
    /// the topic does not have: see [`on_refused`](Self::on_refused).
    #[must_use]
    pub fn partition(mut self, partition: impl Fn(&F::Record) -> Option<i32> + Send + Sync + 'static) -> Self {
        self.shape.partition = Some(Arc::new(partition));
        self
    }

    /// What to do with a record that does not fit; by default the job stops.
    #[must_use]
    pub fn on_refused(mut self, policy: OnRefused) -> Self {
        self.shape.on_refused = policy;
        self
    }

    /// Each record becomes visible once, when its checkpoint is complete. The default.
    #[must_use]
    pub fn exactly_once(mut self) -> Self {
        self.options.exactly_once = true;
        self
    }

    /// Each record becomes visible at once; after a failure some appear again. Without transactions.
    #[must_use]
    pub fn at_least_once(mut self) -> Self {
        self.options.exactly_once = false;
        self
    }

    /// After which time the broker aborts a transaction that nobody ended: 10 minutes by default. Should be
    /// more than the checkpoint interval and `checkpoint.timeout` together, and must be no more than the
    /// brokers' `transaction.max.timeout.ms` (15 minutes unless raised). Until then a job that is down holds
    /// back readers of committed records; what expired is written again from the log by the next start. Timestamps
    /// stay as they were then, except in a topic with `message.timestamp.type=LogAppendTime`, where brokers set them.
    #[must_use]
    pub fn transaction_timeout(mut self, timeout: Duration) -> Self {
        self.options.transaction_timeout = timeout;
        self
    }

    /// How many transactions an epoch's records of one process go into, each through a producer of its own:
    /// 1 by default. For those whom one producer does not carry. The workers are dealt out among them; the
    /// transactions are committed one right after the other, so that for a moment readers may see the records
    /// of some workers only. Sinks that share a transaction need the same number.
    #[must_use]
    pub fn shards(mut self, shards: usize) -> Self {
        self.options.shards = shards;
        self
    }

    /// Sets an option of librdkafka's producer. Those that exactly-once rests on are refused with a
    /// `Config` error when the job starts. Sinks that share a transaction need the same options.
    ///
    /// What librdkafka cannot do (recovery, checks at the start, the commands about transactions) is done by
    /// connections beside it, which heed the same options: those of [`Security`](super::Security), `client.id`,
    /// `broker.address.family`, `socket.timeout.ms` (the time for one request, 10 s unless set) and
    /// `socket.connection.setup.timeout.ms` (the time for TCP and TLS, 5 s unless set). Others that change how
    /// brokers are reached, and cannot be heeded there, are refused: `client.dns.lookup`, unless it is
    /// `use_all_dns_ips`, and `plugin.library.paths`. Options that only tune librdkafka are free.
    #[must_use]
    pub fn set(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.settings.set(key.into(), value.into());
        self
    }
}

impl KafkaSink<DeadLetters> {
    /// Writes undecodable records as they were read: value, key, headers and timestamp, and beside them
    /// the headers `staunch.error`, `staunch.origin.topic`, `staunch.origin.partition` and
    /// `staunch.origin.offset` (as Kafka Connect does, KIP-298). They belong to the same transaction as
    /// the output of the good ones.
    ///
    /// ```no_run
    /// use staunch::connectors::format::{DeadLetters, Json, Try, Undecodable};
    /// use staunch::connectors::kafka::{KafkaSink, KafkaSource};
    /// use staunch::{Flow, operator, pipeline, sink, source};
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # pub struct Order { cents: u64 }
    ///
    /// #[source]
    /// pub fn orders() -> KafkaSource<Try<Json<Order>>> { KafkaSource::topic("localhost:9092", "orders") }
    ///
    /// #[operator]
    /// pub fn good(order: Result<Order, Undecodable>) -> Result<Order, Undecodable> { order }
    ///
    /// #[sink]
    /// pub fn bad() -> KafkaSink<DeadLetters> { KafkaSink::dead_letters("localhost:9092", "orders-bad") }
    /// # #[sink]
    /// # pub fn totals() -> KafkaSink<Json<Order>> { KafkaSink::topic("localhost:9092", "totals") }
    ///
    /// #[pipeline]
    /// pub fn billing(flow: &Flow<()>) {
    ///     let (orders, undecodable) = good::on(orders::open(flow));
    ///     bad::write(undecodable);
    ///     totals::write(orders);
    /// }
    /// # fn main() {}
    /// ```
    pub fn dead_letters(brokers: impl AsRef<str>, topic: impl Into<String>) -> Self {
        let mut sink = Self::topic(brokers, topic).headers(|letter: &Failed<Undecodable>, headers| {
            let Undecodable { error, origin, headers: own, .. } = &letter.error;
            for (name, value) in own {
                match value {
                    Some(value) => headers.add(name, value),
                    None => headers.add_null(name),
                };
            }
            headers
                .add("staunch.error", error)
                .add("staunch.origin.topic", &*origin.source)
                .add("staunch.origin.partition", origin.partition.to_string())
                .add("staunch.origin.offset", origin.offset.to_string());
        });
        sink.shape.key = Some(Arc::new(|letter, out| {
            out.extend_from_slice(letter.error.key.as_deref().unwrap_or_default());
            letter.error.key.is_some()
        }));
        sink
    }
}

impl<F: Format> Sink for KafkaSink<F> {
    type Record = F::Record;
    type Participant = KafkaParticipant;
    type Writer = KafkaWriter<F>;

    fn describe(&self) -> String {
        let safety = if self.options.exactly_once { "exactly once" } else { "at least once" };
        match &self.shape.topic {
            TopicOf::Fixed(topic) => format!("kafka topic {topic}, {safety}"),
            TopicOf::Each(_) => format!("kafka topics named by the records, {safety}"),
        }
    }

    fn participant(&self, _id: &str) -> String {
        let form = if self.options.exactly_once { "kafka" } else { "kafka-at-least-once" };
        format!("{form}:{}", self.options.settings.brokers)
    }

    fn key_of(&self, record: &F::Record) -> Option<Vec<u8>> {
        let mut key = Vec::new();
        let append = self.shape.key.as_ref()?;
        append(record, &mut key).then_some(key)
    }

    fn delivery(&self) -> Delivery {
        if self.options.exactly_once { Delivery::KafkaTransactions } else { Delivery::AtLeastOnce }
    }

    fn transactions(&self) -> Result<Option<Box<dyn TransactionTool>>> {
        let tool = || KafkaTransactions::new(&self.options.settings).map(|tool| Box::new(tool) as Box<_>);
        self.options.exactly_once.then(tool).transpose()
    }

    fn open(&self, context: &SinkContext<'_>) -> Result<KafkaParticipant> {
        KafkaParticipant::open(self.options.clone(), context).map_err(|error| error.at(context.participant))
    }

    fn writer(&self, participant: &mut KafkaParticipant, context: &WriterContext<'_>) -> Result<KafkaWriter<F>> {
        participant
            .writer(self.shape.clone(), &self.options, context)
            .map_err(|error| error.at(format_args!("sink {}", context.id)))
    }
}
