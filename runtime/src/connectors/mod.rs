//! Where records come from and go to.
//!
//! Connectors implement the traits of [`crate::api`]; they must not know how a job is planned, run
//! or checkpointed.

pub mod file;
pub mod format;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod memory;
pub mod stdout;
