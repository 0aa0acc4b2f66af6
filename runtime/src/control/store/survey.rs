//! What is in a store, for people: `checkpoints list`.
//!
//! Reads everything and judges nothing: which checkpoint to go on from is decided elsewhere.

use super::CheckpointStore;
use crate::control::manifest::{Slot, Unreadable};
use crate::error::Result;

/// One thing found in a store.
#[derive(Clone, Debug, PartialEq)]
pub struct Surveyed {
    /// The slot's number; `None` for what is not a slot.
    pub slot: Option<u64>,
    /// The slot's number as text, or the file's name.
    pub name: String,
    /// How many bytes the slot has.
    pub bytes: u64,
    /// What it holds.
    pub status: SlotStatus,
}

/// What a thing in a store holds.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SlotStatus {
    /// A whole slot.
    Ok(Box<Slot>),
    /// A slot that was cut off.
    HalfWritten(String),
    /// A slot that cannot be read, and why: damaged, or of another version or store.
    Corrupt(String),
    /// Not of this store. It is left alone.
    Foreign,
}

/// Everything in a store, oldest slot first, then foreign files.
///
/// # Errors
/// [`ErrorKind::Store`](crate::ErrorKind::Store) when it cannot be listed or read. What is in it never is an error.
pub fn survey(store: &dyn CheckpointStore) -> Result<Vec<Surveyed>> {
    let mut found = Vec::new();
    for slot in store.list()? {
        // `None`: deleted since it was listed.
        if let Some(bytes) = store.read(slot)? {
            let status = match Slot::decode(&bytes, store.identity()) {
                Ok(content) => SlotStatus::Ok(Box::new(content)),
                Err(Unreadable::HalfWritten(detail)) => SlotStatus::HalfWritten(detail),
                Err(Unreadable::Foreign) => SlotStatus::Foreign,
                Err(other) => SlotStatus::Corrupt(other.to_string()),
            };
            found.push(Surveyed { slot: Some(slot), name: slot.to_string(), bytes: bytes.len() as u64, status });
        }
    }
    for name in store.foreign()? {
        found.push(Surveyed { slot: None, name, bytes: 0, status: SlotStatus::Foreign });
    }
    Ok(found)
}
