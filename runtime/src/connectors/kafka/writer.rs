//! [`KafkaWriter`]: one worker's records, turned into messages and handed to librdkafka.
//!
//! Never blocks: what finds no room is kept, and `ready` is false until it is gone. Each epoch has a producer
//! of its own, and records of an epoch are handed over only when all of the previous epoch were acknowledged,
//! as otherwise a retry inside librdkafka could put an older record behind a newer one. Without transactions
//! one producer sends all in order, and nothing waits at a barrier.

use super::lanes::Lanes;
use super::message::{Headers, Kept, Outgoing, Shape, To, TopicOf};
use super::pool::{Deferred, Pool};
use super::producer::Waiter;
use crate::api::batch::Batch;
use crate::api::sink::SinkWriter;
use crate::connectors::format::Format;
use crate::error::{Error, ErrorKind, Result};
use crate::id::Epoch;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::Arc;

/// Records of all workers that librdkafka may hold unacknowledged before writers stop taking batches.
/// More means higher throughput and a longer flush at the barrier.
const IN_FLIGHT_MAX: u64 = 60_000;

/// What `seal` tells `prepare`, of each route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sealed {
    /// The route's number in its participant.
    pub route: usize,
    /// How many records were handed over since the last seal, without those that are deferred.
    pub records: u64,
}

/// Writes one worker's records of one sink.
pub struct KafkaWriter<F: Format> {
    shape: Shape<F::Record>,
    lanes: Lanes,
    pool: Arc<Pool>,
    waiter: Arc<Waiter>,
    epoch: Epoch,
    /// The sealed epoch whose records may still be under way.
    awaited: Option<Awaited>,
    kept: VecDeque<Kept>,
    buffers: Buffers,
    /// The name of a record's topic.
    topic: String,
    format: PhantomData<fn() -> F>,
}

struct Awaited {
    epoch: Epoch,
    sealed: Vec<Sealed>,
    /// Some of its records are sent by the participant.
    deferred: bool,
}

/// One message's bytes; the memory serves for all.
#[derive(Default)]
struct Buffers {
    key: Vec<u8>,
    value: Vec<u8>,
    headers: Headers,
}

impl Buffers {
    /// The record as a message, and why it has no value that could be written.
    #[inline]
    fn fill<F: Format>(
        &mut self,
        shape: &Shape<F::Record>,
        record: &F::Record,
        time: Timestamp,
    ) -> (Outgoing<'_>, Option<String>) {
        self.key.clear();
        let has_key = shape.key.as_ref().is_some_and(|key| key(record, &mut self.key));
        if let Some(headers) = &shape.headers {
            self.headers.clear();
            headers(record, &mut self.headers);
        }
        self.value.clear();
        let is_tombstone = shape.tombstone.as_ref().is_some_and(|is_tombstone| is_tombstone(record));
        let encoded = if is_tombstone { Ok(()) } else { F::encode(record, &mut self.value) };
        let time = shape.timestamp.as_ref().map_or(time, |timestamp| timestamp(record));
        let message = Outgoing {
            key: has_key.then_some(self.key.as_slice()),
            value: (!is_tombstone && encoded.is_ok()).then_some(self.value.as_slice()),
            // librdkafka takes a timestamp of 0 for "now"; a negative one is none of Kafka's.
            timestamp_ms: (time > Timestamp::from_millis(0)).then(|| time.as_millis()),
            partition: shape.partition.as_ref().and_then(|partition| partition(record)),
            headers: &self.headers,
        };
        (message, encoded.err().map(|error| format!("a record {error}")))
    }
}

impl<F: Format> KafkaWriter<F> {
    pub(super) fn new(
        shape: Shape<F::Record>,
        lanes: Lanes,
        pool: Arc<Pool>,
        waiter: Arc<Waiter>,
        epoch: Epoch,
    ) -> Self {
        let (kept, buffers, topic) = (VecDeque::new(), Buffers::default(), String::new());
        Self { shape, lanes, pool, waiter, epoch, awaited: None, kept, buffers, topic, format: PhantomData }
    }

    /// Opens the lanes if the previous epoch has arrived and a transaction is ready.
    fn is_open(&mut self) -> Result<bool> {
        if let Some(awaited) = &self.awaited {
            if !self.has_arrived(awaited)? {
                return Ok(false);
            }
            self.awaited = None;
        }
        if self.lanes.outlet().is_none() {
            let Some(outlet) = self.pool.outlet(self.epoch, self.lanes.shard())? else { return Ok(false) };
            self.lanes.open(outlet);
        }
        Ok(true)
    }

    fn has_arrived(&self, awaited: &Awaited) -> Result<bool> {
        if awaited.deferred {
            return self.pool.is_prepared(awaited.epoch);
        }
        for sealed in &awaited.sealed {
            if !self.pool.has_arrived(awaited.epoch, self.lanes.shard(), sealed.route, sealed.records)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn has_room(&mut self) -> Result<bool> {
        if !self.is_open()? || !self.lanes.give_all(&mut self.kept)? {
            return Ok(false);
        }
        let Some(outlet) = self.lanes.outlet() else { return Ok(false) };
        outlet.check_reports()?;
        Ok(outlet.in_flight() < IN_FLIGHT_MAX)
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
        let mut open = self.is_open()? && self.lanes.give_all(&mut self.kept)?;
        for (record, time) in batch.drain() {
            let (message, broken) = self.buffers.fill::<F>(&self.shape, &record, time);
            let to = match &self.shape.topic {
                TopicOf::Fixed(_) => To::Fixed,
                TopicOf::Each(topic) => {
                    self.topic.clear();
                    topic(&record, &mut self.topic);
                    To::Named(self.topic.as_str())
                }
            };
            open = open && self.lanes.give(to, &message, broken.as_deref())?;
            if !open {
                self.kept.push_back(Kept::of(to, &message, broken));
            }
        }
        self.lanes.tell();
        if let Some(outlet) = self.lanes.outlet() {
            outlet.check_reports()?;
        }
        Ok(())
    }

    fn left_out(&self) -> u64 {
        self.lanes.refused()
    }

    fn seal(&mut self, epoch: Epoch) -> Result<Vec<u8>> {
        if epoch != self.epoch {
            let message = format!("a Kafka writer of epoch {} was told to seal epoch {epoch}", self.epoch);
            return Err(Error::new(ErrorKind::Internal, message));
        }
        let deferred = !self.kept.is_empty();
        if deferred {
            let kept = std::mem::take(&mut self.kept);
            self.pool.defer(epoch, Deferred { lanes: self.lanes.copy(), kept });
        }
        let sealed = self.lanes.seal();
        if self.pool.is_transactional() {
            self.lanes.close();
        } else {
            self.lanes.renumber();
        }
        let bytes = serde_json::to_vec(&sealed);
        // While an earlier epoch is awaited nothing is handed over: unless something is left to the participant,
        // which sends it behind that, the earlier one goes on being awaited.
        if deferred || self.pool.is_transactional() && self.awaited.is_none() {
            self.awaited = Some(Awaited { epoch, sealed, deferred });
        }
        self.epoch = epoch.next();
        bytes.map_err(|error| Error::new(ErrorKind::Internal, "sealed").caused_by(error))
    }
}
