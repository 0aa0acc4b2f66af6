//! Keyed state: the table that holds it, its snapshots, and the timers that belong to keys.
//!
//! Must not know: channels, barriers, checkpoints as a whole, or what an operator does with its state.

mod snapshot;
mod table;
mod timers;
pub use snapshot::{SnapshotBytes, SnapshotKind, count_groups, read_groups};
pub use table::StateTable;
pub use timers::TimerStore;

#[cfg(test)]
mod tests;
