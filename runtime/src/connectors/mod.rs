//! Sources and sinks for the world outside. They use what [`api`](crate::api) says and know nothing
//! of how a job is planned, run or checkpointed.

pub mod format;
#[cfg(feature = "kafka")]
pub mod kafka;
