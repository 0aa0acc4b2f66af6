//! Opens a worker's consumer: which partitions are its own, where each begins, and where it ends if
//! the source is bounded. All questions to the brokers have a time limit.

use super::log::Context;
use super::position::{self, Position};
use super::raw;
use super::source::StartAt;
use crate::api::source::SplitPosition;
use crate::connectors::format::Format;
use crate::connectors::kafka::KafkaSource;
use crate::error::{Error, ErrorKind, Result};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::ffi::CString;
use std::time::Duration;

/// How long the brokers have to answer a question at the start.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// librdkafka's defaults that do not suit a job: it waits up to a second before it fetches again
/// when its queue was full, and 64 KiB of records are little for a worker.
const DEFAULTS: &[(&str, &str)] =
    &[("fetch.queue.backoff.ms", "1"), ("queued.min.messages", "100000"), ("fetch.wait.max.ms", "100")];

const DECIDED: &[(&str, &str)] = &[
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "error"),
    ("allow.auto.create.topics", "false"),
];

fn owned(key: &str) -> Option<&'static str> {
    match key {
        "enable.auto.commit" | "auto.commit.enable" | "auto.commit.interval.ms" | "enable.auto.offset.store" => {
            Some("offsets are kept in checkpoints")
        }
        "auto.offset.reset" => Some("use .start(StartAt::..)"),
        "isolation.level" => Some("only committed records are read"),
        "enable.partition.eof" => Some("use .bounded()"),
        key if key.starts_with("group.") || key.starts_with("partition.assignment") => {
            Some("partitions belong to workers by their number, without a consumer group")
        }
        _ => None,
    }
}

/// One partition of a reader.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Split {
    pub partition: i32,
    pub position: Position,
    pub finished: bool,
}

/// Which share of the topic is wanted.
pub(super) struct Share<'a> {
    pub group: String,
    pub worker: usize,
    pub workers: usize,
    pub restored: Option<&'a [SplitPosition]>,
}

/// The consumer of a worker's partitions, reading, and the partitions in ascending order.
pub(super) fn open<F: Format>(
    source: &KafkaSource<F>,
    share: &Share<'_>,
) -> Result<(BaseConsumer<Context>, Vec<Split>)> {
    let topic = CString::new(source.topic.as_str())
        .map_err(|_| Error::new(ErrorKind::Config, format!("the topic's name {:?} contains a NUL", source.topic)))?;
    let config = |isolation: &str| {
        let mut config = source.settings.client(DEFAULTS, DECIDED, owned)?;
        config.set("group.id", &share.group).set("isolation.level", isolation).set("enable.partition.eof", "true");
        Ok::<_, Error>(config)
    };
    let consumer = create(&config("read_committed")?)?;
    let count = partitions(&consumer, &source.topic, &source.settings.brokers)?;
    if let Some(restored) = share.restored {
        position::check_partitions(restored, &source.topic, count)?;
    }
    // Asks for high watermarks: a read_committed client is told the last stable offset instead.
    let mut asking = config("read_uncommitted")?;
    asking.remove("group.id");
    let uncommitted = if source.bounded { Some(create(&asking)?) } else { None };
    let questions = Questions { consumer: &consumer, uncommitted: uncommitted.as_ref(), topic: &source.topic };
    let mut splits = Vec::new();
    for partition in (0..count).filter(|&partition| partition as usize % share.workers == share.worker) {
        splits.push(questions.split(partition, source, share.restored)?);
    }
    assign(&consumer, &topic, &source.topic, &splits)?;
    Ok((consumer, splits))
}

fn create(config: &ClientConfig) -> Result<BaseConsumer<Context>> {
    config.create_with_context(Context::default()).map_err(|error| {
        Error::new(ErrorKind::Config, "librdkafka refuses the options of the Kafka source; see .set(..)")
            .caused_by(error)
    })
}

/// How many partitions the topic has.
fn partitions(consumer: &BaseConsumer<Context>, topic: &str, brokers: &str) -> Result<i32> {
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER_WITHIN).map_err(|error| {
        let message = format!(
            "no broker of {brokers} told about the topic {topic} within {} s: check the address and that Kafka is up",
            ANSWER_WITHIN.as_secs()
        );
        Error::new(ErrorKind::Source, message).caused_by(error)
    })?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let error = found.and_then(|found| found.error()).map(RDKafkaErrorCode::from);
    match (found, error) {
        (Some(found), None) if !found.partitions().is_empty() => Ok(found.partitions().len() as i32),
        (_, Some(RDKafkaErrorCode::TopicAuthorizationFailed)) => Err(Error::new(
            ErrorKind::Source,
            format!("this user may not describe the topic {topic}: allow it Describe and Read"),
        )),
        (_, error) => {
            let why = error.map(|error| format!(" ({error})")).unwrap_or_default();
            Err(Error::new(
                ErrorKind::Source,
                format!("the topic {topic} does not exist{why}: create it, or fix its name"),
            ))
        }
    }
}

