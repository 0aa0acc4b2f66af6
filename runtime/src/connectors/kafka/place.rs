//! Which partitions are a worker's own, where each begins, and where it ends if the source is bounded.
//!
//! What the brokers know is asked for here, and has a time limit; what follows from it is pure.

use super::ask::{Asking, Offsets};
use super::position::{self, Log, Loss, Position};
use super::raw::Which;
use super::source::{KafkaSource, OnLostOffsets, StartAt};
use super::start::{Split, Topic, is_owner, lost};
use crate::api::source::ReaderContext;
use crate::connectors::format::Format;
use crate::error::Result;

/// A split, and whether its position was known before.
pub(super) struct Planned {
    pub split: Split,
    restored: bool,
}

/// The partitions of this worker, with their positions of the checkpoint, if there is one.
pub(super) fn own_splits<F: Format>(
    source: &KafkaSource<F>,
    context: &ReaderContext<'_>,
    topics: &[Topic],
) -> Result<Vec<Planned>> {
    let is_fixed = source.bounded && position::has_end(context.restored.unwrap_or_default());
    let mut splits = Vec::new();
    for (number, topic) in topics.iter().enumerate() {
        let is_mine = |partition: &i32| is_owner(&topic.name, *partition, context.worker, context.workers);
        for partition in (0..topic.partitions).filter(is_mine) {
            let known = match context.restored {
                Some(restored) => position::find(restored, &topic.name, partition)?,
                None => None,
            };
            let is_restored = known.is_some();
            // What a bounded source reads was fixed when it was first started as one.
            if is_fixed && !is_restored {
                continue;
            }
            let (mut position, mut finished) = known.unwrap_or_default();
            // A source that is not bounded any more goes on where it had ended.
            if !source.bounded {
                (position.end, finished) = (None, false);
            }
            let split = Split { topic: number, partition, position, finished, lost: false };
            splits.push(Planned { split, restored: is_restored });
        }
    }
    Ok(splits)
}

/// Where splits start that have no position yet.
pub(super) enum Start<'a> {
    Said(&'a StartAt),
    Group(Offsets),
}

/// Where a split begins.
#[derive(Clone, Debug, PartialEq)]
enum Begin {
    /// As a checkpoint, the user or a group says: the log may not have it any more.
    Named(Position),
    /// As its leader told just now.
    Told(i64),
}

/// Gives each split the position where it goes on, or starts.
pub(super) fn place<F: Format>(
    source: &KafkaSource<F>,
    asking: &Asking<'_>,
    splits: &mut [Planned],
    start: &Start<'_>,
) -> Result<()> {
    let open: Vec<&Split> = splits.iter().map(|planned| &planned.split).filter(|split| !split.finished).collect();
    let low = asking.offsets(&open, Which::Earliest, false)?;
    let begins = begins(source, asking, splits, start, &low)?;
    // Last, as logs grow while they are asked about: no split begins behind its end.
    let high = asking.offsets(&open, Which::Latest, false)?;
    let placed = splits.iter_mut().map(|planned| &mut planned.split).zip(begins);
    for (split, begin) in placed.filter(|(split, _)| !split.finished) {
        let at = (split.topic, split.partition);
        let topic = &asking.topics[split.topic];
        let log = Log { topic_id: topic.id.as_deref(), low: low[&at], high: high[&at] };
        let (begin, loss) = check(&log, begin);
        if let Some(loss) = &loss {
            let end = begin.end.map(|end| format!(" to {end}")).unwrap_or_default();
            lost(source, &format!("{}/{} offset {}{end}", topic.name, split.partition, begin.offset), loss)?;
        }
        split.position = go_on(&log, begin, loss.as_ref(), source.on_lost_offsets, source.bounded);
        split.finished = split.position.end.is_some_and(|end| split.position.offset >= end);
    }
    Ok(())
}

/// Where each split begins, in their order. Asks for what the new ones need.
fn begins<F: Format>(
    source: &KafkaSource<F>,
    asking: &Asking<'_>,
    splits: &[Planned],
    start: &Start<'_>,
    low: &Offsets,
) -> Result<Vec<Begin>> {
    let new: Vec<&Split> = splits.iter().filter(|planned| !planned.restored).map(|planned| &planned.split).collect();
    let (mut latest, mut timed) = (Offsets::new(), Offsets::new());
    if let Start::Said(StartAt::Latest | StartAt::Timestamp(_)) = start {
        latest = asking.offsets(&new, Which::Latest, source.committed_only)?;
    }
    // Behind the end that was told before: a record that comes in between is of this time or later.
    if let Start::Said(StartAt::Timestamp(ms)) = start {
        timed = asking.offsets(&new, Which::At(*ms), source.committed_only)?;
    }
    let begin = |Planned { split, restored }: &Planned| {
        if *restored {
            return Begin::Named(split.position.clone());
        }
        let at = (split.topic, split.partition);
        let given = match start {
            Start::Said(StartAt::Explicit(offsets)) => {
                offsets.get(&(asking.topics[split.topic].name.to_string(), split.partition))
            }
            Start::Group(offsets) => offsets.get(&at),
            Start::Said(_) => None,
        };
        let told = timed.get(&at).filter(|offset| **offset >= 0).or_else(|| latest.get(&at)).unwrap_or(&low[&at]);
        given.map_or(Begin::Told(*told), |offset| Begin::Named(Position { offset: *offset, ..Position::default() }))
    };
    Ok(splits.iter().map(begin).collect())
}

/// The position where a split begins, and what of it the log does not have.
fn check(log: &Log<'_>, begin: Begin) -> (Position, Option<Loss>) {
    match begin {
        Begin::Named(position) => {
            let loss = log.check(&position);
            (position, loss)
        }
        Begin::Told(offset) => (Position { offset, ..Position::default() }, None),
    }
}

/// Where a split goes on in what the log has; after a loss, as the policy says.
fn go_on(log: &Log<'_>, begin: Position, loss: Option<&Loss>, policy: OnLostOffsets, bounded: bool) -> Position {
    let mut position = match loss {
        None => begin,
        // Only what comes behind the position is lost.
        Some(Loss::Beyond { .. }) if begin.offset <= log.high => begin,
        Some(loss) => {
            let offset = if policy == OnLostOffsets::Latest { log.high } else { log.low };
            let end = begin.end.filter(|_| *loss != Loss::Recreated);
            Position { offset, end, ..Position::default() }
        }
    };
    // Between the last record and the oldest offset left was none, or it is lost.
    if position.offset < log.low {
        position.jump(log.low);
    }
    position.topic_id = log.topic_id.map(str::to_owned);
    // No later than the log: what is written behind its end from now on does not replace what was lost.
    position.end = bounded.then(|| position.end.map_or(log.high, |end| end.min(log.high)));
    position
}

#[cfg(test)]
mod tests;
