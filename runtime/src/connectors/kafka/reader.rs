//! [`KafkaReader`]: the partitions of one worker, read in batches without blocking.
//!
//! A batch from librdkafka may mix partitions; records of one partition come in long runs, and one
//! `poll` returns one run. It knows positions, not checkpoints.

#![expect(clippy::disallowed_methods, reason = "deadlines of real brokers, threads of real clients")]

use super::log::{self, Context, Errors};
use super::notice::Notice;
use super::position::{Position, split_name};
use super::raw::{BatchConsumer, Message};
use super::source::{KafkaSource, OnLostOffsets};
use super::start::{self, Opened, Split, Topic};
use super::wanted::Placed;
use super::watch::Watch;
use crate::api::batch::{BATCH_RECORDS, Batch};
use crate::api::metadata::{Metadata, Origin};
use crate::api::source::{Polled, ReaderContext, SourceReader, SplitPosition, Wants};
use crate::connectors::format::{Format, OnBadRecord};
use crate::error::{Error, ErrorKind, Result};
use crate::time::Timestamp;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use std::ffi::{CString, c_void};
use std::marker::PhantomData;
use std::ptr::null;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A sleeping worker looks again after this time; the waker makes it come sooner.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How often librdkafka's log lines are picked up.
const LOGS_EVERY: Duration = Duration::from_secs(1);

/// Reads one worker's partitions: see [`KafkaSource`].
pub struct KafkaReader<F: Format> {
    watch: Watch,
    consumer: BatchConsumer<Context>,
    topics: Vec<Topic>,
    splits: Vec<Split>,
    /// By topic's number and partition, the place in `splits`.
    numbers: Vec<Vec<Option<usize>>>,
    unfinished: usize,
    /// The last message's topic and its number; holds among messages that were fetched together.
    seen: (*const c_void, usize),
    wants: Wants,
    on_bad_record: OnBadRecord,
    on_lost_offsets: OnLostOffsets,
    skipped: u64,
    skip_notice: Notice,
    errors: Errors,
    logs_due: Instant,
    format: PhantomData<fn() -> F>,
}

impl<F: Format> KafkaReader<F> {
    pub(super) fn open(source: &KafkaSource<F>, context: &ReaderContext<'_>) -> Result<Self> {
        let Opened { consumer, questions, topics, splits } = start::open(source, context)?;
        let every = (source.discover_every, !source.bounded);
        let (worker, now) = ((context.worker, context.workers), Instant::now());
        let group = source.group.as_deref().map(CString::new).transpose();
        let group = group.map_err(|error| Error::new(ErrorKind::Config, "the group's name").caused_by(error))?;
        let mut reader = Self {
            watch: Watch::new(questions, worker, group, every, now),
            consumer: BatchConsumer::new(consumer, BATCH_RECORDS),
            numbers: vec![Vec::new(); topics.len()],
            topics,
            splits: Vec::new(),
            unfinished: 0,
            seen: (null(), 0),
            wants: context.wants,
            on_bad_record: source.on_bad_record,
            on_lost_offsets: source.on_lost_offsets,
            skipped: 0,
            skip_notice: Notice::default(),
            errors: Errors::default(),
            logs_due: now,
            format: PhantomData,
        };
        splits.into_iter().for_each(|split| reader.add(split));
        if reader.unfinished == 0 {
            reader.watch.has_nothing_to_read();
        }
        Ok(reader)
    }

    fn add(&mut self, split: Split) {
        let (numbers, partition) = (&mut self.numbers[split.topic], split.partition.unsigned_abs() as usize);
        if partition >= numbers.len() {
            numbers.resize(partition + 1, None);
        }
        numbers[partition] = Some(self.splits.len());
        self.unfinished += usize::from(!split.finished);
        self.splits.push(split);
    }

    /// Moves the next run of one partition's records into the batch; its split, if there was a run.
    fn take_run(&mut self, batch: &mut Batch<F::Record>) -> Result<Option<usize>> {
        let mut run = None;
        while let Some(message) = self.consumer.front() {
            let number = number_of(&message, &mut self.seen, &self.topics, &self.numbers);
            if let Some(code) = message.error() {
                if run.is_some() {
                    break;
                }
                let (offset, text) = (message.offset(), message.error_text());
                self.consumer.pop();
                self.on_error(code, number, offset, &text)?;
                continue;
            }
            let Some(number) = number else {
                self.consumer.pop();
                continue;
            };
            if run.is_some_and(|run| run != number) {
                break;
            }
            let split = &mut self.splits[number];
            let (offset, end) = (message.offset(), split.position.end);
            if split.finished || end.is_some_and(|end| offset >= end) {
                self.consumer.pop();
                self.finish(number);
                continue;
            }
            let topic = &self.topics[split.topic].name;
            match F::decode(message.payload()) {
                Ok(record) => {
                    push::<F>(batch, record, &message, self.wants, topic);
                    run = Some(number);
                }
                Err(error) => {
                    let place = format!("{topic}/{} offset {offset}", message.partition());
                    skip(self.on_bad_record, &place, &error, &mut self.skip_notice)?;
                    self.skipped += 1;
                }
            }
            split.position.read(offset, message.leader_epoch());
            self.consumer.pop();
            if end == Some(offset + 1) {
                self.finish(number);
            }
        }
        Ok(run)
    }

