//! Tools for tests: of a user's operators, and of sinks that others write.

pub mod conformance;
mod operator;
#[doc(hidden)]
pub mod permit;

pub use crate::crash::CRASH_POINTS;
pub use operator::{Emitted, OperatorHarness, Snapshot};
