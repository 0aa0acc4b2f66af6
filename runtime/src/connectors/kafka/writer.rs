//! [`KafkaWriter`]: one worker's records, turned into bytes and handed to librdkafka.
//!
//! Never blocks: what finds no room is kept, and `ready` is false until it is gone. Records of an
//! epoch are handed over only when all of the previous epoch were acknowledged, as otherwise a retry
//! inside librdkafka could put an older record behind a newer one.

use super::pool::{Deferred, Pool, Record};
use super::producer::{Delivery, Outlet, Waiter};
use super::raw::ProducerTopic;
use crate::api::batch::Batch;
use crate::api::sink::SinkWriter;
use crate::connectors::format::Format;
use crate::error::{Error, ErrorKind, Result};
use crate::id::Epoch;
use crate::time::Timestamp;
use rdkafka::types::RDKafkaErrorCode;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::ffi::CString;
use std::marker::PhantomData;
use std::sync::Arc;

/// Records of all workers that librdkafka may hold unacknowledged before writers stop taking batches.
/// More means higher throughput and a longer flush at the barrier.
const IN_FLIGHT_MAX: u64 = 60_000;

/// Takes a record's key into a buffer; false for a record without key.
pub(super) type KeyOf<T> = Arc<dyn Fn(&T, &mut Vec<u8>) -> bool + Send + Sync>;

/// What `seal` tells `prepare`.
#[derive(Serialize, Deserialize)]
pub(super) struct Sealed {
    /// The writer's number in its participant.
    pub writer: usize,
    /// How many records it wrote since the last seal (without transactions: since it was made).
    pub records: u64,
}

/// Writes one worker's records of one sink.
pub struct KafkaWriter<F: Format> {
    pub(super) topic: CString,
    /// Counts the participant's writers, of all its sinks.
    pub(super) number: usize,
    pub(super) pool: Arc<Pool>,
    pub(super) waiter: Arc<Waiter>,
    pub(super) key: KeyOf<F::Record>,
    pub(super) epoch: Epoch,
    lane: Option<Lane>,
    /// Records of this epoch, given to librdkafka or kept.
    records: u64,
    /// The sealed epoch whose records may still be under way, and how many they are.
    sealed: Option<(Epoch, u64)>,
    kept: VecDeque<Record>,
    key_bytes: Vec<u8>,
    value_bytes: Vec<u8>,
    format: PhantomData<fn() -> F>,
}

/// The way into the epoch's transaction.
struct Lane {
    // Before the outlet, whose producer it belongs to.
    topic: ProducerTopic<Delivery>,
    outlet: Arc<Outlet>,
}

impl<F: Format> KafkaWriter<F> {
    pub(super) fn new(
        topic: CString,
        number: usize,
        pool: Arc<Pool>,
        waiter: Arc<Waiter>,
        key: KeyOf<F::Record>,
        epoch: Epoch,
    ) -> Self {
        Self {
            topic,
            number,
            pool,
            waiter,
            key,
            epoch,
            lane: None,
            records: 0,
            sealed: None,
            kept: VecDeque::new(),
            key_bytes: Vec::new(),
            value_bytes: Vec::new(),
            format: PhantomData,
        }
    }

    /// Opens the lane if the previous epoch has arrived and a transaction is ready.
    fn has_lane(&mut self) -> Result<bool> {
        if let Some((epoch, records)) = self.sealed {
            if !self.pool.has_arrived(epoch, self.number, records)? {
                return Ok(false);
            }
            self.sealed = None;
        }
        if self.lane.is_none() {
            let Some(outlet) = self.pool.outlet(self.epoch, self.number)? else { return Ok(false) };
            self.lane = Some(Lane { topic: outlet.topic(&self.topic)?, outlet });
        }
        Ok(true)
    }

    /// Sends what was kept, as far as there is room; whether all of it is gone.
    fn send_kept(&mut self) -> Result<bool> {
        if self.kept.is_empty() {
            return Ok(true);
        }
        let Some(lane) = &self.lane else { return Ok(false) };
        let mut sent = 0;
        while let Some(record) = self.kept.front() {
            if !send(&lane.topic, record.key.as_deref(), &record.value, record.timestamp_ms, self.number)? {
                break;
            }
            self.kept.pop_front();
            sent += 1;
        }
        lane.outlet.count_sent(sent);
        Ok(self.kept.is_empty())
    }

