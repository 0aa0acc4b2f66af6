//! [`KafkaReader`]: the partitions of one worker, read in batches without blocking.
//!
//! A batch from librdkafka may mix partitions; records of one partition come in long runs, and one
//! `poll` returns one run. It knows positions, not checkpoints.

use super::log::{self, Context, Errors};
use super::notice::Notice;
use super::position::split_name;
use super::raw::{BatchConsumer, Message};
use super::source::KafkaSource;
use super::start::{self, Share, Split};
use crate::api::batch::{BATCH_RECORDS, Batch};
use crate::api::metadata::{Metadata, Origin};
use crate::api::source::{Polled, ReaderContext, SourceReader, SplitPosition, Wants};
use crate::connectors::format::{Format, OnBadRecord};
use crate::error::{Error, ErrorKind, Result};
use crate::time::Timestamp;
use rdkafka::types::RDKafkaErrorCode;
use std::ffi::CString;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A sleeping worker looks again after this time; the waker makes it come sooner.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How often librdkafka's log lines are picked up.
const LOGS_EVERY: Duration = Duration::from_secs(1);

/// Reads one worker's partitions: see [`KafkaSource`].
pub struct KafkaReader<F: Format> {
    consumer: BatchConsumer<Context>,
    topic: Arc<str>,
    topic_c: CString,
    splits: Vec<Split>,
    /// Partition to its place in `splits`.
    numbers: Vec<usize>,
    unfinished: usize,
    wants: Wants,
    on_bad_record: OnBadRecord,
    skipped: u64,
    skip_notice: Notice,
    errors: Errors,
    logs_due: Instant,
    format: PhantomData<fn() -> F>,
}

impl<F: Format> KafkaReader<F> {
    pub(super) fn open(source: &KafkaSource<F>, context: &ReaderContext<'_>) -> Result<Self> {
        let share = Share {
            group: format!("staunch-{}-{}", context.job, context.id),
            worker: context.worker,
            workers: context.workers,
            restored: context.restored,
        };
        let (consumer, splits) = start::open(source, &share)?;
        let waker = context.waker.clone();
        let consumer = BatchConsumer::new(consumer, BATCH_RECORDS, move || waker.wake());
        let mut numbers = vec![usize::MAX; splits.last().map_or(0, |split| split.partition as usize + 1)];
        for (number, split) in splits.iter().enumerate() {
            numbers[split.partition as usize] = number;
        }
        Ok(Self {
            consumer,
            topic: source.topic.as_str().into(),
            topic_c: CString::new(source.topic.as_str()).expect("checked when the consumer was opened"),
            unfinished: splits.iter().filter(|split| !split.finished).count(),
            splits,
            numbers,
            wants: context.wants,
            on_bad_record: source.on_bad_record,
            skipped: 0,
            skip_notice: Notice::default(),
            errors: Errors::default(),
            logs_due: Instant::now(),
            format: PhantomData,
        })
    }

    /// How many records could not be decoded and were left out.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Moves the next run of one partition's records into the batch; its split, if there was a run.
    fn take_run(&mut self, batch: &mut Batch<F::Record>) -> Result<Option<usize>> {
        let mut run = None;
        while let Some(message) = self.consumer.front() {
            if let Some(code) = message.error() {
                if run.is_some() {
                    break;
                }
                let (partition, offset, text) = (message.partition(), message.offset(), message.error_text());
                self.consumer.pop();
                self.on_error(code, partition, offset, &text)?;
                continue;
            }
            let number = self.numbers[message.partition() as usize];
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
            match F::decode(message.payload()) {
                Ok(record) => {
                    push::<F>(batch, record, &message, self.wants, &self.topic);
                    run = Some(number);
                }
                Err(error) => {
                    let place = format!("{}/{} offset {offset}", self.topic, message.partition());
                    skip(self.on_bad_record, &place, &error, &mut self.skip_notice)?;
                    self.skipped += 1;
                }
            }
            split.position.offset = offset + 1;
            let epoch = message.leader_epoch();
            split.position.leader_epoch = (epoch >= 0).then_some(epoch);
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
            split.position.offset = split.position.end.unwrap_or(split.position.offset);
            self.unfinished -= 1;
        }
    }

    /// An error in place of a message: the end of a partition, something that passes, or the end of the attempt.
    fn on_error(&mut self, code: RDKafkaErrorCode, partition: i32, offset: i64, text: &str) -> Result<()> {
        use RDKafkaErrorCode as Code;
        let topic = &self.topic;
        let failed = |message: String| Err(Error::new(ErrorKind::Source, message));
        match code {
            Code::PartitionEOF => {
                let number = self.numbers[partition as usize];
                // Only the last stable offset is an end that says something: below it nothing is undecided.
                if self.splits[number].position.end.is_some_and(|end| offset >= end) {
                    self.finish(number);
                }
                Ok(())
            }
            Code::AutoOffsetReset | Code::OffsetOutOfRange => failed(format!(
                "{topic}/{partition}: the position is not in the log any more ({text}); records were removed before \
                 they were read, or the topic was created again. Start anew with a new checkpoint store"
            )),
            Code::LogTruncation => failed(format!(
                "{topic}/{partition}: the log was cut back below what was already read ({text}), as after an unclean \
                 leader election. Start anew with a new checkpoint store"
            )),
            Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition => {
                failed(format!("{topic}/{partition} does not exist any more ({text})"))
            }
            Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed | Code::Authentication | Code::Fatal => {
                failed(format!("{topic} cannot be read: {text}"))
            }
            _ => {
                self.errors.report(text);
                Ok(())
            }
        }
    }

    fn look_at_logs(&mut self) {
        let now = Instant::now();
        if now >= self.logs_due {
            self.logs_due = now + LOGS_EVERY;
            self.consumer.take_logs(log::write);
        }
    }
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
    F::locate(&mut record, origin);
    let time = match message.timestamp_ms() {
        ..0 => Timestamp::MIN,
        ms => Timestamp::from_millis(ms),
    };
    if wants.metadata {
        let (key, headers) = (message.key().map(Arc::from), message.headers().into());
        batch.push_with_metadata(record, time, Metadata { origin: origin(), key, headers });
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
        loop {
            if let Some(split) = self.take_run(batch)? {
                return Ok(Polled::Records { split });
            }
            if self.unfinished == 0 {
                return Ok(Polled::End);
            }
            if self.consumer.fill() == 0 {
                self.look_at_logs();
                return Ok(Polled::Pending { retry_after: LOOK_AGAIN });
            }
        }
    }

    fn positions(&self) -> Vec<SplitPosition> {
        let position = |split: &Split| SplitPosition {
            split: split_name(&self.topic, split.partition),
            position: serde_json::to_value(split.position).expect("three numbers are JSON"),
            finished: split.finished,
        };
        self.splits.iter().map(position).collect()
    }

    fn lag(&self) -> Option<u64> {
        let unread = |split: &Split| {
            let end = self.consumer.cached_end(&self.topic_c, split.partition);
            // Not fetched from yet: unknown.
            let end = split.position.end.unwrap_or(end);
            (end >= 0).then(|| u64::try_from(end - split.position.offset).unwrap_or(0))
        };
        self.splits.iter().filter(|split| !split.finished).map(unread).sum()
    }
}
