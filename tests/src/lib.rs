//! What the test suites of the project share.

pub mod kafka;
