//! A two-phase sink into memory: what a test reads is what a checkpoint committed.
//!
//! The handle, not the participant, holds sealed, prepared and committed records, as a broker or a
//! disk would: it outlives attempts, so restarts behave as they do with a real system.

use crate::api::batch::Batch;
use crate::api::sink::{Committable, Share, Sink, SinkContext, SinkWriter, TwoPhaseCommit, WriterContext};
use crate::control::permit::{CommitPermit, Published, Recovery};
use crate::error::{Error, ErrorKind, Result};
use crate::id::Epoch;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Records<T> = Vec<(T, Timestamp)>;

/// Writes records into memory, exactly once within the process; [`MemorySink::output`] reads them.
pub struct MemorySink<T> {
    output: MemoryOutput<T>,
}

impl<T> Default for MemorySink<T> {
    fn default() -> Self {
        Self { output: MemoryOutput::default() }
    }
}

impl<T> Clone for MemorySink<T> {
    fn clone(&self) -> Self {
        Self { output: self.output.clone() }
    }
}

impl<T> MemorySink<T> {
    /// A sink with an output of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The handle to read what was committed; stays valid after the job.
    #[must_use]
    pub fn output(&self) -> MemoryOutput<T> {
        self.output.clone()
    }
}

/// What a [`MemorySink`] holds. Clones are handles to the same records.
pub struct MemoryOutput<T> {
    shelf: Arc<Mutex<Shelf<T>>>,
}

impl<T> Clone for MemoryOutput<T> {
    fn clone(&self) -> Self {
        Self { shelf: self.shelf.clone() }
    }
}

impl<T> Default for MemoryOutput<T> {
    fn default() -> Self {
        Self { shelf: Arc::new(Mutex::new(Shelf::default())) }
    }
}

struct Shelf<T> {
    /// What writers sealed; a crash would lose it.
    sealed: BTreeMap<(Name, Writer), Records<T>>,
    /// What survives a crash, yet is invisible.
    prepared: BTreeMap<Name, Records<T>>,
    /// In the order of commits; a name stays, so that it can be committed again.
    committed: Vec<(Name, Records<T>)>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { sealed: BTreeMap::new(), prepared: BTreeMap::new(), committed: Vec::new() }
    }
}

/// Identifies what one participant prepared: the bytes of its committable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Name {
    lineage: String,
    participant: String,
    attempt: u64,
    epoch: Epoch,
}

/// A sink's id and a worker.
type Writer = (String, usize);

impl<T> MemoryOutput<T> {
    /// All committed records: by commit, within one by sink and worker, within those as written.
    #[must_use]
    pub fn committed(&self) -> Vec<T>
    where
        T: Clone,
    {
        self.committed_with_times().into_iter().map(|(record, _)| record).collect()
    }

    /// As [`MemoryOutput::committed`], with event times.
    #[must_use]
    pub fn committed_with_times(&self) -> Vec<(T, Timestamp)>
    where
        T: Clone,
    {
        self.lock().committed.iter().flat_map(|(_, records)| records.iter().cloned()).collect()
    }

    /// The committed records of each epoch that has any, in the order of commits.
    #[must_use]
    pub fn committed_by_epoch(&self) -> Vec<(Epoch, Vec<T>)>
    where
        T: Clone,
    {
        let values = |records: &Records<T>| records.iter().map(|(record, _)| record.clone()).collect();
        self.lock().committed.iter().map(|(name, records)| (name.epoch, values(records))).collect()
    }

    /// The number of committed records.
    #[must_use]
    pub fn committed_count(&self) -> usize {
        self.lock().committed.iter().map(|(_, records)| records.len()).sum()
    }

    /// The records that are prepared, and not yet committed.
    #[must_use]
    pub fn prepared(&self) -> Vec<T>
    where
        T: Clone,
    {
        self.lock().prepared.values().flatten().map(|(record, _)| record.clone()).collect()
    }

    /// How many records are sealed or prepared: what an interrupted job left until it recovers.
    #[must_use]
    pub fn unfinished_count(&self) -> usize {
        let shelf = self.lock();
        shelf.sealed.values().map(Vec::len).sum::<usize>() + shelf.prepared.values().map(Vec::len).sum::<usize>()
    }

    fn lock(&self) -> MutexGuard<'_, Shelf<T>> {
        // Each update is one map operation: a panic elsewhere cannot leave half of one.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send + 'static> Sink for MemorySink<T> {
    type Record = T;
    type Participant = MemoryParticipant<T>;
    type Writer = MemoryWriter<T>;

    fn describe(&self) -> String {
        "memory, exactly once".to_owned()
    }

