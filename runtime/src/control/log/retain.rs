//! Retention: deletes old checkpoints and what nothing names any more.
//!
//! It runs while another attempt may have taken over without this one's knowledge, and while the next
//! checkpoint's blobs are being written. Both are safe by what it never touches: the newest manifests,
//! and blobs of an attempt that is younger, or of an epoch that is not published yet.

use super::{ClaimedLog, read_slots};
use crate::control::manifest::{CheckpointKind, Slot};
use crate::control::store::blob_origin;
use crate::crash::crash_point;
use crate::error::Result;
use crate::planted::{Bug, planted};
use std::collections::BTreeSet;

/// What retention deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// How many slots.
    pub slots_deleted: usize,
    /// How many state blobs.
    pub blobs_deleted: usize,
}

impl ClaimedLog {
    /// Keeps the newest `keep` manifests (at least one), every savepoint, and the blobs they name;
    /// deletes what is older. Does nothing before this attempt's first publication. Can be repeated.
    ///
    /// # Errors
    /// [`ErrorKind::Store`](crate::ErrorKind::Store); what was not deleted is deleted next time.
    pub fn retain(&self, keep: usize) -> Result<Retained> {
        let mut retained = Retained::default();
        if !self.published {
            return Ok(retained);
        }
        let found = read_slots(&*self.store)?;
        let mut manifests = found.iter().rev().filter(|(_, content)| matches!(content, Ok(Slot::Manifest(_))));
        // With fewer manifests than are to be kept, everything is.
        let oldest_kept = manifests.nth(keep.max(1) - 1).map_or(0, |(slot, _)| *slot);
        let mut named = BTreeSet::new();
        let mut unreadable = false;
        for (slot, content) in &found {
            match content {
                Ok(Slot::Manifest(manifest))
                    if *slot >= oldest_kept || manifest.cut.kind == CheckpointKind::Savepoint =>
                {
                    named.extend(manifest.cut.parts().map(|part| part.blob.as_str()));
                }
                _ if *slot < oldest_kept => {
                    // Manifests before blobs: what is interrupted leaves blobs that nothing names, not
                    // manifests whose blobs are gone.
                    self.store.delete_slot(*slot)?;
                    retained.slots_deleted += 1;
                    crash_point("retain-slot");
                }
                Ok(_) => {}
                Err(_) => unreadable = true,
            }
        }
        // What a damaged slot names is not known. It will fall out of the window.
        if unreadable {
            return Ok(retained);
        }
        for blob in self.store.list_blobs()? {
            if (!named.contains(blob.as_str()) || planted(Bug::RetentionDeletesNamed)) && self.may_delete(&blob) {
                self.store.delete_blob(&blob)?;
                retained.blobs_deleted += 1;
                crash_point("retain-blob");
            }
        }
        Ok(retained)
    }

    /// A blob that nothing names may be deleted when nothing can name it any more: its attempt was
    /// superseded by ours, or its epoch is published.
    fn may_delete(&self, blob: &str) -> bool {
        blob_origin(blob).is_some_and(|(attempt, epoch)| {
            attempt < self.claimed || (attempt == self.claimed && Some(epoch) <= self.epoch)
        })
    }
}
