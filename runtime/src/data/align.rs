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

/// What an input channel delivers, as far as alignment is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AlignEvent {
    /// A checkpoint's barrier.
    Barrier { channel: usize, epoch: Epoch },
    /// Nothing more will come on this channel; counts as aligned from now on.
    End { channel: usize },
}

/// What follows from an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Aligned {
    /// No barrier is complete by this event.
    NotYet,
    /// Every channel that has not ended has delivered this barrier; all are released.
    Complete(Epoch),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channel {
    Open,
    /// Has delivered the barrier that is being aligned.
    Delivered,
    Ended,
}

/// The alignment of one operator's input channels.
#[derive(Debug)]
pub(crate) struct Alignment {
    channels: Vec<Channel>,
    /// Whether channels are held. If not, records are counted at least once, not exactly once.
    hold: bool,
    running: Option<Epoch>,
    /// The last barrier that was complete.
    last: Option<Epoch>,
}

impl Alignment {
    /// So many channels, all open. `aligned: false` holds none: for the test that shows what
    /// alignment is for, and for jobs that need no more than at-least-once.
    pub(crate) fn new(channels: usize, aligned: bool) -> Self {
        Self { channels: vec![Channel::Open; channels], hold: aligned, running: None, last: None }
    }

    /// Whether nothing may be taken from a channel now.
    #[inline]
    pub(crate) fn is_held(&self, channel: usize) -> bool {
        self.hold && self.channels.get(channel) == Some(&Channel::Delivered)
    }

    /// Whether nothing more can come on any channel.
    pub(crate) fn has_ended(&self) -> bool {
        self.channels.iter().all(|channel| *channel == Channel::Ended)
    }

    /// The barrier that has come on some channels and not yet on all.
    pub(crate) fn running(&self) -> Option<Epoch> {
        self.running
    }

    /// Takes note of an event.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] for an event that cannot be: on a channel that has ended or is held,
    /// a barrier of an earlier epoch, or one that overtakes another.
    pub(crate) fn step(&mut self, event: AlignEvent) -> Result<Aligned> {
        match event {
            AlignEvent::Barrier { channel, epoch } => {
                self.check_epoch(channel, epoch)?;
                match self.open(channel, "a barrier")? {
                    state @ Channel::Open => *state = Channel::Delivered,
                    _ => return Err(broken(format!("barrier {epoch} came twice on channel {channel}"))),
                }
                self.running = Some(epoch);
            }
            // After its barrier too: a held channel may be closed without being read.
            AlignEvent::End { channel } => *self.open(channel, "an end")? = Channel::Ended,
        }
        Ok(self.complete())
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

    fn open(&mut self, channel: usize, event: &str) -> Result<&mut Channel> {
        let channels = self.channels.len();
        match self.channels.get_mut(channel) {
            Some(Channel::Ended) => Err(broken(format!("{event} came on channel {channel} after its end"))),
            Some(state) => Ok(state),
            None => Err(broken(format!("{event} came on channel {channel} of {channels}"))),
        }
    }

    fn complete(&mut self) -> Aligned {
        let Some(epoch) = self.running else { return Aligned::NotYet };
        if self.channels.contains(&Channel::Open) {
            return Aligned::NotYet;
        }
        for channel in &mut self.channels {
            if *channel == Channel::Delivered {
                *channel = Channel::Open;
            }
        }
        self.running = None;
        self.last = Some(epoch);
        Aligned::Complete(epoch)
    }
}

fn broken(what: String) -> Error {
    Error::new(ErrorKind::Internal, format!("{what}: a bug of staunch, please report it"))
}

#[cfg(test)]
mod tests;
