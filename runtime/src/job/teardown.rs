//! Ending an attempt: everything is told to stop, and waited for, but not for ever.

use super::participants::Participants;
use super::storage::Storage;
use super::workers::Workers;
use super::{Event, internal};
use crate::clock::{Clock, SteadyClock};
use crate::error::Result;
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// How often is looked whether all threads have ended.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The threads of an attempt.
pub(super) struct Threads {
    pub workers: Workers,
    pub participants: Participants,
    pub storage: Storage,
}

impl Threads {
    /// Stops everything.
    ///
    /// # Errors
    /// When a thread does not end in time: user code or a client library hangs. The process cannot
    /// start another attempt beside it.
    pub fn stop(mut self, events: &Receiver<Event>, at_most: Duration) -> Result<()> {
        self.workers.stop();
        self.participants.stop();
        self.storage.stop();
        let clock = SteadyClock::start();
        let deadline = clock.now() + at_most;
        loop {
            // Nobody may wait for room to tell something that nobody hears.
            while events.try_recv().is_ok() {}
            let (workers, participants) = (self.workers.running(), self.participants.running());
            if workers.is_empty() && participants.is_empty() && !self.storage.running() {
                break;
            }
            if clock.now() > deadline {
                return Err(internal(&format!(
                    "threads do not end within {at_most:?} (workers {workers:?}, sinks {participants:?}): code in an operator or a \
                     client library blocks; nothing is lost, start the process again"
                )));
            }
            crate::clock::sleep(LOOK_EVERY);
        }
        self.workers.join();
        self.participants.join();
        self.storage.join();
        Ok(())
    }
}
