//! What a manifest keeps of prepared transactions: all that another process needs to commit them, or
//! to tell whether they were committed.

use crate::error::{Error, ErrorKind, Result};
use crate::id::Epoch;
use serde::{Deserialize, Serialize};

/// What a participant prepared in one epoch, as JSON in the manifest: part of the checkpoint format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KafkaCommittable {
    /// The form of this text; 2.
    pub version: u32,
    /// The id of the cluster that the transactions are in.
    pub cluster_id: String,
    /// The checkpoint whose records they hold.
    pub epoch: Epoch,
    /// One, or as many as the sinks have shards.
    pub transactions: Vec<KafkaTransaction>,
}

/// A prepared transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KafkaTransaction {
    /// `<job>/<lineage>/<n>`; of a replay, `<the id replayed>~r<revision>`.
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
const VERSION: u32 = 2;

/// What stands between a transactional id and the revision of its replay.
const REVISION: &str = "~r";

impl KafkaCommittable {
    pub(super) fn new(cluster_id: String, epoch: Epoch, transactions: Vec<KafkaTransaction>) -> Self {
        Self { version: VERSION, cluster_id, epoch, transactions }
    }

    /// Reads a committable of a manifest.
    ///
    /// # Errors
    /// `Checkpoint` if it is none, or of another form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Form {
            version: u32,
        }
        let damaged = |error: serde_json::Error| {
            let message = "the checkpoint's Kafka committable cannot be read: it is damaged or of another build";
            Error::new(ErrorKind::Checkpoint, message).caused_by(error)
        };
        let Form { version } = serde_json::from_slice(bytes).map_err(damaged)?;
        if version != VERSION {
            let message = format!(
                "the checkpoint's Kafka committable has version {version}, this build reads {VERSION}: use the build \
                 that wrote it"
            );
            return Err(Error::new(ErrorKind::Checkpoint, message));
        }
        serde_json::from_slice(bytes).map_err(damaged)
    }

    /// As it stands in a manifest.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("numbers and texts are JSON")
    }
}

impl KafkaTransaction {
    /// The id of this transaction's replay: the same for everybody who replays it, so that each one's
    /// `InitProducerId` aborts what the one before left.
    #[must_use]
    pub fn replay_id(&self) -> String {
        let (id, revision) = split_revision(&self.transactional_id);
        format!("{id}{REVISION}{}", revision + 1)
    }

    /// The sinks that wrote it, for people.
    pub(super) fn sinks(&self) -> String {
        let mut sinks: Vec<&str> = self.writers.iter().map(|writer| writer.sink.as_str()).collect();
        sinks.sort_unstable();
        sinks.dedup();
        sinks.join(", ")
    }

    /// Where its records are, for people.
    pub(super) fn places(&self) -> String {
        let place =
            |range: &PartitionRange| format!("{}/{} offsets {} to {}", range.topic, range.partition, range.first, range.last);
        self.partitions.iter().map(place).collect::<Vec<_>>().join(", ")
    }
}

/// An id, and how often its transaction was replayed.
fn split_revision(id: &str) -> (&str, u32) {
    let parts = id.rsplit_once(REVISION).and_then(|(id, revision)| Some((id, revision.parse().ok()?)));
    parts.unwrap_or((id, 0))
}

/// The number of an id of this lineage, whose ids begin with `prefix`; of a replay, that of the first id.
pub(super) fn id_number(id: &str, prefix: &str) -> Option<u64> {
    split_revision(id.strip_prefix(prefix)?).0.parse().ok()
}

/// Whether the id is that of a replay.
pub(super) fn is_replay(id: &str) -> bool {
    split_revision(id).1 > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_of_a_replay_counts_on() {
        let mut transaction = crate::transaction::tests::transaction("job/1/7");
        for revision in 1..=11 {
            transaction.transactional_id = transaction.replay_id();
            assert_eq!(transaction.transactional_id, format!("job/1/7~r{revision}"));
            assert_eq!(id_number(&transaction.transactional_id, "job/1/"), Some(7));
        }
        assert!(is_replay("a/1~r1") && !is_replay("a/1") && !is_replay("a~r/1"));
        assert_eq!(id_number("job/2/7", "job/1/"), None);
    }

    #[test]
    fn other_forms_are_refused() {
        let written = KafkaCommittable::new("c".into(), Epoch(3), vec![crate::transaction::tests::transaction("job/1/7")]);
        assert_eq!(KafkaCommittable::from_bytes(&written.to_bytes()).unwrap(), written);
        for (bytes, says) in [(&b"{\"version\":1}"[..], "version 1"), (b"{\"version\":2}", "damaged"), (b"\xff", "damaged")] {
            let error = KafkaCommittable::from_bytes(bytes).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Checkpoint);
            assert!(error.message().contains(says), "{error}");
        }
    }
}
