//! Tools for tests: of a user's operators, and of sinks that others write.

pub mod conformance;
mod operator;
#[doc(hidden)]
pub mod permit;
pub(crate) mod simulation;

pub use crate::crash::CRASH_POINTS;
pub use operator::{OperatorHarness, Snapshot};
