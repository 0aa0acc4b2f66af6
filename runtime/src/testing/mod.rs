#![doc = include_str!("testing.md")]

pub mod conformance;
mod operator;
#[doc(hidden)]
pub mod permit;

pub use crate::crash::CRASH_POINTS;
pub use operator::{Emitted, OperatorHarness, Snapshot};
