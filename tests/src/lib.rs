//! What the test suites of the project share: a source that is let go on by hand, a sink that fails when
//! told to, a watch over hangs and threads, processes that are killed, a broker.

pub mod faults;
pub mod guard;
pub mod kafka;
pub mod process;
pub mod sink;
pub mod tap;
pub mod texts;
