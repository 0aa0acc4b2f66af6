//! Does a sink keep the two-phase contract? A suite for authors of sinks.
//!
//! [`run`] drives a sink as the runtime does, crashes it at each point where a process can die, and
//! looks at what a reader of its output sees. A crash is the drop of writers and participant
//! without any further call. Committables pass through JSON on their way, as in a manifest.
//!
//! The suite knows the traits of [`crate::api::sink`] and nothing of any particular sink.
//!
//! ```
//! use staunch::connectors::memory::{MemoryOutput, MemorySink};
//! use staunch::testing::conformance::{self, SinkUnderTest};
//!
//! struct Memory(MemorySink<u64>);
//!
//! impl SinkUnderTest for Memory {
//!     type Sink = MemorySink<u64>;
//!     fn sink(&self) -> MemorySink<u64> {
//!         self.0.clone()
//!     }
//!     fn record(&self, number: u64) -> u64 {
//!         number
//!     }
//!     fn visible(&self) -> Vec<u64> {
//!         self.0.output().committed()
//!     }
//! }
//!
//! conformance::run(|| Memory(MemorySink::new()));
//! ```

mod checks;
mod drive;
#[cfg(test)]
mod tests;

use crate::api::sink::Sink;
use drive::Place;
use std::fmt;

/// A sink with a place of its own to write to, and a reader of what became visible there.
pub trait SinkUnderTest {
    /// The sink.
    type Sink: Sink;

    /// The sink's description; called again for each attempt, always for the same place.
    fn sink(&self) -> Self::Sink;

    /// The record with this number. Numbers of a run are distinct.
    fn record(&self, number: u64) -> <Self::Sink as Sink>::Record;

    /// The numbers of the records that a reader sees now, in any order, each as often as it is there.
    fn visible(&self) -> Vec<u64>;

    /// Names of whatever is unfinished at the place (side files, open transactions), once
    /// `recover` has returned and before anything is written; a correct sink has left none.
    fn leftovers(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A rule of the contract that a sink broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule, as a sentence.
    pub rule: &'static str,
    /// What was seen instead.
    pub seen: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n      seen: {}", self.rule, self.seen)
    }
}

/// Runs the whole suite; `make` gives each check a place of its own.
///
/// # Panics
/// If a rule is broken, naming every broken rule and what was seen.
pub fn run<U: SinkUnderTest>(make: impl Fn() -> U) {
    let violations = violations(make);
    let listed: Vec<String> = violations.iter().map(|violation| format!("  - {violation}")).collect();
    assert!(
        listed.is_empty(),
        "the sink breaks {} rule(s) of the two-phase contract:\n{}",
        listed.len(),
        listed.join("\n")
    );
}

/// Runs the whole suite and returns the rules that the sink breaks.
pub fn violations<U: SinkUnderTest>(make: impl Fn() -> U) -> Vec<Violation> {
    let broken =
        |(rule, check): checks::Check<U>| check(&Place::new(make())).err().map(|seen| Violation { rule, seen });
    checks::all().into_iter().filter_map(broken).collect()
}
