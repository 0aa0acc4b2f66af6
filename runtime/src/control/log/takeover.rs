//! Whether another attempt has taken the job over: one that this process has not made.

use super::{CheckpointLog, Found, read_slots};
use crate::control::store::CheckpointStore;
use crate::error::{Error, ErrorKind};
use uuid::Uuid;

/// What a process has done in a log, over its attempts.
#[derive(Clone, Debug)]
pub struct Own {
    lineage: Uuid,
    /// The slot of its last claim.
    claimed: u64,
    /// Whose slots after that one are its own: the attempt that made the claim, and those that have tried to
    /// claim since. Without an answer, theirs may be there, or come late.
    ///
    /// Earlier ones are none of them: a slot is tried right after the newest one that was seen, so that what is
    /// left of theirs comes before the claim, or too late.
    attempts: Vec<Uuid>,
}

impl Own {
    pub(super) fn claimed(store: &dyn CheckpointStore, slot: u64, attempt: Uuid) -> Self {
        Self { lineage: store.identity().lineage, claimed: slot, attempts: vec![attempt] }
    }

    pub(super) fn tries(&mut self, attempt: Uuid) {
        self.attempts.push(attempt);
    }

    /// Whether it is this store, by whatever path, in which it was done.
    #[must_use]
    pub fn is_in(&self, store: &dyn CheckpointStore) -> bool {
        store.identity().lineage == self.lineage
    }

    /// What another process made after the last claim. Not only a claim tells: retention deletes it once its
    /// attempt has published enough.
    pub(super) fn taken_over(&self, found: &[Found]) -> Option<String> {
        let since = found.iter().filter(|(slot, _)| *slot > self.claimed);
        let mut contents = since.filter_map(|(_, content)| content.as_ref().ok());
        contents.find(|content| !self.attempts.contains(&content.attempt())).map(ToString::to_string)
    }
}

impl CheckpointLog {
    /// Why an attempt of this process failed: if another one has taken the job over since, that is why, and the
    /// failure is what came of it.
    pub(crate) fn why_failed(&self, error: Error, own: &Own) -> Error {
        if !may_come_of_a_takeover(error.kind()) {
            return error;
        }
        let found = read_slots(&*self.store);
        match found.ok().and_then(|found| own.taken_over(&found)) {
            Some(by) => superseded(&by).caused_by(error),
            None => error,
        }
    }
}

pub(super) fn superseded(by: &str) -> Error {
    let message = format!("another attempt has taken the job over ({by}); this one stops and commits nothing more");
    Error::new(ErrorKind::Superseded, message)
}

/// Whether an attempt can fail so because another one has taken the job over: it is locked out of its
/// transactions, and files of its state are deleted. What the program is, and its bugs, are no other's doing.
fn may_come_of_a_takeover(kind: ErrorKind) -> bool {
    match kind {
        ErrorKind::Config | ErrorKind::Graph | ErrorKind::State | ErrorKind::Superseded => false,
        ErrorKind::Stuck | ErrorKind::Internal => false,
        ErrorKind::Store | ErrorKind::Checkpoint | ErrorKind::Source | ErrorKind::Sink | ErrorKind::Operator => true,
        ErrorKind::DataLoss | ErrorKind::FateUnknown | ErrorKind::Timeout => true,
    }
}
