//! A simulated sink with Kafka transactions: its writers and its participant, over the protocol of production.

use super::brokers::SimulatedBrokers;
use super::producer::SimulatedProducer;
use super::{Connection, Stored};
use crate::api::sink::{Committable, Share, SinkContext, TwoPhaseCommit, WriterContext};
use crate::control::permit::{CommitPermit, Published, Recovery};
use crate::crash::crash_point;
use crate::data::sink::Participant;
use crate::error::{Error, ErrorKind, Result};
use crate::flow::stand_in::{SinkFacts, SinkStandIn, WriterStandIn};
use crate::id::Epoch;
use crate::testing::simulation::world::{Pid, World};
use crate::transaction::{Ids, Rotation, SharedRotation, Transactions, make_ready};
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

pub(in crate::testing::simulation) struct KafkaSimulated {
    pub world: Arc<World>,
    pub pid: Pid,
    pub facts: Arc<SinkFacts>,
}

impl SinkStandIn for KafkaSimulated {
    fn open(&self, context: &SinkContext<'_>) -> Result<Box<dyn Participant>> {
        let connection =
            Connection { world: self.world.clone(), pid: self.pid, cluster: Arc::from(context.participant) };
        let (timeout, shards) = self.world.with(|state| (state.kafka.timeout, state.kafka.shards));
        let ids = Ids::new(context.job, context.lineage, context.attempt);
        let brokers = SimulatedBrokers(connection.clone());
        let transactions = Transactions::new(brokers, context.participant.to_owned(), ids, timeout);
        Ok(Box::new(SimulatedParticipant { connection, transactions, shards, producers: None }))
    }

    fn writer(&self, participant: &mut dyn Any, context: &WriterContext<'_>) -> Result<Box<dyn WriterStandIn>> {
        let participant = participant.downcast_mut::<SimulatedParticipant>().ok_or_else(unrecovered)?;
        let producers = participant.producers()?;
        participant.transactions.abort_left(&[(&self.facts.id, 0)])?;
        let (sink, worker, epoch) = (self.facts.id.clone(), context.worker, context.epoch);
        Ok(Box::new(SimulatedWriter { producers, sink, worker, epoch, into: None, written: 0 }))
    }
}

fn unrecovered() -> Error {
    Error::new(ErrorKind::Internal, "a simulated sink was used before recovery")
}

/// The producers of a process. They are made when one is wanted, by whoever wants it.
struct Producers {
    connection: Connection,
    ids: Ids,
    shards: usize,
    rotation: Mutex<Rotation<SimulatedProducer>>,
}

impl SharedRotation<SimulatedProducer> for Producers {
    fn with<R>(&self, change: impl FnOnce(&mut Rotation<SimulatedProducer>) -> R) -> R {
        change(&mut self.rotation.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Producers {
    /// Which of an epoch's transactions a worker's records go into.
    fn shard(&self, worker: usize) -> usize {
        worker % self.shards
    }

    /// Where a shard's records of an epoch go.
    fn of(&self, epoch: Epoch, shard: usize) -> Result<SimulatedProducer> {
        loop {
            if let Some(taken) = self.with(|rotation| rotation.take(epoch, shard)) {
                return Ok(taken);
            }
            let Some(wanted) = self.with(Rotation::wanted) else { continue };
            let open = |number| Ok(SimulatedProducer::new(self.connection.clone(), self.ids.producer(number)));
            let made = make_ready(wanted, open)?;
            self.with(|rotation| rotation.ready(made));
        }
    }
}

struct SimulatedWriter {
    producers: Arc<Producers>,
    sink: String,
    worker: usize,
    epoch: Epoch,
    into: Option<SimulatedProducer>,
    /// Since the last seal.
    written: u64,
}

impl SimulatedWriter {
    fn into(&mut self) -> Result<SimulatedProducer> {
        if let Some(into) = &self.into {
            return Ok(into.clone());
        }
        let into = self.producers.of(self.epoch, self.producers.shard(self.worker))?;
        self.into = Some(into.clone());
        Ok(into)
    }
}

impl WriterStandIn for SimulatedWriter {
    fn ready(&mut self) -> Result<bool> {
        Ok(true)
    }

    fn write(&mut self, records: &mut dyn Iterator<Item = Stored>) -> Result<()> {
        self.written += self.into()?.write(&self.sink, self.worker, records)?;
        Ok(())
    }

    fn seal(&mut self, epoch: Epoch) -> Result<Vec<u8>> {
        (self.epoch, self.into) = (epoch.next(), None);
        Ok(std::mem::take(&mut self.written).to_string().into_bytes())
    }
}

struct SimulatedParticipant {
    connection: Connection,
    transactions: Transactions<SimulatedBrokers, SimulatedProducer>,
    shards: usize,
    /// After recovery.
    producers: Option<Arc<Producers>>,
}

impl SimulatedParticipant {
    fn producers(&self) -> Result<Arc<Producers>> {
        self.producers.clone().ok_or_else(unrecovered)
    }

    /// Waits until everything has arrived, which it has unless that is to fail.
    fn flush(connection: &Connection, producer: &SimulatedProducer, sealed: u64) -> Result<()> {
        connection.ask("sink-flush", "a delivery", |_, _| ())?;
        let arrived: u64 = producer.written().partitions.iter().map(|range| range.records).sum();
        if arrived == sealed {
            return Ok(());
        }
        let message = format!("{sealed} records were sealed, {arrived} have arrived");
        Err(Error::new(ErrorKind::Internal, message))
    }
}

impl TwoPhaseCommit for SimulatedParticipant {
    fn recover(&mut self, published: Vec<Published>, recovery: &mut Recovery<'_>) -> Result<()> {
        self.transactions.recover(published, recovery)?;
        crash_point("recover-settled");
        let rotation = Mutex::new(Rotation::new(self.shards));
        let (connection, ids) = (self.connection.clone(), self.transactions.ids().clone());
        self.producers = Some(Arc::new(Producers { connection, ids, shards: self.shards, rotation }));
        Ok(())
    }

    fn prepare(&mut self, epoch: Epoch, shares: Vec<Share>) -> Result<Option<Vec<u8>>> {
        let producers = self.producers()?;
        let mut sealed: BTreeMap<usize, u64> = BTreeMap::new();
        for share in &shares {
            let records = std::str::from_utf8(&share.bytes).ok().and_then(|text| text.parse::<u64>().ok());
            *sealed.entry(producers.shard(share.worker)).or_default() += records.unwrap_or(0);
        }
        let mut with_records = Vec::new();
        for (&shard, _) in sealed.iter().filter(|(_, records)| **records > 0) {
            with_records.push((shard, producers.of(epoch, shard)?));
        }
        let connection = &self.connection;
        self.transactions.prepare(epoch, with_records, &*producers, |producer, shard| {
            Self::flush(connection, producer, sealed[&shard])?;
            Ok(producer.written())
        })
    }

    fn commit(&mut self, committable: &Committable, permit: &CommitPermit) -> Result<()> {
        let producers = self.producers()?;
        self.transactions.commit(committable, permit, &*producers)
    }

    fn abort(&mut self, committable: &Committable) -> Result<()> {
        let producers = self.producers()?;
        self.transactions.abort(committable, &*producers)
    }
}