    fn has_room(&mut self) -> Result<bool> {
        if !self.has_lane()? || !self.send_kept()? {
            return Ok(false);
        }
        let Some(lane) = &self.lane else { return Ok(false) };
        lane.outlet.check_reports()?;
        Ok(lane.outlet.in_flight() < IN_FLIGHT_MAX)
    }

    /// Encodes one record into the writer's buffers; whether it has a key.
    fn encode(&mut self, record: &F::Record) -> Result<bool> {
        self.value_bytes.clear();
        F::encode(record, &mut self.value_bytes).map_err(|error| {
            let message = format!("a record for the Kafka topic {} {error}", self.topic.to_string_lossy());
            Error::new(ErrorKind::Sink, message)
        })?;
        self.key_bytes.clear();
        Ok((self.key)(record, &mut self.key_bytes))
    }
}

/// Hands a record to librdkafka; false if its queue is full.
pub(super) fn send(
    topic: &ProducerTopic<Delivery>,
    key: Option<&[u8]>,
    value: &[u8],
    timestamp_ms: Option<i64>,
    writer: usize,
) -> Result<bool> {
    match topic.send(key, value, timestamp_ms, writer) {
        Ok(()) => Ok(true),
        Err(RDKafkaErrorCode::QueueFull) => Ok(false),
        Err(RDKafkaErrorCode::MessageSizeTooLarge) => Err(Error::new(
            ErrorKind::Sink,
            format!(
                "a record of {} bytes is too large for Kafka: raise message.max.bytes here and on the topic",
                value.len()
            ),
        )),
        Err(error) => Err(Error::new(ErrorKind::Sink, "librdkafka took no record").caused_by(error)),
    }
}

impl<F: Format> SinkWriter for KafkaWriter<F> {
    type Record = F::Record;

    fn ready(&mut self) -> Result<bool> {
        if self.has_room()? {
            return Ok(true);
        }
        // Armed first and then looked at again: what happens in between is not missed.
        self.waiter.arm();
        self.has_room()
    }

    fn write(&mut self, batch: &mut Batch<F::Record>) -> Result<()> {
        let mut open = self.has_lane()? && self.send_kept()?;
        let mut sent = 0;
        for (record, time) in batch.drain() {
            let has_key = self.encode(&record)?;
            // librdkafka takes a timestamp of 0 for "now"; a negative one is none of Kafka's.
            let timestamp_ms = (time > Timestamp::from_millis(0)).then(|| time.as_millis());
            let key = has_key.then_some(self.key_bytes.as_slice());
            open = match &self.lane {
                Some(lane) if open => send(&lane.topic, key, &self.value_bytes, timestamp_ms, self.number)?,
                _ => false,
            };
            if open {
                sent += 1;
            } else {
                let key = key.map(<[u8]>::to_vec);
                self.kept.push_back(Record { key, value: self.value_bytes.clone(), timestamp_ms });
            }
            self.records += 1;
        }
        if let Some(lane) = &self.lane {
            lane.outlet.count_sent(sent);
            lane.outlet.check_reports()?;
        }
        Ok(())
    }

    fn seal(&mut self, epoch: Epoch) -> Result<Vec<u8>> {
        if epoch != self.epoch {
            let message = format!("a Kafka writer of epoch {} was told to seal epoch {epoch}", self.epoch);
            return Err(Error::new(ErrorKind::Internal, message));
        }
        if !self.kept.is_empty() {
            let records = std::mem::take(&mut self.kept).into();
            self.pool.defer(epoch, Deferred { writer: self.number, topic: self.topic.clone(), records });
        }
        let sealed = Sealed { writer: self.number, records: self.records };
        if self.pool.is_transactional() {
            self.sealed = Some((epoch, self.records));
            self.lane = None;
            self.records = 0;
        }
        self.epoch = epoch.next();
        serde_json::to_vec(&sealed).map_err(|error| Error::new(ErrorKind::Internal, "sealed").caused_by(error))
    }
}
