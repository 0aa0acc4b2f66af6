//! A checkpoint published anew with other committables, in the next slot: the restored one, when what it lists
//! cannot be committed any more, and an attempt's last one, when all that it lists is committed.

use super::{ClaimedLog, Publication, read_slots};
use crate::api::sink::Committable;
use crate::control::manifest::{Cut, Manifest, Slot};
use crate::control::permit::{CommitPermit, Recovery, Republish};
use crate::error::{Error, ErrorKind, Result};

struct Restored<'a, N> {
    log: &'a mut ClaimedLog,
    cut: Option<Cut>,
    now_ms: N,
}

impl ClaimedLog {
    /// What participants settle the restored checkpoint with, under the claim's `permit`. `now_ms` tells
    /// the time in milliseconds since 1970.
    pub(crate) fn recovery<'a>(
        &'a mut self,
        restored: Option<Cut>,
        permit: CommitPermit,
        accept_data_loss: bool,
        now_ms: impl Fn() -> u64 + 'a,
    ) -> Recovery<'a> {
        let listed = restored.iter().flat_map(|cut| cut.committables.iter().cloned()).collect();
        Recovery::new(Restored { log: self, cut: restored, now_ms }, listed, permit, accept_data_loss)
    }

    /// Publishes this attempt's last checkpoint without its committables, which are all committed. Whoever goes on
    /// from it has nothing to settle: a sink may be another one, or have gone.
    ///
    /// # Errors
    /// [`ErrorKind::Store`] and [`ErrorKind::Superseded`]; the checkpoint stands as it was.
    pub fn close(&mut self, now_ms: u64) -> Result<()> {
        if !self.published {
            return Ok(());
        }
        let newest = read_slots(&*self.store)?.pop();
        let Some((slot, Ok(Slot::Manifest(Manifest { cut, .. })))) = newest else { return Ok(()) };
        if slot != self.last {
            return Ok(());
        }
        self.close_with(cut, now_ms)
    }

    /// The same for the restored checkpoint, when recovery has committed what it lists and nothing else is left to do.
    ///
    /// # Errors
    /// As [`close`](Self::close).
    pub fn close_restored(&mut self, restored: Cut, now_ms: u64) -> Result<()> {
        // What recovery has published anew is another one.
        if self.published { self.close(now_ms) } else { self.close_with(restored, now_ms) }
    }

    fn close_with(&mut self, cut: Cut, now_ms: u64) -> Result<()> {
        if cut.committables.is_empty() {
            return Ok(());
        }
        let epoch = cut.epoch;
        match self.place_manifest(Cut { committables: Vec::new(), ..cut }, now_ms)? {
            Publication::Published(_) => {
                tracing::debug!(epoch = epoch.0, "the last checkpoint has nothing left to be committed");
                Ok(())
            }
            Publication::Superseded(error) => Err(error),
        }
    }
}

impl<N: Fn() -> u64> Republish for Restored<'_, N> {
    fn republish(&mut self, committables: &[Committable]) -> Result<CommitPermit> {
        let nothing = || Error::new(ErrorKind::Internal, "no checkpoint was restored that could be published anew");
        let cut = Cut { committables: committables.to_vec(), ..self.cut.clone().ok_or_else(nothing)? };
        match self.log.publish(cut, (self.now_ms)())? {
            Publication::Published(permit) => Ok(permit),
            Publication::Superseded(error) => Err(error),
        }
    }
}
