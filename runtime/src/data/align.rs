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
use std::collections::VecDeque;

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
    /// By channel, how many of the running barriers it has delivered. Not more than one where it is held.
    delivered: Vec<usize>,
    /// Whether channels are held. If not, records are counted at least once, not exactly once.
    hold: bool,
    /// The barriers that have come on some channels and not yet on all, oldest first. One at a time where
    /// channels are held; else a fast channel may be several checkpoints ahead of one that is held up.
    running: VecDeque<Epoch>,
    /// The last barrier that was complete.
    last: Option<Epoch>,
}

impl Alignment {
    /// So many channels, none of them held. `aligned: false` never holds any: for the test that shows
    /// what alignment is for, and for jobs that need no more than at-least-once.
    pub(crate) fn new(channels: usize, aligned: bool) -> Self {
        Self { delivered: vec![0; channels], hold: aligned, running: VecDeque::new(), last: None }
    }

    /// Whether nothing may be taken from a channel now.
    #[inline]
    pub(crate) fn is_held(&self, channel: usize) -> bool {
        self.hold && self.delivered.get(channel).is_some_and(|count| *count > 0)
    }

    /// Takes note of a barrier. No channel ever ends: one whose source has ended still passes barriers.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] for a barrier that cannot be: on a channel that has delivered it already,
    /// one of an earlier epoch, or one that is not the next that other channels have delivered.
    pub(crate) fn step(&mut self, channel: usize, epoch: Epoch) -> Result<Aligned> {
        let channels = self.delivered.len();
        let Some(&count) = self.delivered.get(channel) else {
            return Err(broken(format!("barrier {epoch} came on channel {channel} of {channels}")));
        };
        self.check_epoch(channel, count, epoch)?;
        if count == self.running.len() {
            self.running.push_back(epoch);
        }
        self.delivered[channel] += 1;
        if self.delivered.contains(&0) {
            return Ok(Aligned::NotYet);
        }
        self.delivered.iter_mut().for_each(|count| *count -= 1);
        self.running.pop_front();
        self.last = Some(epoch);
        Ok(Aligned::Complete(epoch))
    }

    /// `count` running barriers have come on the channel already.
    fn check_epoch(&self, channel: usize, count: usize, epoch: Epoch) -> Result<()> {
        let before = count.checked_sub(1).and_then(|at| self.running.get(at)).copied();
        if before == Some(epoch) || before.is_some() && self.hold {
            return Err(broken(format!("barrier {epoch} came twice on channel {channel}")));
        }
        match (self.running.get(count), before.or(self.last)) {
            (Some(running), _) if epoch != *running => {
                Err(broken(format!("barrier {epoch} came on channel {channel} while {running} was being aligned")))
            }
            (None, Some(last)) if epoch <= last => {
                Err(broken(format!("barrier {epoch} came on channel {channel} after {last}")))
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
