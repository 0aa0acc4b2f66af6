//! A checkpoint's journey.
//!
//! 1. `message`: the protocol on one page.
//! 2. `coordinator`: a pure state machine. It triggers a checkpoint, waits for every source,
//!    operator and sink of every worker, has the participants prepare, and hands over a cut.
//! 3. [`manifest`]: the cut as checked, readable text, and everything else that a slot can hold.
//! 4. `log`: makes the manifest durable in the next slot, if no other attempt has claimed it.
//! 5. [`store`]: where slots and blobs are, and the one compare-and-set that all rests on.
//! 6. [`permit`]: the proof that a manifest is durable. Only the log makes one; without it nothing can
//!    be committed.
//! 7. Back in the coordinator: commits, one checkpoint after the other, until it is settled.
//!
//! And the way back, when an attempt fails:
//!
//! 1. `restart`: whether there is to be another attempt, and when.
//! 2. `log`: the new attempt claims the next slot *before it touches anything else*, which stops a
//!    predecessor that still lives, and finds the checkpoint to go on from.
//! 3. `recovery`: whether that checkpoint fits the program, and who reads what of it.
//! 4. The participants settle what it lists, under the permit that the claim gave; what can no longer
//!    be committed is replaced in the manifest first, which is then published anew. Only then are
//!    writers opened and sources read.
//!
//! Invariants, each with a test that breaks when it does not hold:
//! - nothing is committed that no durable manifest lists;
//! - what a durable manifest lists is committed in the end;
//! - of two attempts at most one makes a given slot, and only the younger goes on;
//! - a checkpoint is never silently passed over for an older one.

pub(crate) mod coordinator;
pub(crate) mod log;
pub mod manifest;
pub(crate) mod message;
pub mod permit;
pub(crate) mod recovery;
pub(crate) mod restart;
pub mod store;
