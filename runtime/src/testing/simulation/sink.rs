//! A simulated sink: its writers and its participant, over the world's [ledger](super::ledger).

use super::ledger::Id;
use super::world::{Failure, Pid, World};
use crate::api::sink::{Committable, Share, SinkContext, TwoPhaseCommit, WriterContext};
use crate::control::permit::{CommitPermit, Published, Recovery};
use crate::crash::crash_point;
use crate::data::sink::Participant;
use crate::error::{Error, ErrorKind, Result};
use crate::flow::stand_in::{AnyRecord, SinkFacts, SinkStandIn, WriterStandIn};
use crate::id::Epoch;
use crate::time::Timestamp;
use std::any::Any;
use std::sync::Arc;

pub(super) struct SimulatedSink {
    pub world: Arc<World>,
    pub pid: Pid,
    pub facts: Arc<SinkFacts>,
}

impl SinkStandIn for SimulatedSink {
    fn open(&self, context: &SinkContext<'_>) -> Result<Box<dyn Participant>> {
        let name = context.participant.to_owned();
        Ok(Box::new(Prepares { world: self.world.clone(), pid: self.pid, name, attempt: context.attempt }))
    }

    fn writer(&self, participant: &mut dyn Any, context: &WriterContext<'_>) -> Result<Box<dyn WriterStandIn>> {
        let attempt = participant.downcast_ref::<Prepares>().map_or(0, |participant| participant.attempt);
        let id = Id { participant: self.facts.participant.clone(), attempt, epoch: context.epoch };
        let writer = (self.facts.id.clone(), context.worker);
        Ok(Box::new(Writes { world: self.world.clone(), pid: self.pid, id, writer, written: 0 }))
    }
}

fn refused(id: &Id, what: &str, why: &str) -> Error {
    let message = format!("the transaction of epoch {} (attempt {}) cannot be {what}: {why}", id.epoch, id.attempt);
    Error::new(ErrorKind::Sink, message)
}

fn injected(what: &str, failure: Failure) -> Error {
    let what_of_it = match failure {
        Failure::Before => "nothing happened",
        Failure::After => "it happened, but the answer was lost",
        Failure::Late => "it will happen later",
    };
    Error::new(ErrorKind::Sink, format!("injected failure of a {what}: {what_of_it}"))
}

pub(super) fn dead() -> Error {
    Error::new(ErrorKind::Sink, "the process is dead")
}

struct Writes {
    world: Arc<World>,
    pid: Pid,
    id: Id,
    writer: (String, usize),
    written: usize,
}

impl WriterStandIn for Writes {
    fn ready(&mut self) -> Result<bool> {
        Ok(true)
    }

    fn write(&mut self, records: &mut dyn Iterator<Item = (AnyRecord, Timestamp)>) -> Result<()> {
        if !self.world.enter(self.pid, "sink-write") {
            return Err(dead());
        }
        let Self { id, writer, written, .. } = self;
        let mut counted = records.inspect(|_| *written += 1);
        self.world.with(|state| {
            let wrote = state.ledger.write(id, writer.clone(), &mut counted);
            wrote.map_err(|why| refused(id, "written to", why))
        })
    }

    fn seal(&mut self, epoch: Epoch) -> Result<Vec<u8>> {
        self.id.epoch = epoch.next();
        Ok(std::mem::take(&mut self.written).to_string().into_bytes())
    }
}

/// The participant.
struct Prepares {
    world: Arc<World>,
    pid: Pid,
    name: String,
    attempt: u64,
}

impl Prepares {
    /// A call that may fail before or after it does what it is asked to.
    fn call<T>(
        &self,
        place: &'static str,
        what: &str,
        call: impl FnOnce(&mut super::world::State) -> Result<T>,
    ) -> Result<T> {
        if !self.world.enter(self.pid, place) {
            return Err(dead());
        }
        self.world.with(|state| match state.take_sink_failure() {
            None => call(state),
            Some(Failure::After) => call(state).and_then(|_| Err(injected(what, Failure::After))),
            Some(failure) => Err(injected(what, failure)),
        })
    }

    fn id_of(committable: &Committable) -> Result<Id> {
        serde_json::from_slice(&committable.bytes).map_err(|error| {
            Error::new(ErrorKind::Checkpoint, "a committable that no simulated sink made").caused_by(error)
        })
    }

    fn commit_one(&self, committable: &Committable) -> Result<()> {
        let id = Self::id_of(committable)?;
        if !self.world.enter(self.pid, "sink-commit") {
            return Err(dead());
        }
        self.world.with(|state| {
            let failure = state.take_sink_failure();
            match failure {
                Some(Failure::Before) => return Err(injected("commit", Failure::Before)),
                Some(Failure::Late) => {
                    state.ledger.commit_late(&id);
                    return Err(injected("commit", Failure::Late));
                }
                Some(Failure::After) | None => {}
            }
            state.ledger.commit(&id).map_err(|why| {
                let error = refused(&id, "committed", why);
                Error::new(ErrorKind::DataLoss, error.message().to_owned())
            })?;
            state.say(self.pid, || format!("epoch {} of `{}` is committed", id.epoch, id.participant));
            failure.map_or(Ok(()), |failure| Err(injected("commit", failure)))
        })
    }
}

impl TwoPhaseCommit for Prepares {
    fn recover(&mut self, published: Vec<Published>, _recovery: &mut Recovery<'_>) -> Result<()> {
        for published in &published {
            self.commit_one(published.committable())?;
            crash_point("recover-settled");
        }
        self.call("sink-fence", "recovery", |state| {
            state.ledger.fence(&self.name, self.attempt);
            Ok(())
        })
    }

    fn prepare(&mut self, epoch: Epoch, shares: Vec<Share>) -> Result<Option<Vec<u8>>> {
        let written: usize =
            shares.iter().filter_map(|share| std::str::from_utf8(&share.bytes).ok()?.parse::<usize>().ok()).sum();
        let id = Id { participant: self.name.clone(), attempt: self.attempt, epoch };
        let prepared = self.call("sink-prepare", "prepare", |state| {
            state.ledger.prepare(&id).map_err(|why| refused(&id, "prepared", why))
        })?;
        if !prepared && written > 0 {
            return Err(Error::new(
                ErrorKind::Internal,
                format!("{written} records of epoch {epoch} were written nowhere"),
            ));
        }
        let bytes = || {
            serde_json::to_vec(&id)
                .map_err(|error| Error::new(ErrorKind::Internal, "an id cannot be written").caused_by(error))
        };
        prepared.then(bytes).transpose()
    }

    fn commit(&mut self, committable: &Committable, _permit: &CommitPermit) -> Result<()> {
        self.commit_one(committable)
    }

    fn abort(&mut self, committable: &Committable) -> Result<()> {
        let id = Self::id_of(committable)?;
        self.call("sink-abort", "abort", |state| {
            let aborted = state.ledger.abort(&id, "aborted by its own attempt");
            aborted.map_err(|why| refused(&id, "aborted", why))
        })
    }
}
