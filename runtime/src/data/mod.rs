//! A record's journey, in order: `source` -> `exchange` -> `align` -> `process` -> `sink`.
//!
//! ```text
//!            chain                       channel               chain
//! ┌────────────────────────────┐   ┌───────────────┐   ┌──────────────────────────┐
//! │ source ─► operator ─► exchange ─► N x N, bounded ─► │ align ─► operator ─► sink │
//! └────────────────────────────┘   └───────────────┘   └──────────────────────────┘
//! ```
//!
//! A *chain* is a source share, or an operator that reads channels, with everything behind it up to
//! the next channels; within it a batch is handed on by a call. A worker steps its chains in turn and
//! never blocks: a chain whose outputs have no room is not stepped, which is the backpressure.
//!
//! It must not know of checkpoints' durability, of files or of networks.

pub(crate) mod align;
pub(crate) mod build;
pub(crate) mod channel;
pub(crate) mod event;
pub(crate) mod exchange;
pub(crate) mod inbound;
pub(crate) mod link;
pub(crate) mod outputs;
pub(crate) mod port;
pub(crate) mod process;
pub(crate) mod push;
pub(crate) mod report;
pub(crate) mod sink;
pub(crate) mod source;
pub(crate) mod worker;
