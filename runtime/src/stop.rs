//! The handle that stops a running job, and the flag that tells calls for others that nobody waits for them.

use crate::error::{Error, ErrorKind, Result};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Asks a running job to leave; cheap to clone, usable from any thread.
#[derive(Clone)]
pub struct StopHandle(Arc<dyn Fn() + Send + Sync>);

impl StopHandle {
    /// A handle that calls `suspend`, which must not block and may be called any number of times.
    pub(crate) fn new(suspend: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(suspend))
    }

    /// Suspends the job: a last checkpoint, its commits, then the end. No final watermark is sent, so
    /// no window fires early; the next start goes on where this one left. Returns at once.
    pub fn suspend(&self) {
        (self.0)();
    }
}

impl fmt::Debug for StopHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StopHandle")
    }
}

/// Tells whoever waits for a system outside that the attempt has ended and nobody wants the answer any more.
/// A call that may take longer than `shutdown_timeout` (30 s unless set) has to look at it now and then, or
/// the job cannot start its next attempt. Clones share the flag.
#[derive(Clone, Debug, Default)]
pub struct Cancellation(Arc<AtomicBool>);

impl Cancellation {
    /// Whether the attempt has ended.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// An error once the attempt has ended, for the `?` in a loop that waits.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] then. Nobody is told of it: why the attempt has ended is known.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() {
            return Err(Error::new(ErrorKind::Timeout, "the attempt has ended meanwhile"));
        }
        Ok(())
    }

    /// The attempt has ended.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
