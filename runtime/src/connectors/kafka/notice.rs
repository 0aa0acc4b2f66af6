//! Messages that could come thousands of times a second, at most one of them every few seconds.

use std::time::{Duration, Instant};

/// The shortest time between two messages of the same kind.
const QUIET: Duration = Duration::from_secs(10);

/// Lets a message through now and then, and counts those in between.
#[derive(Debug, Default)]
pub(super) struct Notice {
    last: Option<Instant>,
    held_back: u64,
}

impl Notice {
    /// How many messages were held back since the last one, if another one may be written.
    pub fn due(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now.duration_since(last) < QUIET) {
            self.held_back += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "some moment")]
    fn the_first_is_let_through_then_one_in_a_while() {
        let (mut notice, start) = (Notice::default(), Instant::now());
        assert_eq!(notice.due(start), Some(0));
        assert_eq!(notice.due(start), None);
        assert_eq!(notice.due(start), None);
        assert_eq!(notice.due(start + QUIET), Some(2));
    }
}
