//! Asks for a transaction's fate: the coordinator first; where it does not know any more, the logs.

use super::brokers::{Brokers, Isolation, Marker, Peek, Topic};
use super::committable::{KafkaCommittable, PartitionRange};
use super::fate::{self, Fate};
use crate::error::{Error, ErrorKind, Result};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

/// How long a transaction may stay undecided: a broker that was killed needs some seconds to know its
/// last stable offset again, and a foreign transaction before ours may hold it back.
const DECIDED_WITHIN: Duration = Duration::from_secs(20);
/// How long a partition's new leader may take until it shows what it has; a follower that has died counts no
/// more after `replica.lag.time.max.ms`, 30 s by default.
const SHOWN_WITHIN: Duration = Duration::from_secs(45);
/// The pause before the same question is asked again.
const PAUSE: Duration = Duration::from_millis(100);
/// After this time it is told what holds things up, and again after each further one.
const TELL_AFTER: Duration = Duration::from_secs(3);

/// What became of a transaction; waits for what time may decide. Changes nothing.
///
/// # Errors
/// The brokers did not answer in time.
pub fn ask(brokers: &mut impl Brokers, ours: &KafkaCommittable) -> Result<Fate> {
    let started = brokers.now();
    let mut tell_at = started + TELL_AFTER;
    loop {
        let described = brokers.describe(&ours.transactional_id)?;
        let fate = fate::of_described(ours, described.as_ref());
        let Fate::Unknown(why_not_described) = fate else { return Ok(fate) };
        let (fate, may_change) = of_logs(brokers, ours)?;
        let Fate::Unknown(why) = fate else { return Ok(fate) };
        let why = format!("{why_not_described}; {why}");
        let now = brokers.now();
        if !may_change || now >= started + DECIDED_WITHIN {
            return Ok(Fate::Unknown(why));
        }
        if now >= tell_at {
            tracing::info!(target: "staunch::kafka", id = ours.transactional_id, why, "waiting for a transaction's fate");
            tell_at = now + TELL_AFTER;
        }
        brokers.pause(PAUSE);
    }
}

/// What the logs of all partitions say, and whether a later look may say more.
fn of_logs(brokers: &mut impl Brokers, ours: &KafkaCommittable) -> Result<(Fate, bool)> {
    let (mut fates, mut may_change) = (Vec::new(), false);
    let mut topics = Topics::default();
    for range in &ours.partitions {
        if !topics.has(brokers, ours, range)? {
            fates.push(Fate::Unknown(format!("the topic {} was deleted since", range.topic)));
            continue;
        }
        let peek = brokers.peek(&range.topic, range.partition, range.first, Isolation::Committed)?;
        let fate = fate::of_peek(ours, range, &peek);
        let Fate::Unknown(why) = fate else {
            fates.push(fate);
            continue;
        };
        let (fate, open) = of_marker(brokers, ours, range)?;
        // Both reasons: which one matters depends on what was expected.
        fates.push(match fate {
            Fate::Unknown(why_no_marker) => Fate::Unknown(format!("{why}, and {why_no_marker}")),
            fate => fate,
        });
        may_change |= open;
    }
    Ok((fate::agree(fates), may_change))
}

/// The topics that have their names now, each asked for once: it takes a while until it is certain that one is gone.
#[derive(Debug, Default)]
pub(super) struct Topics(BTreeMap<String, Option<Topic>>);

impl Topics {
    /// Whether there is still the topic that a range of a listed transaction is in. Its id may be that of a former
    /// one, as a writer that goes on when its topic was deleted and created again does not learn of the new id: what
    /// the log has of this producer session at these offsets can be nothing else then.
    pub fn has(&mut self, brokers: &mut impl Brokers, ours: &KafkaCommittable, range: &PartitionRange) -> Result<bool> {
        match self.get(brokers, &range.topic)? {
            Some(topic) if topic.id == range.topic_id => Ok(true),
            Some(topic) if range.partition < topic.partitions => {
                // The log's start may lie between the two.
                for offset in [range.first, range.last] {
                    let there = brokers.peek(&range.topic, range.partition, offset, Isolation::Uncommitted)?;
                    if there.is_data_of(ours.producer(), offset) {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    pub fn get(&mut self, brokers: &mut impl Brokers, name: &str) -> Result<&Option<Topic>> {
        Ok(match self.0.entry(name.to_owned()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(brokers.topic(name)?),
        })
    }
}

/// What the log has at an offset of a range that was written; waits while its leader cannot tell.
///
/// # Errors
/// The brokers did not answer in time, or the leader could not tell for long.
pub(super) fn look(brokers: &mut impl Brokers, range: &PartitionRange, offset: i64) -> Result<Peek> {
    let started = brokers.now();
    let mut tell_at = started + TELL_AFTER;
    loop {
        let peek = brokers.peek(&range.topic, range.partition, offset, Isolation::Uncommitted)?;
        if !peek.is_too_early(offset) {
            return Ok(peek);
        }
        let now = brokers.now();
        if now >= started + SHOWN_WITHIN {
            let (topic, partition, shown) = (&range.topic, range.partition, peek.high_watermark);
            let message = format!(
                "the leader of {topic}/{partition} shows nothing from offset {shown} on, and {offset} was written: are \
                 its followers up?"
            );
            return Err(Error::new(ErrorKind::Sink, message));
        }
        if now >= tell_at {
            let (topic, partition) = (&range.topic, range.partition);
            tracing::info!(target: "staunch::kafka", topic, partition, offset, "waiting for a new leader to show its records");
            tell_at = now + TELL_AFTER;
        }
        brokers.pause(PAUSE);
    }
}

fn of_marker(brokers: &mut impl Brokers, ours: &KafkaCommittable, range: &PartitionRange) -> Result<(Fate, bool)> {
    let (topic, partition) = (&range.topic, range.partition);
    let first = look(brokers, range, range.first)?;
    let log_start = brokers.log_start(topic, partition)?;
    let compacted = if range.first < log_start { brokers.is_compacted(topic)? } else { None };
    if !fate::marker_is_trusted(ours, range, &first, log_start, compacted) {
        return Ok((Fate::Unknown("a marker behind it may be another transaction's".to_owned()), false));
    }
    let marker = brokers.find_marker(topic, partition, (range.last + 1).max(log_start), ours.producer_id)?;
    // Nobody may write markers any more for an id that the coordinator has forgotten, but a broker that has
    // just started may still have to.
    Ok((fate::of_marker(ours, range, &marker), marker == Marker::NotYet))
}
