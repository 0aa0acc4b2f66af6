//! Where a partition stands, as it is kept in checkpoints, and whether reading can go on from there.
//!
//! Pure: what the brokers say is passed in.

#![warn(clippy::disallowed_methods, reason = "no clock and no thread reaches what only decides or decodes")]

use crate::api::source::SplitPosition;
use crate::error::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The position of one partition: part of the checkpoint format.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// The next offset to read: that behind the last record.
    pub offset: i64,
    /// The offset before which nothing is left to read, where that is more than `offset`: what ends a transaction
    /// has an offset and is no record, nor is what was aborted. Reading goes on at `offset` all the same, as
    /// `leader_epoch` is of that record and not of what is behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_to: Option<i64>,
    /// The leader's epoch when the last record was read, so that a log that was cut back is noticed (KIP-320).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader_epoch: Option<i32>,
    /// Where a bounded source ends: fixed at the first start, so that a restart reads no more than that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<i64>,
    /// The topic's id, so that one that was created again under the same name is noticed (KIP-516). Not
    /// in checkpoints of earlier versions: they are believed, and the next checkpoint has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic_id: Option<String>,
}

impl Position {
    /// The offset before which nothing is left to read.
    pub fn read_to(&self) -> i64 {
        self.read_to.map_or(self.offset, |read_to| read_to.max(self.offset))
    }

    /// A record was read.
    #[inline]
    pub fn read(&mut self, offset: i64, leader_epoch: i32) {
        (self.offset, self.read_to) = (offset + 1, None);
        self.leader_epoch = (leader_epoch >= 0).then_some(leader_epoch);
    }

    /// There are no records before this offset that were not read.
    pub fn passed(&mut self, offset: i64) {
        self.read_to = Some(self.read_to().max(offset)).filter(|read_to| *read_to > self.offset);
    }

    /// Goes on at an offset that was not reached by reading: nothing is known of the leader there.
    pub fn jump(&mut self, offset: i64) {
        (self.offset, self.leader_epoch, self.read_to) = (offset, None, None);
    }
}

/// Why reading cannot go on from a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// The topic was deleted and created again.
    Recreated,
    /// Records that were never read are gone: this is the oldest offset left.
    Removed { oldest: i64 },
    /// The log ends here, before the position or before the end that a bounded source reads to.
    Beyond { end: i64 },
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recreated => f.write_str("the topic was deleted and created again since"),
            Self::Removed { oldest } => {
                write!(f, "the oldest record left is {oldest}: retention removed what was never read")
            }
            Self::Beyond { end } => write!(f, "the log ends at {end}: it was cut back, or is another one"),
        }
    }
}

/// What a broker says of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Log<'a> {
    pub topic_id: Option<&'a str>,
    /// The oldest offset that is still there.
    pub low: i64,
    /// The offset that is written next, decided or not.
    pub high: i64,
}

impl Log<'_> {
    /// What stands in the way of reading from here, if anything.
    pub fn check(&self, position: &Position) -> Option<Loss> {
        let same_topic = position.topic_id.is_none() || position.topic_id.as_deref() == self.topic_id;
        if !same_topic {
            return Some(Loss::Recreated);
        }
        if position.read_to() < self.low {
            return Some(Loss::Removed { oldest: self.low });
        }
        // Of a bounded source, the records up to its end were there once.
        let needed = position.end.map_or(position.offset, |end| end.max(position.offset));
        (needed > self.high).then_some(Loss::Beyond { end: self.high })
    }
}

/// The split of a partition.
pub(super) fn split_name(topic: &str, partition: i32) -> String {
    format!("{topic}/{partition}")
}

/// The topic and partition that a split's name says.
pub(super) fn parse_split(split: &str) -> Option<(&str, i32)> {
    // A topic's name contains no slash.
    let (topic, partition) = split.split_once('/')?;
    Some((topic, partition.parse().ok()?))
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

/// Whether these are positions of a bounded source.
pub(super) fn has_end(restored: &[SplitPosition]) -> bool {
    restored.iter().any(|split| split.position["end"].is_number())
}

/// Refuses a checkpoint with positions of topics that the source does not read.
pub(super) fn check_topics(restored: &[SplitPosition], topics: &[String]) -> Result<()> {
    for split in restored {
        let known = parse_split(&split.split).is_some_and(|(topic, _)| topics.iter().any(|known| known == topic));
        if !known {
            let message = format!(
                "the checkpoint has a position for {}, which is not of {}: give a source that reads other topics \
                 another id",
                split.split,
                topics.join(", ")
            );
            return Err(Error::new(ErrorKind::Checkpoint, message));
        }
    }
    Ok(())
}

/// Splits of a topic of which the brokers tell no such partition.
fn beyond<'a>(
    restored: &'a [SplitPosition],
    topic: &'a str,
    partitions: i32,
) -> impl Iterator<Item = &'a SplitPosition> {
    let is_beyond = move |split: &&SplitPosition| match parse_split(&split.split) {
        Some((name, partition)) => name == topic && partition >= partitions,
        None => false,
    };
    restored.iter().filter(is_beyond)
}

