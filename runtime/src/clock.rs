//! The clock: the one place that reads time, so that everything else can be given it.

use crate::time::Timestamp;
use std::time::{Duration, Instant, SystemTime};

/// Tells the processing time.
pub(crate) trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;

    /// The same as milliseconds since 1970, for what counts in them.
    fn now_ms(&self) -> u64 {
        self.now().as_millis().unsigned_abs()
    }
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the time")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or(Duration::ZERO);
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A clock for deadlines: it starts at the system's time and never jumps, whatever happens to that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SteadyClock {
    started: Timestamp,
    since: Instant,
}

impl SteadyClock {
    #[expect(clippy::disallowed_methods, reason = "one of the clocks that all others go by")]
    pub fn start() -> Self {
        Self { started: SystemClock.now(), since: Instant::now() }
    }
}

impl Clock for SteadyClock {
    #[expect(clippy::disallowed_methods, reason = "one of the clocks that all others go by")]
    fn now(&self) -> Timestamp {
        self.started + self.since.elapsed()
    }
}

/// Blocks this thread.
#[expect(clippy::disallowed_methods, reason = "the one place that sleeps")]
pub(crate) fn sleep(time: Duration) {
    std::thread::sleep(time);
}
