//! Ending an attempt: everything is told to stop, and waited for, but not for ever.

use super::Event;
use super::participants::Participants;
use super::storage::Storage;
use super::workers::Workers;
use crate::error::{Error, ErrorKind, Result};
use crate::time::Timestamp;
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// The threads of an attempt.
pub(super) struct Threads {
    pub workers: Workers,
    pub participants: Participants,
    pub storage: Storage,
}

impl Threads {
    /// Tells everything to stop.
    pub fn stop(&mut self) {
        self.workers.stop();
        self.participants.stop();
        self.storage.stop();
    }

    /// Whether all have ended.
    ///
    /// # Errors
    /// When one does not end in time: user code or a client library hangs. The process cannot
    /// start another attempt beside it.
    pub fn have_ended(
        &mut self,
        events: &Receiver<Event>,
        now: Timestamp,
        (deadline, at_most): (Timestamp, Duration),
    ) -> Result<bool> {
        // Nobody may wait for room to tell something that nobody hears.
        while events.try_recv().is_ok() {}
        let (workers, participants) = (self.workers.running(), self.participants.running());
        if workers.is_empty() && participants.is_empty() && !self.storage.running() {
            self.workers.join();
            self.participants.join();
            self.storage.join();
            return Ok(true);
        }
        if now <= deadline {
            return Ok(false);
        }
        let message = format!(
            "threads do not end within {at_most:?} (workers {workers:?}, sinks {participants:?}): code in an operator or a \
             client library blocks; nothing is lost, start the process again"
        );
        Err(Error::new(ErrorKind::Stuck, message))
    }
}
