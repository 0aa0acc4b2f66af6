//! The handle that stops a running job.

use std::fmt;
use std::sync::Arc;

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
