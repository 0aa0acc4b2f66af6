//! What a reader asks the brokers while it reads, without waiting: whether its topics are still the
//! same and have new partitions, and where a partition begins that is new or was lost.

#![expect(clippy::disallowed_methods, reason = "deadlines of real brokers, threads of real clients")]

use super::log::Errors;
use super::raw::{Answer, Found, FoundOffset, Questions, Which};
use super::source::OnLostOffsets;
use super::start::{Split, Topic, is_owner};
use super::wanted::{Placed, Queue, Wanted};
use crate::api::source::SplitPosition;
use crate::connectors::kafka::position::parse_split;
use crate::error::{Error, ErrorKind, Result};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use std::ffi::CString;
use std::time::{Duration, Instant};

/// How long the brokers have to answer before they are asked again.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long a reader that is closed waits for the answer about what it committed last.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);
/// The pause before an offset that was not told is asked for again.
const PAUSE: Duration = Duration::from_secs(1);

/// The look at the topics when all of them is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LastLook {
    Wanted,
    Asked,
    /// They are the same as in the beginning.
    Done,
}

/// See the module.
pub(super) struct Watch {
    questions: Questions,
    worker: (usize, usize),
    /// Where offsets of checkpoints are committed to.
    group: Option<CString>,
    every: Duration,
    /// Whether partitions that are added are read.
    grows: bool,
    due: Instant,
    describing: bool,
    last_look: LastLook,
    /// Not before then.
    last_look_at: Instant,
    /// The topics that were said not to exist when last asked about: it has to be said twice.
    missing: Vec<usize>,
    wanted: Queue,
    ask_at: Instant,
    /// Answers under way, and how many of them are about what was committed.
    open: usize,
    committing: usize,
    errors: Errors,
}

impl Watch {
    /// `worker`: which, of how many. With `every`: whether partitions that are added are read.
    pub fn new(
        questions: Questions,
        worker: (usize, usize),
        group: Option<CString>,
        (every, grows): (Duration, bool),
        now: Instant,
    ) -> Self {
        Self {
            questions,
            worker,
            group,
            every,
            grows,
            due: now + every,
            describing: false,
            last_look: LastLook::Wanted,
            last_look_at: now,
            missing: Vec::new(),
            wanted: Queue::default(),
            ask_at: now,
            open: 0,
            committing: 0,
            errors: Errors::default(),
        }
    }

    /// Whether splits may still be added.
    pub fn expects_more(&self) -> bool {
        self.grows
    }

    /// Nothing was left to read when the topics were opened.
    pub fn has_nothing_to_read(&mut self) {
        self.last_look = LastLook::Done;
    }

    /// Whether the topics are still those that were opened, as the brokers say when all of them is read.
    pub fn confirms(&mut self, now: Instant, topics: &[Topic]) -> bool {
        if self.last_look == LastLook::Wanted && !self.describing && now >= self.last_look_at {
            self.describe(now, topics);
            self.last_look = LastLook::Asked;
        }
        self.last_look == LastLook::Done
    }

    fn describe(&mut self, now: Instant, topics: &[Topic]) {
        let names: Vec<&str> = topics.iter().map(|topic| &*topic.name).collect();
        self.questions.describe(&names, ANSWER_WITHIN);
        (self.due, self.describing) = (now + self.every, true);
        self.open += 1;
    }

    /// A split's position is not in the log any more.
    pub fn lost(&mut self, number: usize, split: &Split, policy: OnLostOffsets) {
        let which = if policy == OnLostOffsets::Latest { Which::Latest } else { Which::Earliest };
        let (topic, partition) = (split.topic, split.partition);
        self.wanted.add(Wanted { topic, partition, which, split: Some(number) });
    }

    /// Commits the offsets of these positions to the group, if there is one.
    pub fn commit(&mut self, positions: &[SplitPosition]) {
        let Some(group) = &self.group else { return };
        let mut list = TopicPartitionList::new();
        for position in positions {
            let Some((topic, partition)) = parse_split(&position.split) else { continue };
            let read_to = position.position["read_to"].as_i64();
            let Some(offset) = read_to.or_else(|| position.position["offset"].as_i64()) else { continue };
            if let Err(error) = list.add_partition_offset(topic, partition, Offset::Offset(offset)) {
                self.errors.report(format_args!("committing to the group: {error}"));
            }
        }
        if list.count() > 0 {
            self.questions.commit(group, &list, ANSWER_WITHIN);
            self.open += 1;
            self.committing += 1;
        }
    }

