//! [`KafkaSource`]: what to read, and from where. Nothing connects here.

use super::reader::KafkaReader;
use super::settings::Settings;
use crate::api::source::{EventTime, ReaderContext, Source};
use crate::connectors::format::{Format, OnBadRecord};
use crate::error::Result;
use std::collections::BTreeMap;
use std::marker::PhantomData;

/// Where a partition is read from at a job's first start. Later starts go on where the checkpoint ended.
///
/// A partition that was added to the topic after the checkpoint is read from its beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StartAt {
    /// The oldest record that is still there.
    #[default]
    Earliest,
    /// What is written from now on; of transactions, those that are not decided yet.
    Latest,
    /// The first record of this time (milliseconds since 1970) or later; without one, as `Latest`.
    Timestamp(i64),
    /// An offset for each partition; those that are not named are read from the beginning.
    Explicit(BTreeMap<i32, i64>),
}

/// Reads one topic, exactly once: only what is committed, from the positions of the restored checkpoint.
///
/// Partition `p` belongs to worker `p % workers`. A record's time is its Kafka timestamp unless
/// [`event_time`](Self::event_time) says otherwise. No consumer group is used: offsets are kept in
/// checkpoints only, and nothing is committed to Kafka.
///
/// ```no_run
/// use staunch::connectors::format::{Json, OnBadRecord};
/// use staunch::connectors::kafka::{KafkaSource, StartAt};
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Order {
///     customer: String,
///     cents: u64,
/// }
///
/// let orders = KafkaSource::<Json<Order>>::topic("localhost:9092", "orders")
///     .start(StartAt::Latest)
///     .on_bad_record(OnBadRecord::Skip)
///     .set("fetch.message.max.bytes", "4194304");
/// ```
pub struct KafkaSource<F: Format> {
    pub(super) topic: String,
    pub(super) settings: Settings,
    pub(super) start: StartAt,
    pub(super) bounded: bool,
    pub(super) on_bad_record: OnBadRecord,
    event_time: Option<EventTime<F::Record>>,
    format: PhantomData<fn() -> F>,
}

impl<F: Format> KafkaSource<F> {
    /// Reads this topic of the cluster with these bootstrap brokers (`host:port,host:port`).
    pub fn topic(brokers: impl AsRef<str>, topic: impl Into<String>) -> Self {
        Self {
            topic: topic.into(),
            settings: Settings::new(brokers.as_ref()),
            start: StartAt::default(),
            bounded: false,
            on_bad_record: OnBadRecord::default(),
            event_time: None,
            format: PhantomData,
        }
    }

    /// Where to begin at the first start; by default at the oldest record.
    #[must_use]
    pub fn start(mut self, start: StartAt) -> Self {
        self.start = start;
        self
    }

    /// Ends at what each partition holds at the first start: at its high watermark, waiting for
    /// transactions that are open below it.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        self.bounded = true;
        self
    }

    /// How event time and watermarks are made from the records.
    #[must_use]
    pub fn event_time(mut self, event_time: EventTime<F::Record>) -> Self {
        self.event_time = Some(event_time);
        self
    }

    /// What to do with a record that cannot be decoded; by default the job stops.
    #[must_use]
    pub fn on_bad_record(mut self, policy: OnBadRecord) -> Self {
        self.on_bad_record = policy;
        self
    }

    /// Sets an option of librdkafka's consumer. Those that concern groups, offsets and isolation are
    /// refused with a `Config` error when the job starts: exactly-once rests on them.
    #[must_use]
    pub fn set(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.set(key.into(), value.into());
        self
    }
}

impl<F: Format> Source for KafkaSource<F> {
    type Record = F::Record;
    type Reader = KafkaReader<F>;

    fn describe(&self) -> String {
        format!("kafka topic {}", self.topic)
    }

    fn event_time(&self) -> Option<EventTime<F::Record>> {
        self.event_time.clone()
    }

    fn reader(&self, context: &ReaderContext<'_>) -> Result<KafkaReader<F>> {
        KafkaReader::open(self, context).map_err(|error| error.at(format_args!("source {}", context.id)))
    }
}
