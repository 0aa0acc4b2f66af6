//! What a manifest keeps of a transaction: all that another process needs to commit it, or to tell
//! whether it was committed.

use crate::error::{Error, ErrorKind, Result};
use crate::id::Epoch;
use serde::{Deserialize, Serialize};

/// A prepared transaction, as JSON in the manifest: part of the checkpoint format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KafkaCommittable {
    /// The form of this text; 1.
    pub version: u32,
    /// The id of the cluster that the transaction is in.
    pub cluster_id: String,
    /// `<job>/<lineage>/<n>`.
    pub transactional_id: String,
    /// The producer id that wrote it.
    pub producer_id: i64,
    /// The producer's epoch.
    pub producer_epoch: i16,
    /// When it began, by the broker's clock, in milliseconds since 1970. Together with the producer it
    /// names the transaction: one producer session holds many, one after the other.
    pub start_ms: i64,
    /// After how many milliseconds from its start the broker aborts it.
    pub timeout_ms: i32,
    /// The checkpoint whose records it holds.
    pub epoch: Epoch,
    /// How many records it holds.
    pub records: u64,
    /// Where they are.
    pub partitions: Vec<PartitionRange>,
    /// Who wrote them.
    pub writers: Vec<WriterShare>,
}

/// Where a transaction's records of one partition lie, as delivery reports named it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionRange {
    /// The topic's name.
    pub topic: String,
    /// The topic's id: another one means that the topic was deleted and created again.
    pub topic_id: String,
    /// The partition.
    pub partition: i32,
    /// The offset of the first record.
    pub first: i64,
    /// The offset of the last record; records of others may lie between.
    pub last: i64,
    /// How many records there are.
    pub records: u64,
}

/// What one writer put into a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriterShare {
    /// The sink's id.
    pub sink: String,
    /// The writer's worker.
    pub worker: usize,
    /// How many records it wrote.
    pub records: u64,
}

/// The form that this build writes.
pub(super) const VERSION: u32 = 1;

impl KafkaCommittable {
    /// Reads a committable of a manifest.
    ///
    /// # Errors
    /// `Checkpoint` if it is none, or of a later form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let read: Self = serde_json::from_slice(bytes).map_err(|error| {
            let message = "the checkpoint's Kafka committable cannot be read: it is damaged or of another build";
            Error::new(ErrorKind::Checkpoint, message).caused_by(error)
        })?;
        if read.version != VERSION {
            let message = format!(
                "the checkpoint's Kafka committable has version {}, this build reads {VERSION}: use the build that wrote it",
                read.version
            );
            return Err(Error::new(ErrorKind::Checkpoint, message));
        }
        Ok(read)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("numbers and texts are JSON")
    }
}