    /// Asks what is due and takes in what was answered. Returns the partitions that can be read now.
    ///
    /// # Errors
    /// A topic was deleted, or created again.
    pub fn look(&mut self, now: Instant, topics: &mut [Topic]) -> Result<Vec<Placed>> {
        if now >= self.due && !self.describing {
            self.describe(now, topics);
        }
        if now >= self.ask_at {
            self.ask_for_offsets(topics);
        }
        let mut placed = Vec::new();
        while self.open > 0
            && let Some(answer) = self.questions.wait(Duration::ZERO)
        {
            self.open -= 1;
            match answer {
                Answer::Topics(answer) => {
                    self.describing = false;
                    let are_same = match answer {
                        Ok(found) => self.compare(topics, &found)?,
                        Err(why) => {
                            self.errors.report(format_args!("asking about the topics: {why}"));
                            false
                        }
                    };
                    if self.last_look == LastLook::Asked {
                        self.last_look = if are_same { LastLook::Done } else { LastLook::Wanted };
                        self.last_look_at = now + PAUSE;
                    }
                    self.ask_for_offsets(topics);
                }
                Answer::Offsets(answer) => {
                    let found = answer.unwrap_or_else(|why| {
                        self.errors.report(format_args!("asking for offsets: {why}"));
                        Vec::new()
                    });
                    self.place(topics, &found, now, &mut placed);
                }
                Answer::Committed(answer) => self.heard(answer),
            }
        }
        Ok(placed)
    }

    fn heard(&mut self, answer: std::result::Result<(), String>) {
        self.committing -= 1;
        if let Err(why) = answer {
            self.errors.report(format_args!("committing to the group: {why}"));
        }
    }

    fn ask_for_offsets(&mut self, topics: &[Topic]) {
        let asked = self.wanted.ask();
        let Some(first) = asked.first() else { return };
        let mut list = TopicPartitionList::new();
        for wanted in asked {
            list.add_partition(&topics[wanted.topic].name, wanted.partition);
        }
        self.questions.offsets(&list, first.which, false, ANSWER_WITHIN);
        self.open += 1;
    }

    /// Holds what the brokers say against what was known; false where they do not say it of all topics.
    fn compare(&mut self, topics: &mut [Topic], found: &[Found]) -> Result<bool> {
        let mut of_all = true;
        for (number, topic) in topics.iter_mut().enumerate() {
            let Some(found) = found.iter().find(|found| found.name == *topic.name) else {
                of_all = false;
                continue;
            };
            of_all &= found.error.is_none();
            match found.error {
                None => self.missing.retain(|missing| *missing != number),
                Some(RDKafkaErrorCode::UnknownTopicOrPartition) if !self.missing.contains(&number) => {
                    self.missing.push(number);
                    // Not after the whole interval: a broker that has just started soon knows better.
                    self.due = self.due.min(Instant::now() + PAUSE);
                    continue;
                }
                Some(RDKafkaErrorCode::UnknownTopicOrPartition) => {
                    let message = format!("the topic {} does not exist any more", topic.name);
                    return Err(Error::new(ErrorKind::Source, message));
                }
                Some(error) => {
                    self.errors.report(format_args!("asking about the topic {}: {error}", topic.name));
                    continue;
                }
            }
            if topic.id.is_some() && found.id.is_some() && topic.id != found.id {
                let message = format!("the topic {} was deleted and created again", topic.name);
                return Err(Error::new(ErrorKind::Source, message));
            }
            if !self.grows {
                continue;
            }
            for partition in topic.partitions..found.partitions {
                tracing::info!(target: "staunch::kafka", topic = &*topic.name, partition, "a new partition");
                if is_owner(&topic.name, partition, self.worker.0, self.worker.1) {
                    let which = Which::Earliest;
                    self.wanted.add(Wanted { topic: number, partition, which, split: None });
                }
            }
            topic.partitions = topic.partitions.max(found.partitions);
        }
        Ok(of_all)
    }

    fn place(&mut self, topics: &[Topic], found: &[FoundOffset], now: Instant, placed: &mut Vec<Placed>) {
        let (told, failed) = self.wanted.answered(topics, found);
        placed.extend(told);
        for why in &failed {
            self.errors.report(format_args!("asking for the offset of {why}"));
        }
        self.ask_at = if failed.is_empty() { now } else { now + PAUSE };
    }
}

impl Drop for Watch {
    /// Lets the offsets of the last checkpoint reach the group; a dead broker holds up no shutdown.
    fn drop(&mut self) {
        let deadline = Instant::now() + CLOSE_WITHIN;
        while self.committing > 0
            && let Some(answer) = self.questions.wait(deadline.saturating_duration_since(Instant::now()))
        {
            if let Answer::Committed(answer) = answer {
                self.heard(answer);
            }
        }
    }
}
