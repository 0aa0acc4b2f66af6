//! Barrier alignment: which inputs are held, and when a checkpoint's barrier is complete.
//!
//! An operator with several inputs meets a barrier on each. What comes after the barrier on one
//! input belongs to the next epoch; it must not touch state before the barrier has come on all, or
//! the snapshot would hold the effects of records that will be read again. So an input whose barrier
//! has come is held (after Carbone et al., *Lightweight Asynchronous Snapshots*, 2015).
//!
//! Pure. Must not know: batches, watermarks, or what a snapshot is.

use crate::error::{Error, ErrorKind, Result};
use crate::id::Epoch;

/// What follows from a barrier on one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Aligned {
    /// Other channels have yet to deliver it.
    NotYet,
    /// Every channel has delivered this barrier; all are released.
    Complete(Epoch),
}

/// The alignment of one operator's input channels.
#[derive(Debug)]
pub(crate) struct Alignment {
    /// By channel, whether it has delivered the barrier that is being aligned.
    delivered: Vec<bool>,
    /// Whether channels are held. If not, records are counted at least once, not exactly once.
    hold: bool,
    /// The barrier that has come on some channels and not yet on all.
    running: Option<Epoch>,
    /// The last barrier that was complete.
    last: Option<Epoch>,
}

impl Alignment {
    /// So many channels, none of them held. `aligned: false` never holds any: for the test that shows
    /// what alignment is for, and for jobs that need no more than at-least-once.
    pub(crate) fn new(channels: usize, aligned: bool) -> Self {
        Self { delivered: vec![false; channels], hold: aligned, running: None, last: None }
    }

    /// Whether nothing may be taken from a channel now.
    #[inline]
    pub(crate) fn is_held(&self, channel: usize) -> bool {
        self.hold && self.delivered.get(channel) == Some(&true)
    }

    /// Takes note of a barrier. No channel ever ends: one whose source has ended still passes barriers.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] for a barrier that cannot be: on a channel that has delivered it already,
    /// one of an earlier epoch, or one that overtakes another.
    pub(crate) fn step(&mut self, channel: usize, epoch: Epoch) -> Result<Aligned> {
        self.check_epoch(channel, epoch)?;
        let channels = self.delivered.len();
        match self.delivered.get_mut(channel) {
            Some(delivered @ false) => *delivered = true,
            Some(true) => return Err(broken(format!("barrier {epoch} came twice on channel {channel}"))),
            None => return Err(broken(format!("barrier {epoch} came on channel {channel} of {channels}"))),
        }
        if self.delivered.contains(&false) {
            self.running = Some(epoch);
            return Ok(Aligned::NotYet);
        }
        self.delivered.fill(false);
        self.running = None;
        self.last = Some(epoch);
        Ok(Aligned::Complete(epoch))
    }

    fn check_epoch(&self, channel: usize, epoch: Epoch) -> Result<()> {
        match (self.running, self.last) {
            (Some(running), _) if epoch != running => {
                Err(broken(format!("barrier {epoch} came on channel {channel} while {running} was being aligned")))
            }
            (None, Some(last)) if epoch <= last => {
                Err(broken(format!("barrier {epoch} came on channel {channel} after {last} was complete")))
            }
            _ => Ok(()),
        }
    }
}

fn broken(what: String) -> Error {
    Error::new(ErrorKind::Internal, format!("{what}: a bug of staunch, please report it"))
}

#[cfg(test)]
mod tests;