    fn open(&self, context: &SinkContext<'_>) -> Result<MemoryParticipant<T>> {
        let name = Name {
            lineage: context.lineage.to_owned(),
            participant: context.participant.to_owned(),
            attempt: context.attempt,
            epoch: context.epoch,
        };
        Ok(MemoryParticipant { output: self.output(), name })
    }

    fn writer(&self, participant: &mut MemoryParticipant<T>, context: &WriterContext<'_>) -> Result<MemoryWriter<T>> {
        Ok(MemoryWriter {
            output: self.output(),
            name: participant.name.clone(),
            writer: (context.id.to_owned(), context.worker),
            records: Vec::new(),
        })
    }
}

/// Collects one worker's records.
pub struct MemoryWriter<T> {
    output: MemoryOutput<T>,
    /// Of this attempt; its epoch is replaced at each seal.
    name: Name,
    writer: Writer,
    records: Records<T>,
}

impl<T: Send + 'static> SinkWriter for MemoryWriter<T> {
    type Record = T;

    fn write(&mut self, batch: &mut Batch<T>) -> Result<()> {
        self.records.extend(batch.drain());
        Ok(())
    }

    fn seal(&mut self, epoch: Epoch) -> Result<Vec<u8>> {
        if self.records.is_empty() {
            return Ok(Vec::new());
        }
        let name = Name { epoch, ..self.name.clone() };
        let bytes = name.to_bytes()?;
        let records = std::mem::take(&mut self.records);
        self.output.lock().sealed.insert((name, self.writer.clone()), records);
        Ok(bytes)
    }
}

/// Moves records from sealed to prepared to committed.
pub struct MemoryParticipant<T> {
    output: MemoryOutput<T>,
    name: Name,
}

impl<T: Send + 'static> TwoPhaseCommit for MemoryParticipant<T> {
    fn recover(&mut self, published: Vec<Published>, _recovery: &mut Recovery<'_>) -> Result<()> {
        for published in &published {
            self.commit(published.committable(), published.permit())?;
        }
        let ours = |name: &Name| name.lineage == self.name.lineage && name.participant == self.name.participant;
        let mut shelf = self.output.lock();
        shelf.prepared.retain(|name, _| !ours(name));
        shelf.sealed.retain(|(name, _), _| !ours(name));
        Ok(())
    }

    fn prepare(&mut self, epoch: Epoch, shares: Vec<Share>) -> Result<Option<Vec<u8>>> {
        let mut shares: Vec<Share> = shares.into_iter().filter(|share| !share.bytes.is_empty()).collect();
        if shares.is_empty() {
            return Ok(None);
        }
        shares.sort_by(|a, b| (&a.sink, a.worker).cmp(&(&b.sink, b.worker)));
        let mut all = Vec::new();
        let mut shelf = self.output.lock();
        for Share { sink, worker, bytes } in shares {
            let sealed = (Name::from_bytes(&bytes)?, (sink, worker));
            all.append(&mut shelf.sealed.remove(&sealed).ok_or_else(|| gone(ErrorKind::Sink, &sealed.0))?);
        }
        let name = Name { epoch, ..self.name.clone() };
        let bytes = name.to_bytes()?;
        shelf.prepared.insert(name, all);
        Ok(Some(bytes))
    }

    fn commit(&mut self, committable: &Committable, _permit: &CommitPermit) -> Result<()> {
        let name = Name::from_bytes(&committable.bytes)?;
        let mut shelf = self.output.lock();
        if let Some(records) = shelf.prepared.remove(&name) {
            shelf.committed.push((name, records));
            return Ok(());
        }
        let before = shelf.committed.iter().any(|(committed, _)| *committed == name);
        if before { Ok(()) } else { Err(gone(ErrorKind::DataLoss, &name)) }
    }

    fn abort(&mut self, committable: &Committable) -> Result<()> {
        let name = Name::from_bytes(&committable.bytes)?;
        self.output.lock().prepared.remove(&name);
        Ok(())
    }
}

impl Name {
    fn to_bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self)
            .map_err(|error| Error::new(ErrorKind::Internal, "a memory sink's name cannot be written").caused_by(error))
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|error| {
            let message = "these bytes were not made by a memory sink; restore a checkpoint of this pipeline";
            Error::new(ErrorKind::Checkpoint, message).caused_by(error)
        })
    }
}

fn gone(kind: ErrorKind, name: &Name) -> Error {
    let message = format!(
        "memory sink {}: the records of epoch {} (attempt {}) are no longer in memory; output in memory does \
         not outlive its process or its handle, start without the checkpoint",
        name.participant, name.epoch, name.attempt
    );
    Error::new(kind, message)
}
