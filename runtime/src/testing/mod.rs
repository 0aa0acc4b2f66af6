//! What users test with.

mod operator;

pub use operator::{OperatorHarness, Snapshot};
