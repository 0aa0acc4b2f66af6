//! Opens a worker's consumer, reading from where its partitions begin. All questions to the brokers have a
//! time limit.

#![expect(clippy::disallowed_methods, reason = "deadlines of real brokers, threads of real clients")]

use super::ask::{Asking, committed, describe};
use super::log::Context;
use super::place::{Planned, Start, own_splits, place};
use super::position::{self, Position};
use super::raw::{self, Questions, tokens};
use super::source::{OnLostOffsets, StartAt};
use crate::api::source::{ReaderContext, SplitPosition};
use crate::connectors::format::Format;
use crate::connectors::kafka::KafkaSource;
use crate::error::{Error, ErrorKind, Result};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::sync::Arc;
use std::time::{Duration, Instant};
use xxhash_rust::xxh3::xxh3_64;

/// How long it may take until librdkafka has begun to check positions against the leaders' epochs.
const SEEK_WITHIN: Duration = Duration::from_secs(5);

/// librdkafka's defaults that do not suit a job: it waits up to a second before it fetches again
/// when its queue was full, and 64 KiB of records are little for a worker.
const DEFAULTS: &[(&str, &str)] = &[
    ("fetch.queue.backoff.ms", "1"),
    ("queued.min.messages", "100000"),
    ("fetch.wait.max.ms", "100"),
    // As the Java client does: a batch that was damaged on a disk or on its way is not taken for input.
    ("check.crcs", "true"),
];

const DECIDED: &[(&str, &str)] = &[
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "error"),
    ("allow.auto.create.topics", "false"),
    ("enable.partition.eof", "true"),
];

fn owned(key: &str) -> Option<&'static str> {
    match key {
        "enable.auto.commit" | "auto.commit.enable" | "auto.commit.interval.ms" | "enable.auto.offset.store" => {
            Some("offsets are kept in checkpoints")
        }
        "auto.offset.reset" => Some("use .start(StartAt::..) and .on_lost_offsets(..)"),
        "isolation.level" => Some("only committed records are read, unless .read_uncommitted() is said"),
        "enable.partition.eof" => Some("use .bounded()"),
        "group.id" => Some("no group reads; see StartAt::Group and .commit_offsets_to_group(..)"),
        key if key.starts_with("group.") || key.starts_with("partition.assignment") => {
            Some("partitions belong to workers by their number, without a consumer group")
        }
        _ => None,
    }
}

/// A topic of the source.
#[derive(Debug)]
pub(super) struct Topic {
    pub name: Arc<str>,
    pub name_c: CString,
    pub id: Option<String>,
    pub partitions: i32,
}

/// One partition of a reader.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Split {
    /// The topic's number in the source.
    pub topic: usize,
    pub partition: i32,
    pub position: Position,
    pub finished: bool,
    /// Its position is not in the log any more, and another one is being asked for.
    pub lost: bool,
}

/// What a reader starts with.
pub(super) struct Opened {
    /// Reading.
    pub consumer: Arc<BaseConsumer<Context>>,
    pub questions: Questions,
    pub topics: Vec<Topic>,
    pub splits: Vec<Split>,
}

/// Which worker reads a partition: those of a topic in turn, each topic beginning with another worker.
pub(super) fn is_owner(topic: &str, partition: i32, worker: usize, workers: usize) -> bool {
    let first = xxh3_64(topic.as_bytes()) % workers as u64;
    (first + u64::from(partition.unsigned_abs())) % workers as u64 == worker as u64
}

/// The consumer of a worker's partitions, reading, and the partitions in ascending order.
pub(super) fn open<F: Format>(source: &KafkaSource<F>, context: &ReaderContext<'_>) -> Result<Opened> {
    check_names(source)?;
    let config = |group: &str| {
        let mut config = source.settings.client(DEFAULTS, DECIDED, owned)?;
        let isolation = if source.committed_only { "read_committed" } else { "read_uncommitted" };
        config.set("group.id", group).set("isolation.level", isolation);
        Ok::<_, Error>(config)
    };
    let mut consumer = create(&config(&format!("staunch-{}-{}", context.job, context.id))?)?;
    let (wake, wake_too) = (context.waker.clone(), context.waker.clone());
    consumer.set_nonempty_callback(move || wake.wake());
    let consumer = Arc::new(consumer);
    let questions = Questions::of_consumer(&consumer, move || wake_too.wake());
    let restored = context.restored.unwrap_or_default();
    let topics = describe(&questions, source, restored)?;
    position::check_topics(restored, &source.topics)?;
    for topic in &topics {
        check_vanished(source, restored, topic)?;
    }
    if let (StartAt::Explicit(offsets), None) = (&source.start, context.restored) {
        check_explicit(offsets, &topics)?;
    }
    let mut splits = own_splits(source, context, &topics)?;
    let start = match (&source.start, context.restored) {
        (StartAt::Group(group), None) => {
            let splits: Vec<&Split> = splits.iter().map(|planned| &planned.split).collect();
            Start::Group(committed(&create(&config(group)?)?, &topics, &splits)?)
        }
        (start, None) => Start::Said(start),
        // A partition that was added since.
        (_, Some(_)) => Start::Said(&StartAt::Earliest),
    };
    let asking = Asking { questions: &questions, topics: &topics, brokers: &source.settings.brokers };
    place(source, &asking, &mut splits, &start)?;
    assign(&consumer, &topics, &splits)?;
    let splits = splits.into_iter().map(|planned| planned.split).collect();
    Ok(Opened { consumer, questions, topics, splits })
}

