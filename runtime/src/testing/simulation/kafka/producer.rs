//! [`SimulatedProducer`]: a live producer. What it is given has arrived at once.

use super::brokers::{id_of_topic, refused};
use super::cluster::Delayed;
use super::{Connection, Stored, millis, timeout_ms};
use crate::error::Result;
use crate::transaction::{Answer, LiveProducer, PartitionRange, Producer, WriterShare, Written};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A handle.
#[derive(Clone)]
pub(super) struct SimulatedProducer {
    connection: Connection,
    id: Arc<str>,
    /// Locked within calls of the world alone: others' turns may be taken before they are answered.
    session: Arc<Mutex<Session>>,
}

struct Session {
    producer: Producer,
    begun_ms: u64,
    written: Written,
}

/// One that was never initialised.
const NOBODY: Producer = Producer { id: -1, epoch: -1 };
/// Each topic has one.
const PARTITION: i32 = 0;

impl SimulatedProducer {
    pub fn new(connection: Connection, id: String) -> Self {
        let session = Session { producer: NOBODY, begun_ms: 0, written: Written::default() };
        Self { connection, id: id.into(), session: Arc::new(Mutex::new(session)) }
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes records of a sink on a worker into the open transaction; how many.
    pub fn write(&self, sink: &str, worker: usize, records: &mut dyn Iterator<Item = Stored>) -> Result<u64> {
        if !self.connection.world.enter(self.connection.pid, "sink-write") {
            return Err(refused("a record of a dead process", 0));
        }
        self.connection.world.with(|state| {
            self.connection.meanwhile(state);
            let numbers = state.kafka.keep(sink, records);
            if numbers.is_empty() {
                return Ok(0);
            }
            let count = numbers.len() as u64;
            let (now_ms, mut session) = (millis(state.now_ms), self.session());
            let producer = session.producer;
            let known = session.written.partitions.iter().position(|range| range.topic == sink);
            let cluster = state.kafka.cluster(&self.connection.cluster);
            let added = match known {
                Some(_) => Ok(()),
                None => cluster.add(&self.id, producer, sink, PARTITION, now_ms),
            };
            let produced = added.and_then(|()| cluster.produce(&self.id, producer, sink, PARTITION, numbers));
            let (first, last) = produced.map_err(|code| refused(&format!("a record of {}", self.id), code))?;
            session.add(known, sink, (first, last), count);
            session.count(sink, worker, count);
            Ok(count)
        })
    }

    /// What the open transaction holds.
    pub fn written(&self) -> Written {
        self.session().written.clone()
    }
}

impl Session {
    fn add(&mut self, known: Option<usize>, sink: &str, (first, last): (i64, i64), records: u64) {
        match known {
            Some(at) => {
                let range = &mut self.written.partitions[at];
                (range.last, range.records) = (last, range.records + records);
            }
            None => self.written.partitions.push(PartitionRange {
                topic: sink.to_owned(),
                topic_id: id_of_topic(sink),
                partition: PARTITION,
                first,
                last,
                records,
            }),
        }
    }

    fn count(&mut self, sink: &str, worker: usize, records: u64) {
        let writers = &mut self.written.writers;
        match writers.iter_mut().find(|share| share.sink == sink && share.worker == worker) {
            Some(share) => share.records += records,
            None => writers.push(WriterShare { sink: sink.to_owned(), worker, records }),
        }
    }
}

impl LiveProducer for SimulatedProducer {
    fn id(&self) -> &str {
        &self.id
    }

    fn initialise(&self) -> Result<()> {
        let timeout_ms = timeout_ms(self.connection.world.with(|state| state.kafka.timeout));
        let later = Delayed::TakeOver { id: self.id.to_string(), timeout_ms };
        self.connection.send("sink-initialise", "a take-over", Some(later), |cluster, _| {
            self.session().producer = cluster.take_over(&self.id, timeout_ms);
        })?;
        self.connection.say(|| format!("initialises {}", self.id));
        Ok(())
    }

    fn begin(&self) -> Result<()> {
        // Nothing is sent before the first record.
        let now_ms = self.connection.world.with(|state| state.now_ms);
        let mut session = self.session();
        (session.begun_ms, session.written) = (now_ms, Written::default());
        Ok(())
    }

    fn commit(&self) -> Answer {
        match self.end("sink-commit", true) {
            Ok(0) => Answer::Clean,
            Ok(code) => Answer::Unclean(format!("error {code}")),
            Err(error) => Answer::Unclean(error.to_string()),
        }
    }

    fn abort(&self) -> Result<()> {
        match self.end("sink-abort", false)? {
            0 => Ok(()),
            code => Err(refused("an abort", code)),
        }
    }

    fn age(&self) -> Duration {
        let begun_ms = self.session().begun_ms;
        Duration::from_millis(self.connection.world.with(|state| state.now_ms).saturating_sub(begun_ms))
    }
}

impl SimulatedProducer {
    /// Ends the open transaction; the error code.
    fn end(&self, place: &'static str, commit: bool) -> Result<i16> {
        let producer = self.session().producer;
        let later = Delayed::End { id: self.id.to_string(), producer, commit };
        let code =
            self.connection.send(place, "an end", Some(later), |cluster, _| cluster.end(&self.id, producer, commit))?;
        let what = if commit { "commits" } else { "aborts" };
        self.connection.say(|| format!("{what} {}{}", self.id, if code == 0 { "" } else { ", which is refused" }));
        Ok(code)
    }
}
