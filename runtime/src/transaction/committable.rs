//! What a manifest keeps of prepared transactions: all that another process needs to commit them, or
//! to tell whether they were committed.

use super::brokers::Producer;
use crate::error::{Error, ErrorKind, Result};
use crate::id::Epoch;
use serde::{Deserialize, Serialize};

/// A prepared transaction, as JSON in the manifest: part of the checkpoint format. With several shards an
/// epoch has several, and the manifest a list of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KafkaCommittable {
    /// The form of this text; 1.
    pub version: u32,
    /// The id of the cluster that the transaction is in.
    pub cluster_id: String,
    /// `<job>/<lineage>/<slot>-<n>`; of a replay, `<the id replayed>~r<revision>-<slot>`: see [`super::Ids`].
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

/// What a participant prepared in one epoch: a transaction per shard that has records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Prepared {
    One(KafkaCommittable),
    Several(Vec<KafkaCommittable>),
}

impl Prepared {
    pub fn of(mut transactions: Vec<KafkaCommittable>) -> Self {
        if transactions.len() == 1 { Self::One(transactions.remove(0)) } else { Self::Several(transactions) }
    }

    pub fn transactions(&self) -> &[KafkaCommittable] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Several(several) => several,
        }
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Ok(match bytes.first() {
            Some(b'[') => {
                let each: Vec<serde_json::Value> = serde_json::from_slice(bytes).map_err(damaged)?;
                Self::Several(each.into_iter().map(KafkaCommittable::from_value).collect::<Result<_>>()?)
            }
            _ => Self::One(KafkaCommittable::from_bytes(bytes)?),
        })
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("numbers and texts are JSON")
    }
}

fn damaged(error: serde_json::Error) -> Error {
    let message = "the checkpoint's Kafka committable cannot be read: it is damaged or of another build";
    Error::new(ErrorKind::Checkpoint, message).caused_by(error)
}

impl KafkaCommittable {
    /// Reads a committable of a manifest.
    ///
    /// # Errors
    /// `Checkpoint` if it is none, or of a later form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::from_value(serde_json::from_slice(bytes).map_err(damaged)?)
    }

    /// Reads all transactions of what a manifest lists for one epoch.
    ///
    /// # Errors
    /// As [`Self::from_bytes`].
    pub fn all_from_bytes(bytes: &[u8]) -> Result<Vec<Self>> {
        Ok(Prepared::from_bytes(bytes)?.transactions().to_vec())
    }

    fn from_value(value: serde_json::Value) -> Result<Self> {
        match value.get("version").and_then(serde_json::Value::as_u64) {
            Some(version) if version != u64::from(VERSION) => {
                let message = format!(
                    "the checkpoint's Kafka committable has version {version}, this build reads {VERSION}: use the \
                     build that wrote it"
                );
                Err(Error::new(ErrorKind::Checkpoint, message))
            }
            _ => serde_json::from_value(value).map_err(damaged),
        }
    }

    /// The producer session that wrote it.
    #[must_use]
    pub fn producer(&self) -> Producer {
        Producer { id: self.producer_id, epoch: self.producer_epoch }
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
        let place = |range: &PartitionRange| {
            format!("{}/{} offsets {} to {}", range.topic, range.partition, range.first, range.last)
        };
        self.partitions.iter().map(place).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stands_alone_and_several_in_a_list() {
        let one = crate::transaction::tests::transaction("job/1/7");
        let two = vec![one.clone(), crate::transaction::tests::transaction("job/1/8")];
        for prepared in [Prepared::of(vec![one.clone()]), Prepared::of(two), Prepared::of(vec![])] {
            assert_eq!(Prepared::from_bytes(&prepared.to_bytes()).unwrap(), prepared);
        }
        assert_eq!(KafkaCommittable::from_bytes(&Prepared::of(vec![one.clone()]).to_bytes()).unwrap(), one);
    }

    #[test]
    fn other_forms_are_refused() {
        for (bytes, says) in [
            (&b"{\"version\":2}"[..], "version 2"),
            (b"[{\"version\":2}]", "version 2"),
            (b"{\"version\":1}", "damaged"),
            (b"\xff", "damaged"),
            (b"[", "damaged"),
            (b"", "damaged"),
        ] {
            let error = Prepared::from_bytes(bytes).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Checkpoint);
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}