fn check_names<F: Format>(source: &KafkaSource<F>) -> Result<()> {
    let config = |message: String| Err(Error::new(ErrorKind::Config, message));
    let topics = &source.topics;
    if topics.is_empty() {
        return config("the Kafka source has no topic".to_owned());
    }
    if let Some(topic) = topics.iter().find(|topic| topic.is_empty() || topic.contains(['\0', '/'])) {
        return config(format!("{topic:?} is no name of a topic"));
    }
    if let Some((_, twice)) = topics.iter().enumerate().find(|(number, topic)| topics[..*number].contains(topic)) {
        return config(format!("the Kafka source lists the topic {twice} twice"));
    }
    Ok(())
}

/// Refuses offsets to start at that no partition of the source has, or that are none.
fn check_explicit(offsets: &BTreeMap<(String, i32), i64>, topics: &[Topic]) -> Result<()> {
    for ((name, partition), offset) in offsets {
        let why = match topics.iter().find(|topic| *topic.name == **name) {
            None => "the source does not read that topic".to_owned(),
            Some(topic) if !(0..topic.partitions).contains(partition) => {
                format!("the topic's partitions are 0 to {}", topic.partitions - 1)
            }
            Some(_) if *offset < 0 => {
                "offsets begin with 0; leave a partition out to read it from the beginning".to_owned()
            }
            Some(_) => continue,
        };
        let message = format!("StartAt::Explicit names {name}/{partition} offset {offset}: {why}");
        return Err(Error::new(ErrorKind::Config, message));
    }
    Ok(())
}

fn create(config: &ClientConfig) -> Result<BaseConsumer<Context>> {
    let consumer: BaseConsumer<Context> = config.create_with_context(Context::default()).map_err(|error| {
        Error::new(ErrorKind::Config, "librdkafka refuses the options of the Kafka source; see .set(..)")
            .caused_by(error)
    })?;
    tokens::renew(consumer.client()).map_err(|why| {
        Error::new(ErrorKind::Source, "librdkafka cannot renew the tokens of OAUTHBEARER").caused_by(why)
    })?;
    Ok(consumer)
}

fn check_vanished<F: Format>(source: &KafkaSource<F>, restored: &[SplitPosition], topic: &Topic) -> Result<()> {
    for split in position::vanished(restored, &topic.name, topic.partitions) {
        lost(source, split, "the topic has no such partition any more: it was deleted and created again")?;
    }
    Ok(())
}

/// Warns of a loss, or returns it as the error that stops the job.
pub(super) fn lost<F: Format>(source: &KafkaSource<F>, split: &str, why: impl std::fmt::Display) -> Result<()> {
    match source.on_lost_offsets {
        OnLostOffsets::Stop => {
            let message = format!(
                "reading cannot go on at {split}: {why}. Say with .on_lost_offsets(OnLostOffsets::Earliest) or Latest \
                 where to go on without the lost records, or start anew with a new checkpoint store"
            );
            Err(Error::new(ErrorKind::Checkpoint, message))
        }
        policy => {
            tracing::warn!(target: "staunch::kafka", split, ?policy, "records are lost: {why}");
            Ok(())
        }
    }
}

/// Where to read these splits from, as librdkafka wants to be told.
pub(super) fn positions<'a>(
    topics: &[Topic],
    splits: impl Iterator<Item = &'a Split>,
) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::new();
    for split in splits {
        let topic = &topics[split.topic];
        list.add_partition_offset(&topic.name, split.partition, Offset::Offset(split.position.offset))?;
        if let Some(epoch) = split.position.leader_epoch {
            raw::set_leader_epoch(&list, &topic.name_c, split.partition, epoch);
        }
    }
    Ok(list)
}

fn assign(consumer: &BaseConsumer<Context>, topics: &[Topic], splits: &[Planned]) -> Result<()> {
    let failed = |error: KafkaError| {
        Error::new(ErrorKind::Source, "librdkafka does not read from the positions that it was given").caused_by(error)
    };
    let unfinished = || splits.iter().map(|planned| &planned.split).filter(|split| !split.finished);
    consumer.assign(&positions(topics, unfinished()).map_err(failed)?).map_err(failed)?;
    // librdkafka compares a position's epoch with the leader's log only when it seeks there: without
    // this, a log that was cut back while the job was down, and has grown since, would go unnoticed.
    let deadline = Instant::now() + SEEK_WITHIN;
    let checked = || unfinished().filter(|split| split.position.leader_epoch.is_some());
    let mut list = positions(topics, checked()).map_err(failed)?;
    while list.count() > 0 {
        let answer = consumer.seek_partitions(list, SEEK_WITHIN).map_err(failed)?;
        let refused = answer.elements().iter().find_map(|entry| entry.error().err());
        match refused {
            None => break,
            // It has not begun to read yet.
            Some(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
            Some(error) => return Err(failed(error)),
        }
        list = positions(topics, checked()).map_err(failed)?;
    }
    Ok(())
}
