//! Event time: timestamps, watermarks and timers.

mod timestamp;
pub(crate) mod watermark;

pub use timestamp::Timestamp;
