//! Event time: timestamps, watermarks and timers.

mod timestamp;

pub use timestamp::Timestamp;
