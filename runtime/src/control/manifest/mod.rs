//! What the slots of the checkpoint log hold: claims, manifests, and slots given up.
//!
//! A manifest is the whole truth about a checkpoint: where the sources stood, which blobs hold the
//! operators' state, and what the sinks prepared. It is readable text, because the day it matters
//! somebody will look at it. These are plain values: they must not know where slots are kept, nor
//! who decides on them.

mod differences;
mod encoding;
pub mod readable_bytes;
#[cfg(test)]
mod tests;

pub use encoding::{FORMAT_VERSION, Unreadable};
pub(crate) use encoding::{decode_identity, encode_identity};

use crate::api::sink::Committable;
use crate::api::source::SplitPosition;
use crate::api::state::Schema;
use crate::error::{Error, ErrorKind, Result};
use crate::id::Epoch;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;
use uuid::Uuid;

/// Whose store it is. Written once, when the store is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreIdentity {
    /// The job's name.
    pub job: String,
    /// Made with the store: tells this store's transactions from those of another of the same name.
    pub lineage: Uuid,
}

impl fmt::Display for StoreIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "job `{}`, lineage {}", self.job, self.lineage)
    }
}

/// What a slot of the checkpoint log holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Slot {
    /// An attempt has taken over the job.
    Claim(Claim),
    /// A checkpoint is durable.
    Manifest(Manifest),
    /// The attempt could not publish here, and made sure that nobody will.
    Abandoned(Abandoned),
}

impl Slot {
    /// The attempt that wrote it.
    #[must_use]
    pub fn attempt(&self) -> Uuid {
        match self {
            Self::Claim(claim) => claim.attempt,
            Self::Manifest(manifest) => manifest.attempt,
            Self::Abandoned(abandoned) => abandoned.attempt,
        }
    }

    /// The store it was written to.
    #[must_use]
    pub fn identity(&self) -> &StoreIdentity {
        match self {
            Self::Claim(claim) => &claim.identity,
            Self::Manifest(manifest) => &manifest.identity,
            Self::Abandoned(abandoned) => &abandoned.identity,
        }
    }
}

/// One line for people.
impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Claim(claim) => write!(f, "claim of attempt {} ({})", claim.attempt, claim.info),
            Self::Manifest(manifest) => {
                write!(f, "{} {} of attempt {}", manifest.cut.kind, manifest.cut.epoch, manifest.attempt)
            }
            Self::Abandoned(abandoned) => write!(f, "given up by attempt {}: {}", abandoned.attempt, abandoned.reason),
        }
    }
}

/// An attempt's claim: written before it touches anything outside, so that its predecessor, should it
/// still live, can publish nothing more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// Whose store it was written to.
    #[serde(flatten)]
    pub identity: StoreIdentity,
    /// The attempt's uuid.
    pub attempt: Uuid,
    /// The slot of the manifest it goes on from.
    pub restored_slot: Option<u64>,
    /// The epoch of that manifest.
    pub restored_epoch: Option<Epoch>,
    /// Somebody chose that slot by hand. Until a newer manifest exists, later attempts follow.
    pub chosen: bool,
    /// When, in milliseconds since 1970.
    pub claimed_ms: u64,
    /// Who: host, process id, program.
    pub info: String,
}

/// A slot that an attempt took only so that a manifest whose fate it did not know cannot land there later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Abandoned {
    /// Whose store it was written to.
    #[serde(flatten)]
    pub identity: StoreIdentity,
    /// The attempt's uuid.
    pub attempt: Uuid,
    /// The checkpoint that was given up.
    pub epoch: Epoch,
    /// When, in milliseconds since 1970.
    pub abandoned_ms: u64,
    /// Why.
    pub reason: String,
}

/// A durable checkpoint: who published it, and the cut.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Whose store it was written to.
    #[serde(flatten)]
    pub identity: StoreIdentity,
    /// The uuid of the attempt that published it.
    pub attempt: Uuid,
    /// When, in milliseconds since 1970.
    pub published_ms: u64,
    /// What the checkpoint holds.
    pub cut: Cut,
}

/// What a checkpoint was taken for; decides how the next start goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckpointKind {
    /// One of many, to recover from.
    Checkpoint,
    /// Asked for, and kept until somebody deletes it.
    Savepoint,
    /// The last one before the job left; the next start goes on from it.
    Suspend,
    /// The last one of bounded input: there is nothing left to do.
    End,
}

