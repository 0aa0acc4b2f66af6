//! What is asked at the start of a reader, which may wait: each question has a time limit.

#![expect(clippy::disallowed_methods, reason = "deadlines of real brokers, threads of real clients")]

use super::log::Context;
use super::position;
use super::raw::{Answer, Found, Questions, Which};
use super::start::{Split, Topic};
use crate::api::source::SplitPosition;
use crate::connectors::format::Format;
use crate::connectors::kafka::KafkaSource;
use crate::error::{Error, ErrorKind, Result};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::HashMap;
use std::ffi::CString;
use std::time::{Duration, Instant};

/// How long the brokers have to answer a question at the start.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// The pause before a question is asked again.
const PAUSE: Duration = Duration::from_millis(400);
/// By topic's number and partition.
pub(super) type Offsets = HashMap<(usize, i32), i64>;

/// What the brokers know of the topics, in the source's order: no less than a checkpoint with these positions.
pub(super) fn describe<F: Format>(
    questions: &Questions,
    source: &KafkaSource<F>,
    restored: &[SplitPosition],
) -> Result<Vec<Topic>> {
    let names: Vec<&str> = source.topics.iter().map(String::as_str).collect();
    let deadline = Instant::now() + ANSWER_WITHIN;
    let mut is_doubted = true;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        questions.describe(&names, left);
        let found = match questions.wait(left + PAUSE) {
            Some(Answer::Topics(Ok(found))) => found,
            Some(Answer::Topics(Err(why))) => return Err(unheard(source).caused_by(why)),
            _ => return Err(unheard(source)),
        };
        // A broker that has just started may not know its topics yet.
        if found.iter().any(|topic| topic.error.is_some()) && is_doubted {
            is_doubted = false;
            std::thread::sleep(PAUSE);
            continue;
        }
        let topics: Vec<Topic> = names.iter().map(|name| described(name, &found)).collect::<Result<_>>()?;
        let mut unheard_of = topics.iter().filter_map(|topic| {
            position::unheard_of(restored, &topic.name, topic.id.as_deref(), topic.partitions).map(str::to_owned)
        });
        match unheard_of.next() {
            None => return Ok(topics),
            // Another broker may know, or this one soon.
            Some(_) if deadline.saturating_duration_since(Instant::now()) > PAUSE => std::thread::sleep(PAUSE),
            Some(split) => {
                let message = format!(
                    "the brokers do not tell of {split}, which they did before the checkpoint, and its topic is still \
                     the same: have they heard of all partitions?"
                );
                return Err(Error::new(ErrorKind::Source, message));
            }
        }
    }
}

fn unheard<F: Format>(source: &KafkaSource<F>) -> Error {
    let message = format!(
        "no broker of {} told about {} within {} s: check the address and that Kafka is up",
        source.settings.brokers,
        source.topics.join(", "),
        ANSWER_WITHIN.as_secs()
    );
    Error::new(ErrorKind::Source, message)
}

fn described(name: &str, found: &[Found]) -> Result<Topic> {
    let failed = |message: String| Err(Error::new(ErrorKind::Source, message));
    let Some(found) = found.iter().find(|found| found.name == name) else {
        return failed(format!("the brokers said nothing about the topic {name}"));
    };
    match found.error {
        None => {}
        Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
            return failed(format!("this user may not describe the topic {name}: allow it Describe and Read"));
        }
        Some(error) => return failed(format!("the topic {name} does not exist ({error}): create it, or fix its name")),
    }
    let name_c = CString::new(name).map_err(|error| Error::new(ErrorKind::Config, "a NUL").caused_by(error))?;
    Ok(Topic { name: name.into(), name_c, id: found.id.clone(), partitions: found.partitions })
}

/// What a group has committed of these partitions.
pub(super) fn committed(consumer: &BaseConsumer<Context>, topics: &[Topic], splits: &[&Split]) -> Result<Offsets> {
    let failed = |error: KafkaError| {
        Error::new(ErrorKind::Source, "Kafka did not tell what the group of StartAt::Group committed").caused_by(error)
    };
    let list = listed(topics, splits.iter().copied());
    let answer = consumer.committed_offsets(list, ANSWER_WITHIN).map_err(failed)?;
    let mut offsets = HashMap::new();
    for split in splits {
        let found = answer.find_partition(&topics[split.topic].name, split.partition);
        if let Some(Offset::Offset(offset)) = found.map(|entry| entry.offset()) {
            offsets.insert((split.topic, split.partition), offset);
        }
    }
    Ok(offsets)
}

fn listed<'a>(topics: &[Topic], splits: impl Iterator<Item = &'a Split>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for split in splits {
        list.add_partition(&topics[split.topic].name, split.partition);
    }
    list
}

/// Asks for offsets.
pub(super) struct Asking<'a> {
    pub questions: &'a Questions,
    pub topics: &'a [Topic],
    pub brokers: &'a str,
}

impl Asking<'_> {
    /// An offset of each split; repeats until all leaders have answered.
    pub fn offsets(&self, splits: &[&Split], which: Which, committed: bool) -> Result<Offsets> {
        let deadline = Instant::now() + ANSWER_WITHIN;
        let mut offsets = HashMap::new();
        let (mut asked, mut trouble) = (false, "no answer".to_owned());
        loop {
            let missing = splits.iter().copied();
            let missing = missing.filter(|split| !offsets.contains_key(&(split.topic, split.partition)));
            let list = listed(self.topics, missing);
            if list.count() == 0 {
                return Ok(offsets);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left < PAUSE {
                let message =
                    format!("Kafka at {} did not tell the offsets of {list:?}: are the leaders up?", self.brokers);
                return Err(Error::new(ErrorKind::Source, message).caused_by(trouble));
            }
            if asked {
                std::thread::sleep(PAUSE);
            }
            asked = true;
            self.questions.offsets(&list, which, committed, left);
            match self.questions.wait(left) {
                Some(Answer::Offsets(Ok(found))) => {
                    for (topic, partition, offset) in found {
                        match (self.topics.iter().position(|known| *known.name == *topic), offset) {
                            (Some(topic), Ok(offset)) => _ = offsets.insert((topic, partition), offset),
                            (_, Err(error)) => trouble = format!("{topic}/{partition}: {error}"),
                            (None, _) => {}
                        }
                    }
                }
                Some(Answer::Offsets(Err(why))) => trouble = why,
                _ => {}
            }
        }
    }
}
