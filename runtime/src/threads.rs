//! Starting threads: the one place that does.

use std::io;
use std::thread::{Builder, JoinHandle};

/// Starts a named thread.
#[expect(clippy::disallowed_methods, reason = "the one place that starts threads")]
pub(crate) fn spawn(name: String, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name).spawn(work)
}