impl fmt::Display for CheckpointKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Checkpoint => "checkpoint",
            Self::Savepoint => "savepoint",
            Self::Suspend => "suspend",
            Self::End => "end",
        })
    }
}

/// A consistent cut through the job (after Chandy and Lamport): all effects of the records before it,
/// none of those after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cut {
    /// The checkpoint's number.
    pub epoch: Epoch,
    /// What it was taken for.
    pub kind: CheckpointKind,
    /// When it was triggered, in milliseconds since 1970.
    pub triggered_ms: u64,
    /// How many workers took it.
    pub workers: usize,
    /// Where each source stood.
    pub sources: Vec<SourceCut>,
    /// The operators' state.
    pub operators: Vec<OperatorCut>,
    /// What the sinks prepared. May be committed once the manifest is durable, and must be.
    pub committables: Vec<Committable>,
}

impl Cut {
    /// The size of all state, in bytes.
    #[must_use]
    pub fn state_bytes(&self) -> u64 {
        self.parts().map(|part| part.bytes).sum()
    }

    /// All parts of all operators.
    pub fn parts(&self) -> impl Iterator<Item = &StatePart> {
        self.operators.iter().flat_map(|operator| &operator.parts)
    }
}

/// Where a source stood, over all workers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceCut {
    /// The source's id.
    pub id: String,
    /// Its splits, of all workers.
    pub splits: Vec<SplitPosition>,
    /// The source had ended on every worker: it is not read again.
    pub finished: bool,
}

/// One operator's state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperatorCut {
    /// The operator's id.
    pub id: String,
    /// The shape of the state that was written: the *writer's* schema.
    pub layout: StateLayout,
    /// Each worker's watermark at the cut; its place in the list is the worker.
    pub watermarks: Vec<Timestamp>,
    /// Where the state is.
    pub parts: Vec<StatePart>,
}

/// The state of some key groups of one operator, in one blob. A worker may have several for the same
/// groups: later ones overwrite earlier ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatePart {
    /// The worker that wrote it.
    pub worker: usize,
    /// The key groups it may hold keys of.
    pub groups: Range<u32>,
    /// The blob's name: [`blob_name`](super::store::blob_name).
    pub blob: String,
    /// The blob's length.
    pub bytes: u64,
    /// The blob's CRC-32.
    pub crc32: u32,
    /// How many entries it holds.
    pub entries: u64,
}

impl StatePart {
    /// Describes a blob that is about to be put into the store.
    #[must_use]
    pub fn of(worker: usize, groups: Range<u32>, blob: String, content: &[u8], entries: u64) -> Self {
        Self { worker, groups, blob, bytes: content.len() as u64, crc32: crc32fast::hash(content), entries }
    }

    /// Checks that a blob read back is the one that was written.
    ///
    /// # Errors
    /// [`ErrorKind::Checkpoint`] when it is not.
    pub fn check(&self, content: &[u8]) -> Result<()> {
        if content.len() as u64 == self.bytes && crc32fast::hash(content) == self.crc32 {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Checkpoint,
            format!(
                "state blob `{}` is not the one its manifest names ({} bytes instead of {}, or another checksum); \
                 bring it back from a backup, or go on from another checkpoint with `--restore <slot>`",
                self.blob,
                content.len(),
                self.bytes
            ),
        ))
    }
}

/// The shape of an operator's state: its key's type, its state's schema, its timers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateLayout {
    /// All of it on one line, for people. Never compared.
    pub text: String,
    /// The name of the key's type; `()` for operators that are not keyed.
    pub key: String,
    /// The state's schema.
    pub state: Schema,
    /// Keeps event-time timers.
    pub event_timers: bool,
    /// Keeps processing-time timers.
    pub processing_timers: bool,
}

impl StateLayout {
    /// A layout and its text.
    #[must_use]
    pub fn new(key: impl Into<String>, state: Schema, event_timers: bool, processing_timers: bool) -> Self {
        let key = key.into();
        let timers = match (event_timers, processing_timers) {
            (false, false) => "",
            (true, false) => ", event timers",
            (false, true) => ", processing timers",
            (true, true) => ", event and processing timers",
        };
        Self { text: format!("{key} -> {state}{timers}"), key, state, event_timers, processing_timers }
    }

    /// Whether state written in one layout can be read in the other. Compares everything but the text,
    /// whose wording may change between versions.
    #[must_use]
    pub fn reads(&self, written: &Self) -> bool {
        self.key == written.key
            && self.state == written.state
            && self.event_timers == written.event_timers
            && self.processing_timers == written.processing_timers
    }
}
