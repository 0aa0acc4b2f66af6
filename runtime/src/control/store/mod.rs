//! Where checkpoints are kept: create-only slots, and blobs.
//!
//! Everything rests on one primitive, [`CheckpointStore::create`]: of all attempts that ever try to
//! make slot *n*, exactly one succeeds. Which slot to make, and what that means, is the
//! checkpoint log's business; a store must not know what the bytes say.

mod disk;
mod envelope;
mod local;
mod memory;
mod survey;
#[cfg(test)]
mod tests;

pub(crate) use disk::Files;
pub use local::LocalStore;
pub use memory::MemoryStore;
pub use survey::{SlotStatus, Surveyed, survey};

use super::manifest::StoreIdentity;
use crate::error::{Error, ErrorKind, Result};
use crate::id::Epoch;

#[cfg(test)]
pub(crate) use memory::Fault;

/// What became of an attempt to make a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It is durable, with these bytes.
    Created,
    /// Nothing was made, or it was made where the log has long moved on: this slot is not the caller's
    /// to rely on. (The log reads it back to see whether an earlier try of its own got there.)
    Taken,
}

/// A place that keeps checkpoints. All calls may block.
///
/// An `Err` from a writing call means *unknown*: it may have happened, may happen later, or never.
pub trait CheckpointStore: Send + Sync {
    /// Whose store it is.
    fn identity(&self) -> &StoreIdentity;

    /// Where it is, for messages.
    fn describe(&self) -> String;

    /// Makes a slot if neither it nor a higher one exists. On return it is durable.
    ///
    /// The second condition matters when old slots are deleted: a process that slept through that
    /// would otherwise succeed in making a slot that was taken, and deleted, long ago.
    ///
    /// # Errors
    /// [`ErrorKind::Store`]; whether the slot was made is then unknown.
    fn create(&self, slot: u64, bytes: &[u8]) -> Result<Created>;

    /// The bytes of a slot; `None` if there is no such slot.
    ///
    /// # Errors
    /// [`ErrorKind::Store`].
    fn read(&self, slot: u64) -> Result<Option<Vec<u8>>>;

    /// The numbers of all slots, rising.
    ///
    /// # Errors
    /// [`ErrorKind::Store`].
    fn list(&self) -> Result<Vec<u64>>;

    /// The names of things in the store that are not the store's.
    ///
    /// # Errors
    /// [`ErrorKind::Store`].
    fn foreign(&self) -> Result<Vec<String>>;

    /// Removes a slot, if it exists.
    ///
    /// # Errors
    /// [`ErrorKind::Store`].
    fn delete_slot(&self, slot: u64) -> Result<()>;

    /// Keeps bytes under a name ([`blob_name`]). On return they are durable. Names are never used
    /// twice; the same bytes again are accepted, for retries.
    ///
    /// # Errors
    /// [`ErrorKind::Store`].
    fn put_blob(&self, name: &str, bytes: &[u8]) -> Result<()>;

    /// The bytes of a blob, checked.
    ///
    /// # Errors
    /// [`ErrorKind::Store`], or [`ErrorKind::Checkpoint`] when it is missing or damaged.
    fn get_blob(&self, name: &str) -> Result<Vec<u8>>;

    /// The names of all blobs.
    ///
    /// # Errors
    /// [`ErrorKind::Store`].
    fn list_blobs(&self) -> Result<Vec<String>>;

    /// Removes a blob, if it exists.
    ///
    /// # Errors
    /// [`ErrorKind::Store`].
    fn delete_blob(&self, name: &str) -> Result<()>;
}

const BLOB_NAME_BYTES_MAX: usize = 160;
const BLOB_ID_BYTES_MAX: usize = 90;

/// The name of a worker's state blob. `attempt` is the slot that the attempt claimed: unique in the
/// store and rising, so that clean-up can tell what a dead attempt left from what a living one is
/// about to publish. `number` counts the blobs of one part.
#[must_use]
pub fn blob_name(attempt: u64, epoch: Epoch, operator: &str, worker: usize, number: usize) -> String {
    let mut id = String::new();
    for byte in operator.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            id.push(char::from(byte));
        } else {
            id.push_str(&format!("~{byte:02x}"));
        }
    }
    if id.len() > BLOB_ID_BYTES_MAX {
        id.truncate(BLOB_ID_BYTES_MAX);
        id.push_str(&format!("~{:08x}", crc32fast::hash(operator.as_bytes())));
    }
    format!("{attempt:08}-{:08}-{id}-w{worker}-{number}", epoch.0)
}

/// The attempt and epoch in a blob's name; `None` for a name that [`blob_name`] did not make.
pub(crate) fn blob_origin(name: &str) -> Option<(u64, Epoch)> {
    let mut fields = name.splitn(3, '-');
    let attempt = fields.next()?.parse().ok()?;
    let epoch = fields.next()?.parse().ok()?;
    fields.next()?;
    Some((attempt, Epoch(epoch)))
}

/// Refuses names that could leave the store's folder or be taken for something else.
fn check_blob_name(name: &str) -> Result<()> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'~');
    if !name.is_empty() && name.len() <= BLOB_NAME_BYTES_MAX && name.bytes().all(plain) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Internal, format!("`{name}` cannot name a state blob; use `blob_name`")))
}

fn missing_blob(name: &str) -> Error {
    Error::new(
        ErrorKind::Checkpoint,
        format!(
            "state blob `{name}` is missing from the store; bring it back from a backup, or go on from another \
             checkpoint with `--restore <slot>`"
        ),
    )
}

fn blob_differs(name: &str) -> Error {
    Error::new(
        ErrorKind::Internal,
        format!("state blob `{name}` exists with other content: a name was used twice; please report this"),
    )
}
