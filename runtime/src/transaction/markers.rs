//! Makes sure that a transaction whose end is decided has ended in every partition, too.
//!
//! Kafka 4 forgets the markers of partitions that have no leader when a transaction ends (KAFKA-20734), as
//! all of them have for a moment while a broker starts that finds expired transactions. The coordinator then
//! says `CompleteAbort` or `CompleteCommit`, but in such a partition the transaction stays open: its readers
//! wait for ever, and the next transaction of the same producer there ends it in its own way.
//!
//! A new session of the same transactional id that ends in the partition writes what is missing. Cut short, it
//! is gone on with, so that nobody aborts what is to be committed.

use super::ask::Topics;
use super::brokers::{Brokers, Marker, Producer};
use super::committable::KafkaCommittable;
use crate::error::{Error, ErrorKind, Result};
use crate::planted::{Bug, planted};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long the brokers may take to write the markers of a transaction, once it is decided how it ends.
const WRITTEN_WITHIN: Duration = Duration::from_secs(60);
/// How long they may take when its coordinator says that all are written, or knows nothing of it any more: one
/// that has just started may still be about to.
const SHOWN_WITHIN: Duration = Duration::from_secs(5);
/// How often a transaction is ended where it is open before that is an error.
const TRIES_MAX: usize = 5;
/// The pause before the same is asked for again, which is doubled each time up to the second one.
const PAUSE: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// Ends a transaction in the partitions that it has not ended in, as it ended elsewhere. Tells whether a new
/// session of its id had to.
///
/// # Errors
/// The brokers did not answer in time, or it stays open; [`ErrorKind::FateUnknown`] if somebody else ended it
/// otherwise meanwhile.
pub(super) fn end_everywhere(
    brokers: &mut impl Brokers,
    ended: &KafkaCommittable,
    commit: bool,
    topics: &mut Topics,
) -> Result<bool> {
    if planted(Bug::MarkersNotLookedAt) {
        return Ok(false);
    }
    let mut places: Vec<Place<'_>> = Vec::new();
    for range in &ended.partitions {
        if topics.has(brokers, ended, range)? {
            places.push(Place { topic: &range.topic, partition: range.partition, last: range.last });
        }
    }
    let (id, producer_id) = (ended.transactional_id.as_str(), ended.producer_id);
    wait_until_written(brokers, id, &places)?;
    let open = still_open(brokers, producer_id, places)?;
    if open.is_empty() {
        return Ok(false);
    }
    let forgotten = open.clone();
    end_in(brokers, Unended { id, producer_id, commit, open }, |brokers| session(brokers, ended))?;
    for place in forgotten {
        let marker = brokers.find_marker(place.topic, place.partition, place.last + 1, producer_id)?;
        if matches!(marker, Marker::Found { committed, .. } if committed != commit) {
            let message = format!(
                "the transaction {id} ended in {} otherwise than elsewhere, while it was being ended: is the job running \
                 twice?",
                names(&[place])
            );
            return Err(Error::new(ErrorKind::FateUnknown, message));
        }
    }
    Ok(true)
}

/// Aborts in these partitions what earlier attempts have open there; `former` are their transactional ids, by
/// producer id. Nobody else uses those any more, and what a manifest lists of them has ended.
///
/// # Errors
/// The brokers did not answer in time, it stays open, or an id was taken over: is the job running twice?
pub(super) fn abort_left(
    brokers: &mut impl Brokers,
    former: &BTreeMap<i64, String>,
    partitions: &[(&str, i32)],
) -> Result<()> {
    if former.is_empty() || partitions.is_empty() {
        return Ok(());
    }
    let mut left: BTreeMap<i64, Vec<Place<'_>>> = BTreeMap::new();
    for open in brokers.open_in(partitions)? {
        let at = partitions.iter().find(|&&(topic, partition)| topic == open.topic && partition == open.partition);
        if let Some(&(topic, partition)) = at {
            left.entry(open.producer_id).or_default().push(Place { topic, partition, last: i64::MAX });
        }
    }
    for (producer_id, open) in left {
        let Some(id) = former.get(&producer_id) else { continue };
        end_in(brokers, Unended { id, producer_id, commit: false, open }, |brokers| brokers.take_over(id))?;
    }
    Ok(())
}

