//! What the test suites of the project share: a source that is let go on by hand, a sink that fails when
//! told to, a watch over hangs and threads, processes that are killed, a broker.

pub mod decode;
pub mod faults;
pub mod guard;
pub mod kafka;
pub mod process;
pub mod sink;
pub mod tap;
pub mod texts;

/// Every block of Rust on the README's page is compiled, and run where it can be.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
