//! [`KafkaSink`]: what to write, and how safely. Nothing connects here.

use super::participant::{KafkaParticipant, Options};
use super::settings::Settings;
use super::writer::{KafkaWriter, KeyOf};
use crate::api::sink::{Sink, SinkContext, WriterContext};
use crate::connectors::format::Format;
use crate::error::Result;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// How long a transaction may stay undecided, unless said otherwise. It has to cover the checkpoint
/// interval, the checkpoint's own time and, for now, the time that a job may be down.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(600);

/// Writes one topic; exactly once unless said otherwise.
///
/// All exactly-once Kafka sinks of a job that name the same brokers share one transaction per
/// checkpoint: their outputs become visible together, to readers with `isolation.level=read_committed`.
/// The record's event time becomes the Kafka timestamp; a record without one, or with one at or before
/// 1970, gets the time of writing. The partition follows from the key as with Java clients (murmur2).
///
/// ```no_run
/// use staunch::connectors::format::Json;
/// use staunch::connectors::kafka::KafkaSink;
/// use std::time::Duration;
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Total {
///     customer: String,
///     cents: u64,
/// }
///
/// let totals = KafkaSink::<Json<Total>>::topic("localhost:9092", "totals")
///     .key(|total| total.customer.as_bytes())
///     .transaction_timeout(Duration::from_secs(300))
///     .set("compression.type", "zstd");
/// ```
pub struct KafkaSink<F: Format> {
    topic: String,
    options: Options,
    key: KeyOf<F::Record>,
    format: PhantomData<fn() -> F>,
}

impl<F: Format> KafkaSink<F> {
    /// Writes to this topic of the cluster with these bootstrap brokers (`host:port,host:port`).
    pub fn topic(brokers: impl AsRef<str>, topic: impl Into<String>) -> Self {
        let settings = Settings::new(brokers.as_ref());
        Self {
            topic: topic.into(),
            options: Options { settings, exactly_once: true, transaction_timeout: TRANSACTION_TIMEOUT, shards: 1 },
            key: Arc::new(|_, _| false),
            format: PhantomData,
        }
    }

    /// The key, where it is part of the record: `.key(|total: &Total| total.word.as_bytes())`. Without
    /// one, records are spread over the partitions.
    #[must_use]
    pub fn key(mut self, key: impl for<'a> Fn(&'a F::Record) -> &'a [u8] + Send + Sync + 'static) -> Self {
        self.key = Arc::new(move |record, out| {
            out.extend_from_slice(key(record));
            true
        });
        self
    }

    /// The key, appended to an empty buffer.
    #[must_use]
    pub fn key_with(mut self, key: impl Fn(&F::Record, &mut Vec<u8>) + Send + Sync + 'static) -> Self {
        self.key = Arc::new(move |record, out| {
            key(record, out);
            true
        });
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

    /// After which time the broker aborts a transaction that nobody ended: 10 minutes by default. Must
    /// be more than the checkpoint interval plus the longest time the job may be down, and no more
    /// than the brokers' `transaction.max.timeout.ms` (15 minutes unless raised).
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
    #[must_use]
    pub fn set(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.settings.set(key.into(), value.into());
        self
    }
}

impl<F: Format> Sink for KafkaSink<F> {
    type Record = F::Record;
    type Participant = KafkaParticipant;
    type Writer = KafkaWriter<F>;

    fn describe(&self) -> String {
        let safety = if self.options.exactly_once { "exactly once" } else { "at least once" };
        format!("kafka topic {}, {safety}", self.topic)
    }

    fn participant(&self, _id: &str) -> String {
        let form = if self.options.exactly_once { "kafka" } else { "kafka-at-least-once" };
        format!("{form}:{}", self.options.settings.brokers)
    }

    fn key_of(&self, record: &F::Record) -> Option<Vec<u8>> {
        let mut key = Vec::new();
        (self.key)(record, &mut key).then_some(key)
    }

    fn open(&self, context: &SinkContext<'_>) -> Result<KafkaParticipant> {
        KafkaParticipant::open(self.options.clone(), context).map_err(|error| error.at(context.participant))
    }

    fn writer(&self, participant: &mut KafkaParticipant, context: &WriterContext<'_>) -> Result<KafkaWriter<F>> {
        participant
            .writer(&self.topic, &self.options, self.key.clone(), context)
            .map_err(|error| error.at(format_args!("sink {}", context.id)))
    }
}