/// A partition in which a transaction may be open, with its last record there.
#[derive(Clone, Copy)]
struct Place<'a> {
    topic: &'a str,
    partition: i32,
    last: i64,
}

/// A transaction that has ended, but not everywhere.
struct Unended<'a> {
    id: &'a str,
    producer_id: i64,
    commit: bool,
    /// Where it is open.
    open: Vec<Place<'a>>,
}

/// Ends it where it is open, through sessions of its id.
///
/// # Errors
/// It does not help. It is not over then: whoever lists it tries again.
fn end_in<B: Brokers>(
    brokers: &mut B,
    Unended { id, producer_id, commit, mut open }: Unended<'_>,
    mut session: impl FnMut(&mut B) -> Result<Producer>,
) -> Result<()> {
    tracing::warn!(
        target: "staunch::kafka",
        id,
        commit,
        places = names(&open),
        "Kafka has forgotten to end a transaction in these partitions (KAFKA-20734); ending it there"
    );
    // What ends it there is forgotten, too, if its leader is away once more.
    for _ in 0..TRIES_MAX {
        let session = session(brokers)?;
        brokers.add_partitions(id, session, &partitions(&open))?;
        brokers.end(id, session, commit)?;
        wait_until_written(brokers, id, &open)?;
        open = still_open(brokers, producer_id, open)?;
        if open.is_empty() {
            return Ok(());
        }
    }
    let message = format!(
        "the transaction {id} has ended, but stays open in {}, and readers with read_committed wait there: are the brokers \
         that lead there in order? `kafka-transactions.sh find-hanging` shows it",
        names(&open)
    );
    Err(Error::new(ErrorKind::Sink, message))
}

/// The session that an earlier call began and did not come to end; else a new one. The transaction's own has
/// an older epoch.
fn session(brokers: &mut impl Brokers, ended: &KafkaCommittable) -> Result<Producer> {
    let described = brokers.describe(&ended.transactional_id)?;
    let begun = described.filter(|it| {
        it.state == "Ongoing" && it.producer.id == ended.producer_id && it.producer.epoch > ended.producer_epoch
    });
    begun.map_or_else(|| brokers.take_over(&ended.transactional_id), |it| Ok(it.producer))
}

/// Waits until the coordinator says that all markers are written. Only then are leaders asked: a marker that one
/// has written without its followers can be lost with it, and then forgotten.
fn wait_until_written(brokers: &mut impl Brokers, id: &str, places: &[Place<'_>]) -> Result<()> {
    let (deadline, mut pause) = (brokers.now() + WRITTEN_WITHIN, PAUSE);
    loop {
        let described = brokers.describe(id)?;
        let Some(state) = described.map(|it| it.state).filter(|state| state.starts_with("Prepare")) else {
            return Ok(());
        };
        if brokers.now() >= deadline {
            let message = format!(
                "the end of the transaction {id} is decided, but not written to all its partitions ({state}): are the \
                 brokers up that lead {}?",
                names(places)
            );
            return Err(Error::new(ErrorKind::Sink, message));
        }
        wait(brokers, &mut pause);
    }
}

/// The places in which the transaction has no end even after a while.
fn still_open<'a>(brokers: &mut impl Brokers, producer_id: i64, mut places: Vec<Place<'a>>) -> Result<Vec<Place<'a>>> {
    let (deadline, mut pause) = (brokers.now() + SHOWN_WITHIN, PAUSE);
    loop {
        let open = brokers.open_in(&partitions(&places))?;
        places.retain(|place| {
            open.iter().any(|it| {
                let is_here = it.topic == place.topic && it.partition == place.partition;
                is_here && it.producer_id == producer_id && it.first <= place.last
            })
        });
        if places.is_empty() || brokers.now() >= deadline {
            return Ok(places);
        }
        wait(brokers, &mut pause);
    }
}

fn wait(brokers: &mut impl Brokers, pause: &mut Duration) {
    brokers.pause(*pause);
    *pause = (*pause * 2).min(PAUSE_MAX);
}

fn partitions<'a>(places: &[Place<'a>]) -> Vec<(&'a str, i32)> {
    places.iter().map(|place| (place.topic, place.partition)).collect()
}

fn names(places: &[Place<'_>]) -> String {
    let names: Vec<String> = places.iter().map(|place| format!("{}/{}", place.topic, place.partition)).collect();
    names.join(", ")
}