    fn finish(&mut self, number: usize) {
        let split = &mut self.splits[number];
        if !split.finished {
            split.finished = true;
            if let Some(end) = split.position.end.filter(|end| *end != split.position.offset) {
                split.position.jump(end);
            }
            self.unfinished -= 1;
        }
    }

    /// An error in place of a message: the end of a partition, something that passes, or the end of the attempt.
    fn on_error(&mut self, code: RDKafkaErrorCode, number: Option<usize>, offset: i64, text: &str) -> Result<()> {
        use RDKafkaErrorCode as Code;
        if number.is_some_and(|number| self.splits[number].finished) {
            // librdkafka goes on behind the end, from where nothing is wanted.
            return Ok(());
        }
        let place = number.map_or_else(|| "Kafka".to_owned(), |number| self.place(number));
        let failed = |message: String| Err(Error::new(ErrorKind::Source, message));
        match (code, number) {
            (Code::PartitionEOF, Some(number)) => {
                self.splits[number].position.passed(offset);
                // Only the last stable offset is an end that says something: below it nothing is undecided.
                if self.splits[number].position.end.is_some_and(|end| offset >= end) {
                    self.finish(number);
                }
                Ok(())
            }
            (Code::AutoOffsetReset | Code::OffsetOutOfRange | Code::LogTruncation, Some(number)) => {
                self.on_lost(number, text)
            }
            (Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition, Some(_)) => {
                failed(format!("{place} does not exist any more ({text})"))
            }
            // librdkafka would go on behind the batch.
            (Code::BadMessage | Code::BadCompression | Code::NotImplemented | Code::InvalidMessage, Some(number)) => {
                let offset = self.splits[number].position.offset;
                failed(format!(
                    "{place}: what follows offset {offset} cannot be read: {text}. If it is damaged on the broker's disk, \
                     another replica may have it; without one, delete the records before it (kafka-delete-records.sh) and \
                     say .on_lost_offsets(OnLostOffsets::Earliest)"
                ))
            }
            (Code::TopicAuthorizationFailed, _) => {
                failed(format!("this user may not read {place}: allow it Describe and Read on the topic ({text})"))
            }
            (Code::ClusterAuthorizationFailed | Code::Authentication | Code::Fatal, _) => {
                failed(format!("{place} cannot be read: {text}"))
            }
            _ => {
                self.errors.report(text);
                Ok(())
            }
        }
    }

    fn place(&self, number: usize) -> String {
        let split = &self.splits[number];
        split_name(&self.topics[split.topic].name, split.partition)
    }

    /// The position is not in the log: retention was faster, or the log was cut back.
    fn on_lost(&mut self, number: usize, text: &str) -> Result<()> {
        let (place, offset) = (self.place(number), self.splits[number].position.offset);
        if self.on_lost_offsets == OnLostOffsets::Stop {
            let message = format!(
                "{place}: the position {offset} is not in the log any more ({text}): records were removed before they \
                 were read, or the log was cut back, as after an unclean leader election. Say with \
                 .on_lost_offsets(OnLostOffsets::Earliest) or Latest where to go on without the lost records, or start \
                 anew with a new checkpoint store"
            );
            return Err(Error::new(ErrorKind::Source, message));
        }
        let split = &mut self.splits[number];
        if !std::mem::replace(&mut split.lost, true) {
            let policy = self.on_lost_offsets;
            tracing::warn!(target: "staunch::kafka", split = place, offset, ?policy, "records are lost: {text}");
            self.watch.lost(number, split, policy);
        }
        Ok(())
    }

    /// Reads partitions that are new, or whose position was lost, from where they begin.
    fn begin(&mut self, placed: &[Placed]) -> Result<()> {
        let failed = |error: KafkaError| {
            Error::new(ErrorKind::Source, "librdkafka does not read from the positions that it was given")
                .caused_by(error)
        };
        for &Placed { topic, partition, split, offset } in placed {
            let number = match split {
                Some(number) if self.splits[number].finished => continue,
                Some(number) => {
                    let split = &mut self.splits[number];
                    let old = start::positions(&self.topics, std::iter::once(&*split)).map_err(failed)?;
                    self.consumer.consumer().incremental_unassign(&old).map_err(failed)?;
                    split.lost = false;
                    split.position.jump(offset);
                    number
                }
                None => {
                    let position = Position { offset, topic_id: self.topics[topic].id.clone(), ..Position::default() };
                    self.add(Split { topic, partition, position, finished: false, lost: false });
                    self.splits.len() - 1
                }
            };
            let new = start::positions(&self.topics, std::iter::once(&self.splits[number])).map_err(failed)?;
            self.consumer.consumer().incremental_assign(&new).map_err(failed)?;
        }
        Ok(())
    }

