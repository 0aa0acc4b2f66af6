//! What travels through channels.
//!
//! The legal order, on each channel, of each attempt:
//!
//! ```text
//! channel := (Batch | Watermark | Idle | Active | Barrier)*
//! ```
//!
//! - watermarks rise; between `Idle` and `Active` none is to be waited for
//! - barriers rise by epoch; a batch never spans one
//! - a source share that has ended sends the watermark [`Timestamp::MAX`] and goes on passing
//!   barriers, so that nothing in the graph has to know of ends

use crate::api::batch::Batch;
use crate::control::manifest::CheckpointKind;
use crate::id::Epoch;
use crate::time::Timestamp;

/// The line between the records of two epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Barrier {
    /// The epoch that ends here.
    pub epoch: Epoch,
    /// Why the checkpoint is taken.
    pub kind: CheckpointKind,
}

/// What is passed to everyone downstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// No record with this time or an earlier one follows.
    Watermark(Timestamp),
    /// Do not wait for this channel's watermark.
    Idle,
    /// Wait for it again.
    Active,
    /// What came before belongs to the epoch, what follows does not.
    Barrier(Barrier),
}

/// One item of a channel.
#[derive(Debug)]
pub(crate) enum Event<T> {
    Batch(Batch<T>),
    Control(Control),
}
