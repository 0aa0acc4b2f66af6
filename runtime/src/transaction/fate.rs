//! Whether a transaction was committed: what may be concluded from what the brokers say.
//!
//! Pure. Each rule was held against 81 situations on two broker versions; a looser one was wrong.
//! Absence of evidence is never taken for an abort.

use super::brokers::{Described, Marker, Peek};
use super::committable::{KafkaCommittable, PartitionRange};

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Neither committed nor aborted yet.
    Open,
    /// Committed, or decided to be.
    Committed,
    /// Aborted, or decided to be.
    Aborted,
    /// Nothing can be concluded, and why.
    Unknown(String),
}

/// What the coordinator's description says. It is believed only if it speaks of this transaction:
/// the same producer *and* the same start.
pub(super) fn of_described(ours: &KafkaCommittable, described: Option<&Described>) -> Fate {
    let Some(described) = described else {
        return Fate::Unknown("the coordinator does not know the transactional id (expired?)".to_owned());
    };
    if described.producer.id != ours.producer_id || described.start_ms != ours.start_ms {
        return Fate::Unknown(format!("the coordinator speaks of another transaction ({})", described.state));
    }
    match described.state.as_str() {
        "Ongoing" => Fate::Open,
        // A decision already, whether or not the markers are written.
        "PrepareCommit" | "CompleteCommit" => Fate::Committed,
        // The epoch may have been raised, as the broker does when the time is up.
        "PrepareAbort" | "PrepareEpochFence" | "CompleteAbort" => Fate::Aborted,
        // `Empty` says nothing: Kafka 3.9 keeps the start time in it whatever the end was.
        state => Fate::Unknown(format!("the coordinator says {state}")),
    }
}

/// What one `read_committed` look at the transaction's first offset says. Concluded only from an
/// answer that holds a batch: such a batch lies below the last stable offset, and only then the
/// broker's list of aborted transactions is complete.
pub(super) fn of_peek(ours: &KafkaCommittable, range: &PartitionRange, peek: &Peek) -> Fate {
    let place = format!("{}/{} offset {}", range.topic, range.partition, range.first);
    if peek.code != 0 {
        return Fate::Unknown(format!("{place} is not in the log any more (error {})", peek.code));
    }
    let Some(batch) = peek.batch else {
        return Fate::Unknown(format!("{place} lies behind a transaction that is still open"));
    };
    // The list may also hold later transactions of the same producer.
    if peek.aborted.iter().any(|&(producer, first)| producer == ours.producer_id && first <= range.first) {
        return Fate::Aborted;
    }
    if batch.is_data_of(ours.producer(), range.first) {
        return Fate::Committed;
    }
    Fate::Unknown(format!("the record at {place} is gone"))
}

/// What the first marker of the producer behind the transaction's last record says, provided that
/// [it is trusted](marker_is_trusted).
pub(super) fn of_marker(ours: &KafkaCommittable, range: &PartitionRange, marker: &Marker) -> Fate {
    let place = format!("{}/{} behind offset {}", range.topic, range.partition, range.last);
    match marker {
        // A later epoch aborts when the broker's time was up or somebody else took the id over, and commits where
        // Kafka forgot to (KAFKA-20734). Whoever wrote it: it decides what readers see.
        Marker::Found { committed: true, epoch } if *epoch >= ours.producer_epoch => Fate::Committed,
        Marker::Found { committed: false, epoch } if *epoch >= ours.producer_epoch => Fate::Aborted,
        Marker::Found { epoch, .. } => Fate::Unknown(format!("the marker in {place} is of producer epoch {epoch}")),
        Marker::NotYet => Fate::Unknown(format!("there is no marker in {place}")),
        Marker::Overwritten => Fate::Unknown(format!("the marker in {place} is gone")),
        Marker::Unreadable(why) => Fate::Unknown(format!("{place} cannot be read: {why}")),
    }
}

/// Whether the first marker behind the transaction must be its own. Compaction removes a marker when
/// no record of its transaction is left, and then the first one is another's. So either the first
/// record is still there, or the log is not compacted and was only cut off at its start, at most up to
/// the last record: further on, the transaction's own marker may be gone while that of a later one, whose
/// records went with it, is still there.
pub(super) fn marker_is_trusted(
    ours: &KafkaCommittable,
    range: &PartitionRange,
    first: &Peek,
    log_start: i64,
    compacted: Option<bool>,
) -> bool {
    let is_there = first.code == 0 && first.is_data_of(ours.producer(), range.first);
    let only_cut_off = range.first < log_start && log_start <= range.last + 1;
    is_there || (only_cut_off && compacted == Some(false))
}

/// What all partitions together say: an administrator can force one of them, so those that know must agree.
pub(super) fn agree(fates: impl IntoIterator<Item = Fate>) -> Fate {
    let mut known: Option<Fate> = None;
    let mut reasons: Vec<String> = Vec::new();
    for fate in fates {
        match (fate, &known) {
            (Fate::Unknown(why), _) => reasons.push(why),
            (fate, Some(before)) if *before != fate => {
                let why =
                    "partitions disagree: was it ended by hand in some, or forgotten (KAFKA-20734) and aborted since?";
                return Fate::Unknown(why.to_owned());
            }
            (fate, _) => known = Some(fate),
        }
    }
    known.unwrap_or_else(|| Fate::Unknown(reasons.join("; ")))
}

#[cfg(test)]
mod tests;