struct Questions<'a> {
    consumer: &'a BaseConsumer<Context>,
    uncommitted: Option<&'a BaseConsumer<Context>>,
    topic: &'a str,
}

impl Questions<'_> {
    fn split<F: Format>(
        &self,
        partition: i32,
        source: &KafkaSource<F>,
        restored: Option<&[SplitPosition]>,
    ) -> Result<Split> {
        let known = restored.map_or(Ok(None), |restored| position::find(restored, self.topic, partition))?;
        let (low, stable) = self.watermarks(self.consumer, partition)?;
        let mut position = match known {
            Some((position, finished)) if finished => return Ok(Split { partition, position, finished }),
            Some((position, _)) => self.check_range(partition, position, low)?,
            None => {
                let first_start = restored.is_none();
                let start = if first_start { &source.start } else { &StartAt::Earliest };
                let offset = self.first(partition, start, low, stable)?;
                Position { offset, leader_epoch: None, end: None }
            }
        };
        match self.uncommitted {
            Some(uncommitted) if position.end.is_none() => {
                position.end = Some(self.watermarks(uncommitted, partition)?.1);
            }
            Some(_) => {}
            None => position.end = None,
        }
        let finished = position.end.is_some_and(|end| position.offset >= end);
        Ok(Split { partition, position, finished })
    }

    /// A partition's oldest offset, and its end as this client sees it.
    fn watermarks(&self, client: &BaseConsumer<Context>, partition: i32) -> Result<(i64, i64)> {
        client.fetch_watermarks(self.topic, partition, ANSWER_WITHIN).map_err(|error| self.unanswered(partition, error))
    }

    fn check_range(&self, partition: i32, position: Position, low: i64) -> Result<Position> {
        if position.offset >= low {
            return Ok(position);
        }
        let message = format!(
            "{}/{partition}: the checkpoint goes on at offset {}, but the oldest record left is {low}: retention removed \
             {} offsets that were never read. Start anew with a new checkpoint store, and keep records longer",
            self.topic,
            position.offset,
            low - position.offset
        );
        Err(Error::new(ErrorKind::Source, message))
    }

    fn first(&self, partition: i32, start: &StartAt, low: i64, stable: i64) -> Result<i64> {
        match start {
            StartAt::Earliest => Ok(low),
            StartAt::Latest => Ok(stable),
            StartAt::Explicit(offsets) => Ok(offsets.get(&partition).copied().unwrap_or(low)),
            StartAt::Timestamp(ms) => {
                let mut times = TopicPartitionList::new();
                times
                    .add_partition_offset(self.topic, partition, Offset::Offset(*ms))
                    .map_err(|error| self.unanswered(partition, error))?;
                let found = self
                    .consumer
                    .offsets_for_times(times, ANSWER_WITHIN)
                    .map_err(|error| self.unanswered(partition, error))?;
                match found.find_partition(self.topic, partition).map(|entry| entry.offset()) {
                    Some(Offset::Offset(offset)) if offset >= 0 => Ok(offset),
                    _ => Ok(stable),
                }
            }
        }
    }

    fn unanswered(&self, partition: i32, error: KafkaError) -> Error {
        let message = format!("Kafka did not tell the offsets of {}/{partition}: is its leader up?", self.topic);
        Error::new(ErrorKind::Source, message).caused_by(error)
    }
}

fn assign(consumer: &BaseConsumer<Context>, topic: &CString, name: &str, splits: &[Split]) -> Result<()> {
    let failed = |error: KafkaError| {
        Error::new(ErrorKind::Source, format!("cannot read from the positions of {name}")).caused_by(error)
    };
    let mut list = TopicPartitionList::new();
    for split in splits.iter().filter(|split| !split.finished) {
        list.add_partition_offset(name, split.partition, Offset::Offset(split.position.offset)).map_err(failed)?;
        if let Some(epoch) = split.position.leader_epoch {
            raw::set_leader_epoch(&list, topic, split.partition, epoch);
        }
    }
    consumer.assign(&list).map_err(failed)
}
