//! Logs: `tracing` events as lines on standard error, above the status line.

use super::live::Live;
use crate::error::{Error, ErrorKind, Result};
use tracing_subscriber::EnvFilter;

/// Starts logging, unless the program has set up its own.
///
/// # Errors
/// [`ErrorKind::Config`] when the filter, from the flag or from `RUST_LOG`, cannot be read.
#[expect(clippy::disallowed_methods, reason = "the variable that all programs with `tracing` read")]
pub(super) fn start(filter: Option<&str>, live: &Live) -> Result<()> {
    let variable = std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|filter| !filter.is_empty());
    let filter = filter_of(filter, variable.as_deref())?;
    let logs =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(live.is_terminal()).with_writer(live.clone());
    // An error says that the program's own subscriber is there already, which then shows the logs.
    let _ = logs.try_init();
    Ok(())
}

/// The flag wins over the variable.
pub(super) fn filter_of(flag: Option<&str>, variable: Option<&str>) -> Result<EnvFilter> {
    let (origin, filter) = match (flag, variable) {
        (Some(flag), _) => ("--log", flag),
        (None, Some(variable)) => (EnvFilter::DEFAULT_ENV, variable),
        (None, None) => ("the default", "info"),
    };
    EnvFilter::builder().parse(filter).map_err(|error| {
        let message = format!(
            "{origin}: `{filter}` is not a filter for logs; write a level such as `info`, or `info,staunch=debug`"
        );
        Error::new(ErrorKind::Config, message).caused_by(error)
    })
}
