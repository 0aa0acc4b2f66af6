//! The traits that users meet, and that the macros implement: one file each.
//!
//! Nothing here knows how a job is planned, run or checkpointed.

pub mod batch;
pub mod context;
pub mod key;
pub mod metadata;
pub mod needs;
pub mod operator;
pub mod output;
pub mod sink;
pub mod source;
pub mod state;
mod state_impls;
pub mod state_opaque;
pub mod transactions;
