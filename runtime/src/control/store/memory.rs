//! A checkpoint store in memory: for tests, simulation, and jobs whose state may die with the process.
//!
//! Clones share what they keep, so several attempts can meet in one store.

use super::{CheckpointStore, Created, blob_differs, check_blob_name, missing_blob};
use crate::control::manifest::StoreIdentity;
use crate::error::Result;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

/// Checkpoints in memory. Clones share their content.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    identity: StoreIdentity,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    slots: BTreeMap<u64, Vec<u8>>,
    blobs: BTreeMap<String, Vec<u8>>,
    #[cfg(test)]
    faults: Vec<Fault>,
    #[cfg(test)]
    delayed: Vec<(u64, Vec<u8>)>,
    #[cfg(test)]
    looks_failing: Vec<bool>,
}

/// What goes wrong with the next `create`.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It fails and nothing was made.
    Refused,
    /// It is made, but the answer is lost.
    AnswerLost,
    /// It fails, and may land later: [`MemoryStore::land_delayed`].
    Delayed,
    /// It says `Taken`, though nothing was made (S3's 409).
    FalselyTaken,
}

impl MemoryStore {
    /// An empty store. `lineage` should be random.
    #[must_use]
    pub fn new(job: &str, lineage: Uuid) -> Self {
        Self { identity: StoreIdentity { job: job.to_owned(), lineage }, kept: Arc::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Each change is a single insertion or removal, so a poisoned lock guards nothing half-done.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Damages a slot, or makes one.
    #[cfg(test)]
    pub(crate) fn overwrite(&self, slot: u64, bytes: &[u8]) {
        self.kept().slots.insert(slot, bytes.to_vec());
    }

    /// What the next calls of `create` suffer, in this order.
    #[cfg(test)]
    pub(crate) fn fail_next(&self, faults: &[Fault]) {
        self.kept().faults.extend(faults.iter().rev());
    }

    /// Which of the next calls of `list` and `read` fail, in this order; replaces what was said before.
    #[cfg(test)]
    pub(crate) fn fail_looks(&self, failing: &[bool]) {
        self.kept().looks_failing = failing.iter().rev().copied().collect();
    }

    /// Lets the writes that were delayed arrive now.
    #[cfg(test)]
    pub(crate) fn land_delayed(&self) {
        let mut kept = self.kept();
        for (slot, bytes) in std::mem::take(&mut kept.delayed) {
            kept.make(slot, &bytes);
        }
    }

    #[cfg(test)]
    fn look(&self) -> Result<()> {
        if self.kept().looks_failing.pop() == Some(true) { Err(injected("no answer")) } else { Ok(()) }
    }

    #[cfg(test)]
    fn fault(kept: &mut Kept, slot: u64, bytes: &[u8]) -> Option<Result<Created>> {
        let fault = kept.faults.pop()?;
        match fault {
            Fault::Refused => {}
            Fault::FalselyTaken => return Some(Ok(Created::Taken)),
            Fault::AnswerLost => drop(kept.make(slot, bytes)),
            Fault::Delayed => kept.delayed.push((slot, bytes.to_vec())),
        }
        Some(Err(injected(&format!("{fault:?}"))))
    }
}

#[cfg(test)]
fn injected(fault: &str) -> crate::error::Error {
    crate::error::Error::new(crate::error::ErrorKind::Store, format!("injected: {fault}"))
}

impl Kept {
    fn make(&mut self, slot: u64, bytes: &[u8]) -> Created {
        if self.slots.range(slot..).next().is_some() {
            return Created::Taken;
        }
        self.slots.insert(slot, bytes.to_vec());
        Created::Created
    }
}

impl CheckpointStore for MemoryStore {
    fn identity(&self) -> &StoreIdentity {
        &self.identity
    }

    fn describe(&self) -> String {
        "memory".to_owned()
    }

    fn create(&self, slot: u64, bytes: &[u8]) -> Result<Created> {
        let mut kept = self.kept();
        #[cfg(test)]
        if let Some(answer) = Self::fault(&mut kept, slot, bytes) {
            return answer;
        }
        Ok(kept.make(slot, bytes))
    }

    fn read(&self, slot: u64) -> Result<Option<Vec<u8>>> {
        #[cfg(test)]
        self.look()?;
        Ok(self.kept().slots.get(&slot).cloned())
    }

    fn list(&self) -> Result<Vec<u64>> {
        #[cfg(test)]
        self.look()?;
        Ok(self.kept().slots.keys().copied().collect())
    }

    fn foreign(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn delete_slot(&self, slot: u64) -> Result<()> {
        self.kept().slots.remove(&slot);
        Ok(())
    }

    fn put_blob(&self, name: &str, bytes: &[u8]) -> Result<()> {
        check_blob_name(name)?;
        let mut kept = self.kept();
        match kept.blobs.get(name) {
            Some(there) if there != bytes => Err(blob_differs(name)),
            Some(_) => Ok(()),
            None => {
                kept.blobs.insert(name.to_owned(), bytes.to_vec());
                Ok(())
            }
        }
    }

    fn get_blob(&self, name: &str) -> Result<Vec<u8>> {
        check_blob_name(name)?;
        self.kept().blobs.get(name).cloned().ok_or_else(|| missing_blob(name))
    }

    fn list_blobs(&self) -> Result<Vec<String>> {
        Ok(self.kept().blobs.keys().cloned().collect())
    }

    fn delete_blob(&self, name: &str) -> Result<()> {
        check_blob_name(name)?;
        self.kept().blobs.remove(name);
        Ok(())
    }
}
