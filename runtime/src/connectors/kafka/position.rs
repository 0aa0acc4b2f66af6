//! Where a partition stands, as it is kept in checkpoints.

use crate::api::source::SplitPosition;
use crate::error::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// The position of one partition: part of the checkpoint format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// The next offset to read.
    pub offset: i64,
    /// The leader's epoch when the last record was read, so that a log that was cut back is noticed (KIP-320).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader_epoch: Option<i32>,
    /// Where a bounded source ends: fixed at the first start, so that a restart reads no more than that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<i64>,
}

/// The split of a partition.
pub(super) fn split_name(topic: &str, partition: i32) -> String {
    format!("{topic}/{partition}")
}

/// The position of a partition among those of a checkpoint, and whether it was read to its end.
pub(super) fn find(restored: &[SplitPosition], topic: &str, partition: i32) -> Result<Option<(Position, bool)>> {
    let name = split_name(topic, partition);
    let Some(split) = restored.iter().find(|split| split.split == name) else { return Ok(None) };
    let position = serde_json::from_value(split.position.clone()).map_err(|error| {
        let message = format!("the checkpoint's position of {name} is not one of a Kafka source: {}", split.position);
        Error::new(ErrorKind::Checkpoint, message).caused_by(error)
    })?;
    Ok(Some((position, split.finished)))
}

/// Refuses a checkpoint with partitions that the topic does not have: it was made anew, or is another one.
pub(super) fn check_partitions(restored: &[SplitPosition], topic: &str, partitions: i32) -> Result<()> {
    for split in restored {
        let number = split.split.strip_prefix(topic).and_then(|rest| rest.strip_prefix('/'));
        let Some(number) = number.and_then(|number| number.parse::<i32>().ok()) else {
            let message = format!(
                "the checkpoint has a position for {}, which is not of the topic {topic}: give a source that \
                 reads another topic another id",
                split.split
            );
            return Err(Error::new(ErrorKind::Checkpoint, message));
        };
        if number >= partitions {
            let message = format!(
                "the checkpoint has a position for {}, but the topic has {partitions} partitions only: was it \
                 deleted and created again? Start from the beginning with a new checkpoint store",
                split.split
            );
            return Err(Error::new(ErrorKind::Checkpoint, message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn split(name: &str, position: serde_json::Value) -> SplitPosition {
        SplitPosition { split: name.to_owned(), position, finished: false }
    }

    #[test]
    fn a_position_needs_only_its_offset() {
        let restored = [split("t/0", json!({ "offset": 7 })), split("t/1", json!({ "offset": 8, "leader_epoch": 2 }))];
        let of = |partition| find(&restored, "t", partition).unwrap().map(|(position, _)| position);
        assert_eq!(of(0), Some(Position { offset: 7, leader_epoch: None, end: None }));
        assert_eq!(of(1).unwrap().leader_epoch, Some(2));
        assert_eq!(of(2), None);
        assert_eq!(serde_json::to_value(of(0)).unwrap(), json!({ "offset": 7 }));
    }

    #[test]
    fn foreign_and_vanished_partitions_are_refused() {
        assert!(check_partitions(&[split("t/0", json!({}))], "t", 1).is_ok());
        assert!(check_partitions(&[split("t/1", json!({}))], "t", 1).unwrap_err().message().contains("deleted"));
        assert!(check_partitions(&[split("u/0", json!({}))], "t", 1).unwrap_err().message().contains("another id"));
        assert!(find(&[split("t/0", json!("x"))], "t", 0).is_err());
    }
}