    fn look_at_logs(&mut self, now: Instant) {
        if now >= self.logs_due {
            self.logs_due = now + LOGS_EVERY;
            self.consumer.take_logs(log::write);
        }
    }
}

/// The split that a message belongs to.
#[inline]
fn number_of(
    message: &Message<'_>,
    seen: &mut (*const c_void, usize),
    topics: &[Topic],
    numbers: &[Vec<Option<usize>>],
) -> Option<usize> {
    let topic = message.topic();
    if topic.is_null() {
        return None;
    }
    if topic != seen.0 {
        let name = message.topic_name();
        *seen = (topic, topics.iter().position(|topic| *topic.name == *name)?);
    }
    *numbers[seen.1].get(usize::try_from(message.partition()).ok()?)?
}

#[inline]
fn push<F: Format>(
    batch: &mut Batch<F::Record>,
    mut record: F::Record,
    message: &Message<'_>,
    wants: Wants,
    topic: &Arc<str>,
) {
    let origin = || Origin { source: topic.clone(), partition: message.partition(), offset: message.offset() };
    let whole = || Metadata { origin: origin(), key: message.key().map(Arc::from), headers: message.headers().into() };
    F::locate(&mut record, whole);
    let time = match message.timestamp_ms() {
        ..0 => Timestamp::MIN,
        ms => Timestamp::from_millis(ms),
    };
    if wants.metadata {
        batch.push_with_metadata(record, time, whole());
    } else if wants.origin {
        batch.push_with_metadata(record, time, Metadata { origin: origin(), ..Metadata::default() });
    } else {
        batch.push(record, time);
    }
}

/// Decides about a bad record: an error, or a warning now and then.
fn skip(policy: OnBadRecord, place: &str, error: &str, notice: &mut Notice) -> Result<()> {
    match policy {
        OnBadRecord::Stop => {
            let message = format!(
                "{place}: {error}. Leave such records out with .on_bad_record(OnBadRecord::Skip), or read with the \
                 format Try<..> and send them to a dead-letter sink"
            );
            Err(Error::new(ErrorKind::Source, message))
        }
        OnBadRecord::Skip => {
            if let Some(held_back) = notice.due(Instant::now()) {
                tracing::warn!(target: "staunch::kafka", held_back, "left out: {place}: {error}");
            }
            Ok(())
        }
    }
}

impl<F: Format> SourceReader for KafkaReader<F> {
    type Record = F::Record;

    fn poll(&mut self, batch: &mut Batch<F::Record>) -> Result<Polled> {
        let now = Instant::now();
        let placed = self.watch.look(now, &mut self.topics)?;
        self.begin(&placed)?;
        loop {
            if let Some(split) = self.take_run(batch)? {
                return Ok(Polled::Records { split });
            }
            if self.unfinished == 0 && !self.watch.expects_more() {
                if self.watch.confirms(now, &self.topics) {
                    return Ok(Polled::End);
                }
                return Ok(Polled::Pending { retry_after: LOOK_AGAIN });
            }
            // The topics of messages that are gone may be gone too.
            self.seen = (null(), 0);
            if self.consumer.fill() == 0 {
                self.look_at_logs(now);
                return Ok(Polled::Pending { retry_after: LOOK_AGAIN });
            }
        }
    }

    fn positions(&self) -> Vec<SplitPosition> {
        let position = |split: &Split| SplitPosition {
            split: split_name(&self.topics[split.topic].name, split.partition),
            position: serde_json::to_value(&split.position).expect("numbers and a text are JSON"),
            finished: split.finished,
        };
        self.splits.iter().map(position).collect()
    }

    fn committed(&mut self, positions: &[SplitPosition]) {
        self.watch.commit(positions);
    }

    fn left_out(&self) -> u64 {
        self.skipped
    }

    fn lag(&self) -> Option<u64> {
        let unread = |split: &Split| {
            let end = self.consumer.cached_end(&self.topics[split.topic].name_c, split.partition);
            // Not fetched from yet: unknown.
            let end = split.position.end.unwrap_or(end);
            (end >= 0).then(|| u64::try_from(end - split.position.read_to()).unwrap_or(0))
        };
        self.splits.iter().filter(|split| !split.finished).map(unread).sum()
    }
}
