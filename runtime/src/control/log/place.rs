//! Makes a slot, whatever the store answers: a lost answer is decided by reading the slot back.
//!
//! Must not know what the bytes mean, beyond naming whose they are in a message.

use crate::control::manifest::Slot;
use crate::control::store::{CheckpointStore, Created};
use crate::error::{Error, ErrorKind, Result};
use crate::planted::{Bug, planted};

/// How often a slot is tried. The store waits and retries on its own where waiting helps.
const TRIES: usize = 3;

/// Whose bytes are in a slot.
pub(super) enum Placed {
    Ours,
    /// Others are there, or the log has moved on.
    Lost {
        /// By what, in words.
        by: String,
        /// What is in the slot, if it is the newest one.
        there: Option<Vec<u8>>,
    },
}

/// Makes a slot, and finds out who did when the answer was lost or somebody was there.
pub(super) fn place(store: &dyn CheckpointStore, slot: u64, bytes: &[u8]) -> Result<Placed> {
    let mut last_error = None;
    for _ in 0..TRIES {
        let seen = match store.create(slot, bytes) {
            Ok(Created::Created) => return Ok(Placed::Ours),
            Ok(Created::Taken) => read_back(store, slot, bytes),
            Err(error) if planted(Bug::LostAnswerIsFailure) => return Err(error),
            Err(error) => Err(error),
        };
        match seen {
            Ok(Some(placed)) => return Ok(placed),
            // Called taken, but nothing is there: object stores may answer so to a write that collided
            // with another one that then failed.
            Ok(None) => {}
            Err(error) => last_error = Some(error),
        }
    }
    Err(last_error.unwrap_or_else(|| {
        Error::new(
            ErrorKind::Store,
            format!("{} says that slot {slot} is taken, but it is not there; check the store", store.describe()),
        )
    }))
}

/// Decides whether a slot that is taken is ours: only if it is the newest and holds our very bytes,
/// which name our attempt's uuid.
pub(super) fn read_back(store: &dyn CheckpointStore, slot: u64, bytes: &[u8]) -> Result<Option<Placed>> {
    // Something newer means that another attempt has taken over, even if our bytes are there: it has
    // read them and will settle what they list.
    if let Some(newest) = store.list()?.last().filter(|newest| **newest > slot) {
        return Ok(Some(Placed::Lost { by: format!("the log has grown to slot {newest}"), there: None }));
    }
    Ok(match store.read(slot)? {
        None => None,
        Some(there) if there == bytes => Some(Placed::Ours),
        Some(there) => match Slot::decode(&there, store.identity()) {
            Ok(other) => Some(Placed::Lost { by: format!("slot {slot} holds the {other}"), there: Some(there) }),
            Err(unreadable) => return Err(unreadable.at(format!("slot {slot}"))),
        },
    })
}
