//! The restored checkpoint, published anew with other committables: the next slot of the claim.

use super::{ClaimedLog, Publication};
use crate::api::sink::Committable;
use crate::control::manifest::Cut;
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
