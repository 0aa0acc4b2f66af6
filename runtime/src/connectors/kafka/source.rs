//! [`KafkaSource`]: what to read, and from where. Nothing connects here.

use super::reader::KafkaReader;
use super::settings::Settings;
use crate::api::source::{EventTime, ReaderContext, Source};
use crate::connectors::format::{Format, OnBadRecord};
use crate::error::Result;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::time::Duration;

/// How often a source looks for new partitions, unless said otherwise.
const DISCOVER_EVERY: Duration = Duration::from_secs(30);

/// Where a partition is read from at the source's first start. Later starts go on where the checkpoint ended.
///
/// A partition that is added to the topic afterwards is read from its beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StartAt {
    /// The oldest record that is still there.
    #[default]
    Earliest,
    /// What is written from now on; of transactions, those that are not decided yet.
    Latest,
    /// The first record of this time (milliseconds since 1970) or later; without one, as `Latest`.
    Timestamp(i64),
    /// What the consumer group with this name has committed, for instance by another program that read
    /// the topic before; partitions that it has not committed are read from the beginning.
    Group(String),
    /// These offsets, by topic and partition; partitions that are not named are read from the beginning. A topic or
    /// partition that the source does not have is a `Config` error.
    ///
    /// ```
    /// # use staunch::connectors::kafka::StartAt;
    /// let start = StartAt::Explicit([(("orders".into(), 0), 95), (("orders-old".into(), 3), 1_200)].into());
    /// ```
    Explicit(BTreeMap<(String, i32), i64>),
}

/// What a source does when it cannot go on where it stood: records were removed by retention before
/// they were read, the log was cut back (an unclean leader election, noticed as in KIP-320), the topic
/// was deleted and created again (noticed by its id, KIP-516), or an offset to start at is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnLostOffsets {
    /// Stops the job, and says what was lost.
    #[default]
    Stop,
    /// Goes on with the oldest record that is there, and warns.
    Earliest,
    /// Goes on with what is written from now on, and warns.
    Latest,
}

/// Reads topics, exactly once: only what is committed, from the positions of the restored checkpoint.
///
/// The partitions of a topic belong to the workers in turn. A record's time is its Kafka timestamp
/// unless [`event_time`](Self::event_time) says otherwise. No consumer group is used: offsets are kept in
/// checkpoints only.
///
/// Partitions that are added while the job runs are found and read from their beginning; those that are
/// added while it is down, too.
///
/// ```no_run
/// use staunch::connectors::format::{Json, OnBadRecord};
/// use staunch::connectors::kafka::{KafkaSource, OnLostOffsets, StartAt};
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Order {
///     customer: String,
///     cents: u64,
/// }
///
/// let orders = KafkaSource::<Json<Order>>::topics("localhost:9092", ["orders", "orders-old"])
///     .start(StartAt::Group("billing".into()))
///     .on_lost_offsets(OnLostOffsets::Earliest)
///     .on_bad_record(OnBadRecord::Skip)
///     .commit_offsets_to_group("billing-lag")
///     .set("fetch.message.max.bytes", "4194304");
/// ```
pub struct KafkaSource<F: Format> {
    pub(super) topics: Vec<String>,
    pub(super) settings: Settings,
    pub(super) start: StartAt,
    pub(super) bounded: bool,
    pub(super) committed_only: bool,
    pub(super) on_lost_offsets: OnLostOffsets,
    pub(super) discover_every: Duration,
    pub(super) group: Option<String>,
    pub(super) on_bad_record: OnBadRecord,
    event_time: Option<EventTime<F::Record>>,
    format: PhantomData<fn() -> F>,
}

impl<F: Format> KafkaSource<F> {
    /// Reads this topic of the cluster with these bootstrap brokers (`host:port,host:port`).
    pub fn topic(brokers: impl AsRef<str>, topic: impl Into<String>) -> Self {
        Self::topics(brokers, [topic])
    }

    /// Reads several topics as one stream; all have to exist.
    pub fn topics<T: Into<String>>(brokers: impl AsRef<str>, topics: impl IntoIterator<Item = T>) -> Self {
        Self {
            topics: topics.into_iter().map(Into::into).collect(),
            settings: Settings::new(brokers.as_ref()),
            start: StartAt::default(),
            bounded: false,
            committed_only: true,
            on_lost_offsets: OnLostOffsets::default(),
            discover_every: DISCOVER_EVERY,
            group: None,
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

    /// Ends at what each partition holds at the first start with this: at its high watermark, waiting for
    /// transactions that are open below it. Partitions that are added later are not read. Where this is not
    /// said any more, a job that has ended goes on behind that end. A log that was cut back below the end is a
    /// loss, too: see [`on_lost_offsets`](Self::on_lost_offsets), by which it ends where the log does now.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        self.bounded = true;
        self
    }

    /// Reads records of transactions that are open, and of those that were aborted. What such records
    /// lead to is still written once, though they may never have been meant.
    #[must_use]
    pub fn read_uncommitted(mut self) -> Self {
        self.committed_only = false;
        self
    }

    /// What to do when records are gone that were to be read next; by default the job stops.
    #[must_use]
    pub fn on_lost_offsets(mut self, policy: OnLostOffsets) -> Self {
        self.on_lost_offsets = policy;
        self
    }

    /// How often to look for new partitions, and whether a topic is still the same: every 30 s by default. A
    /// bounded source reads no new partitions, and looks once more before it ends.
    #[must_use]
    pub fn discover_every(mut self, interval: Duration) -> Self {
        self.discover_every = interval;
        self
    }

    /// Commits the offsets of each completed checkpoint to this consumer group, so that tools that watch
    /// groups show how far the job has come. Only for them: the job itself never reads them, unless
    /// [`StartAt::Group`] names the group at a first start. No consumer may be a member of it.
    #[must_use]
    pub fn commit_offsets_to_group(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// How event time and watermarks are made from the records.
    #[must_use]
    pub fn event_time(mut self, event_time: EventTime<F::Record>) -> Self {
        self.event_time = Some(event_time);
        self
    }

    /// What to do with a record that cannot be decoded; by default the job stops. To keep them, read with
    /// the format [`Try`](crate::format::Try) and write what is undecodable to a sink of its own.
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
        let topics = if self.topics.len() == 1 { "topic" } else { "topics" };
        format!("kafka {topics} {}", self.topics.join(", "))
    }

    fn event_time(&self) -> Option<EventTime<F::Record>> {
        self.event_time.clone()
    }

    fn is_bounded(&self) -> bool {
        self.bounded
    }

    fn reader(&self, context: &ReaderContext<'_>) -> Result<KafkaReader<F>> {
        KafkaReader::open(self, context).map_err(|error| error.at(format_args!("source {}", context.id)))
    }
}