/// Splits of a topic that has no such partitions any more: it was made anew, smaller.
pub(super) fn vanished<'a>(
    restored: &'a [SplitPosition],
    topic: &'a str,
    partitions: i32,
) -> impl Iterator<Item = &'a str> {
    beyond(restored, topic, partitions).map(|split| split.split.as_str())
}

/// A split that a topic must have, whatever this broker tells: the topic is the one of the checkpoint, and none loses
/// partitions. The broker has not heard of them yet.
pub(super) fn unheard_of<'a>(
    restored: &'a [SplitPosition],
    topic: &'a str,
    id: Option<&str>,
    partitions: i32,
) -> Option<&'a str> {
    let is_the_same = |split: &&SplitPosition| id.is_some() && split.position["topic_id"].as_str() == id;
    beyond(restored, topic, partitions).find(is_the_same).map(|split| split.split.as_str())
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
        assert_eq!(of(0), Some(Position { offset: 7, ..Position::default() }));
        assert_eq!(of(1).unwrap().leader_epoch, Some(2));
        assert_eq!(of(2), None);
        assert_eq!(serde_json::to_value(of(0)).unwrap(), json!({ "offset": 7 }));
        assert!(find(&[split("t/0", json!("x"))], "t", 0).is_err());
        assert!(!has_end(&restored) && !has_end(&[split("t/0", json!("x"))]));
        assert!(has_end(&[restored[0].clone(), split("t/1", json!({ "offset": 8, "end": 9 }))]));
    }

    #[test]
    fn what_is_no_record_is_passed_and_a_record_is_read() {
        let mut position = Position::default();
        position.read(50, 3);
        position.passed(51);
        assert_eq!((position.read_to, position.read_to()), (None, 51), "nothing new");
        position.passed(53);
        position.passed(52);
        let written = serde_json::to_value(&position).unwrap();
        assert_eq!(written, json!({ "offset": 51, "leader_epoch": 3, "read_to": 53 }));
        position.jump(52);
        assert_eq!(position, Position { offset: 52, ..Position::default() });
        position.passed(60);
        position.read(70, -1);
        assert_eq!(position, Position { offset: 71, ..Position::default() });
    }

    #[test]
    fn foreign_topics_are_refused_and_vanished_partitions_named() {
        let topics = ["t".to_owned(), "v".to_owned()];
        let restored = [split("t/0", json!({})), split("t/3", json!({})), split("v/1", json!({}))];
        assert!(check_topics(&restored, &topics).is_ok());
        let foreign = check_topics(&[split("u/0", json!({}))], &topics).unwrap_err();
        assert!(foreign.message().contains("another id"), "{foreign}");
        assert!(check_topics(&[split("t", json!({}))], &topics).is_err());
        assert_eq!(vanished(&restored, "t", 3).collect::<Vec<_>>(), ["t/3"]);
    }

    #[test]
    fn a_topic_that_is_still_the_same_has_all_its_partitions() {
        let id = |id: &str| json!({ "offset": 0, "topic_id": id });
        let restored = [split("t/0", id("a")), split("t/3", id("a")), split("v/5", id("b")), split("w/5", json!({}))];
        assert_eq!(unheard_of(&restored, "t", Some("a"), 3), Some("t/3"));
        assert_eq!(unheard_of(&restored, "t", Some("a"), 4), None, "all are told");
        assert_eq!(unheard_of(&restored, "t", Some("b"), 3), None, "it was made anew");
        assert_eq!((unheard_of(&restored, "w", Some("b"), 3), unheard_of(&restored, "w", None, 3)), (None, None));
    }

    #[test]
    fn every_offset_of_the_log_is_a_position_and_its_end_too() {
        let log = Log { topic_id: Some("a"), low: 10, high: 20 };
        let check = |offset, id: Option<&str>| {
            log.check(&Position { offset, topic_id: id.map(str::to_owned), ..Position::default() })
        };
        for offset in 10..=20 {
            assert_eq!((check(offset, Some("a")), check(offset, None)), (None, None));
        }
        assert_eq!(check(9, Some("a")), Some(Loss::Removed { oldest: 10 }));
        assert_eq!(check(21, None), Some(Loss::Beyond { end: 20 }));
        assert_eq!(check(15, Some("b")), Some(Loss::Recreated), "though the offset is there");
        // What retention removed up to there was no record.
        let marker = |offset, read_to| Position { offset, read_to: Some(read_to), ..Position::default() };
        assert_eq!((log.check(&marker(8, 10)), log.check(&marker(8, 15))), (None, None));
        assert_eq!(log.check(&marker(8, 9)), Some(Loss::Removed { oldest: 10 }));
        // Up to its end, a bounded source needs all records.
        let bounded = |offset, end| log.check(&Position { offset, end: Some(end), ..Position::default() });
        assert_eq!((bounded(15, 20), bounded(20, 20)), (None, None));
        assert_eq!(
            (bounded(15, 21), bounded(20, 21)),
            (Some(Loss::Beyond { end: 20 }), Some(Loss::Beyond { end: 20 }))
        );
        assert_eq!(bounded(9, 21), Some(Loss::Removed { oldest: 10 }));
        let nameless = Log { topic_id: None, ..log };
        let position = Position { offset: 15, topic_id: Some("a".into()), ..Position::default() };
        assert_eq!(nameless.check(&position), Some(Loss::Recreated));
    }
}
