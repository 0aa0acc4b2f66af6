//! A simulated sink without transactions: what has arrived is visible, and what is read again after a failure
//! arrives again. What has not arrived when the process dies never does.

use super::sink::dead;
use super::world::{Pid, World};
use crate::api::sink::{Committable, Share, SinkContext, TwoPhaseCommit, WriterContext};
use crate::control::permit::{CommitPermit, Published, Recovery};
use crate::data::sink::Participant;
use crate::error::{Error, ErrorKind, Result};
use crate::flow::stand_in::{AnyRecord, SinkFacts, SinkStandIn, WriterStandIn};
use crate::id::Epoch;
use crate::time::Timestamp;
use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(super) struct AtLeastOnce {
    pub world: Arc<World>,
    pub pid: Pid,
    pub facts: Arc<SinkFacts>,
}

/// A sink's records in the memory of a process, in the order in which they were written.
#[derive(Clone, Default)]
struct Queue(Arc<Mutex<Vec<(String, AnyRecord, Timestamp)>>>);

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Vec<(String, AnyRecord, Timestamp)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One in so many batches makes the queue's records arrive; a checkpoint makes them in any case.
const ARRIVES_ONE_IN: usize = 2;

impl SinkStandIn for AtLeastOnce {
    fn open(&self, _context: &SinkContext<'_>) -> Result<Box<dyn Participant>> {
        Ok(Box::new(Flushes { world: self.world.clone(), pid: self.pid, queue: Queue::default() }))
    }

    fn writer(&self, participant: &mut dyn Any, _context: &WriterContext<'_>) -> Result<Box<dyn WriterStandIn>> {
        let none = || Error::new(ErrorKind::Internal, "a simulated sink has another one's participant");
        let queue = participant.downcast_ref::<Flushes>().ok_or_else(none)?.queue.clone();
        Ok(Box::new(Queues { world: self.world.clone(), pid: self.pid, sink: self.facts.id.clone(), queue }))
    }
}

struct Queues {
    world: Arc<World>,
    pid: Pid,
    sink: String,
    queue: Queue,
}

impl WriterStandIn for Queues {
    fn ready(&mut self) -> Result<bool> {
        Ok(true)
    }

    fn write(&mut self, records: &mut dyn Iterator<Item = (AnyRecord, Timestamp)>) -> Result<()> {
        if !self.world.enter(self.pid, "sink-write") {
            return Err(dead());
        }
        self.queue.lock().extend(records.map(|(record, time)| (self.sink.clone(), record, time)));
        self.world.with(|state| {
            if state.chance.one_in(ARRIVES_ONE_IN) {
                state.arrive(self.queue.lock().drain(..));
            }
        });
        Ok(())
    }

    fn seal(&mut self, _epoch: Epoch) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }
}

/// The participant.
struct Flushes {
    world: Arc<World>,
    pid: Pid,
    queue: Queue,
}

impl TwoPhaseCommit for Flushes {
    fn recover(&mut self, _published: Vec<Published>, _recovery: &mut Recovery<'_>) -> Result<()> {
        Ok(())
    }

    fn prepare(&mut self, _epoch: Epoch, _shares: Vec<Share>) -> Result<Option<Vec<u8>>> {
        if !self.world.enter(self.pid, "sink-flush") {
            return Err(dead());
        }
        self.world.with(|state| match state.take_sink_failure() {
            Some(_) => Err(Error::new(ErrorKind::Sink, "injected failure of a delivery")),
            None => {
                state.arrive(self.queue.lock().drain(..));
                Ok(None)
            }
        })
    }

    fn commit(&mut self, committable: &Committable, _permit: &CommitPermit) -> Result<()> {
        let message = format!("epoch {} of a sink that prepares nothing is to be committed", committable.epoch);
        Err(Error::new(ErrorKind::Internal, message))
    }

    fn abort(&mut self, _committable: &Committable) -> Result<()> {
        Ok(())
    }
}
