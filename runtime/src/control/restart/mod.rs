//! When a failed attempt is followed by another one, and how long after. Pure.
//!
//! Exponential back-off, and a limit on failures within a window: a job that fails now and then goes on
//! for ever, one that cannot get on its feet stops and says so.

#[cfg(test)]
mod tests;

use crate::error::ErrorKind;
use std::collections::VecDeque;

/// How often, and how fast, a failed attempt is followed by another one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RestartSettings {
    /// How many restarts within the window; 0 never restarts.
    pub(crate) restarts_max: usize,
    /// The window. After so long without a failure the back-off starts anew, too.
    pub(crate) window_ms: u64,
    /// Before the first restart.
    pub(crate) initial_ms: u64,
    /// Before any restart, at most.
    pub(crate) backoff_ms_max: u64,
    /// How much longer than before the last one; at least 1.
    pub(crate) factor: f64,
}

/// What follows a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RestartDecision {
    /// Another attempt, after so long.
    Restart { after_ms: u64 },
    /// None: the failure would come again, or came too often.
    Stop(StopReason),
}

/// Why there is no other attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// A restart does not help with this kind of failure.
    Permanent,
    /// There were too many failures within the window.
    TooMany,
}

/// Remembers the failures of a process's attempts.
#[derive(Debug)]
pub(crate) struct RestartPolicy {
    settings: RestartSettings,
    /// When the failures of the window happened.
    failures_ms: VecDeque<u64>,
    backoff_ms: u64,
}

impl RestartPolicy {
    pub(crate) fn new(settings: RestartSettings) -> Self {
        Self { settings, failures_ms: VecDeque::new(), backoff_ms: settings.initial_ms }
    }

    /// Decides what follows a failure of this kind at this time.
    pub(crate) fn decide(&mut self, kind: ErrorKind, now_ms: u64) -> RestartDecision {
        if !kind.is_restartable() {
            return RestartDecision::Stop(StopReason::Permanent);
        }
        let window_ms = self.settings.window_ms;
        if self.failures_ms.back().is_some_and(|last_ms| now_ms.saturating_sub(*last_ms) >= window_ms) {
            self.backoff_ms = self.settings.initial_ms;
        }
        self.failures_ms.retain(|failure_ms| now_ms.saturating_sub(*failure_ms) < window_ms);
        if self.failures_ms.len() >= self.settings.restarts_max {
            return RestartDecision::Stop(StopReason::TooMany);
        }
        self.failures_ms.push_back(now_ms);
        let after_ms = self.backoff_ms.min(self.settings.backoff_ms_max);
        // The conversion saturates, and the limit above bounds whatever comes out.
        self.backoff_ms = (after_ms as f64 * self.settings.factor.max(1.0)) as u64;
        RestartDecision::Restart { after_ms }
    }
}
