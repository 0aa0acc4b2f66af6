//! Records from memory and into memory: for tests, examples and benchmarks.
//!
//! The source is replayable and the sink obeys the two-phase rules, so a job between the two is
//! exactly-once across restarts *within one process*; nothing here outlives the process.

mod each;
mod sink;
mod source;
#[cfg(test)]
mod tests;

pub use each::{FnSink, FnWriter, NothingToCommit, each};
pub use sink::{MemoryOutput, MemoryParticipant, MemorySink, MemoryWriter};
pub use source::{MemoryReader, MemorySource};
