//! Makes sure that what a manifest lists is committed, whoever prepared it.

use super::ask::{Topics, ask, look};
use super::brokers::Brokers;
use super::committable::{KafkaCommittable, Prepared};
use super::fate::Fate;
use super::ids::{Ids, is_replay};
use super::markers::end_everywhere;
use super::replay;
use crate::control::permit::{Published, Recovery};
use crate::crash::crash_point;
use crate::error::{DataLoss, Error, ErrorKind, Result};
use crate::id::Epoch;
use crate::planted::{Bug, planted};
use std::time::Duration;

/// How long it may take until an open transaction has ended.
const ENDED_WITHIN: Duration = Duration::from_secs(60);
/// The pause before the same is asked for again.
const PAUSE: Duration = Duration::from_millis(100);
/// How often a committable is replayed in one recovery: each replay is open when it is published.
const REPLAYS_MAX: u32 = 5;

/// How a transaction that a durable manifest lists ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Committed,
    Aborted,
}

/// How an open transaction is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Commit,
    /// An older epoch has been written again behind it: for the order of records it has to be, too.
    Abort,
}

/// Ends a listed transaction if it is open, and tells how it ended. One whose records are not all there any more
/// is aborted: what is left of it is written again like that of any other that was aborted. `may_lose` says whether to
/// go on without what is not, before that.
pub(super) fn settle(
    brokers: &mut impl Brokers,
    ours: &KafkaCommittable,
    wish: Wish,
    topics: &mut Topics,
    may_lose: &dyn Fn(DataLoss) -> Result<()>,
) -> Result<Ended> {
    if planted(Bug::AnswerDecides) {
        let code = brokers.end(&ours.transactional_id, ours.producer(), wish == Wish::Commit)?;
        return Ok(if code == 0 { Ended::Committed } else { Ended::Aborted });
    }
    let deadline = brokers.now() + ENDED_WITHIN;
    loop {
        crash_point("kafka-before-fate");
        let fate = ask(brokers, ours)?;
        crash_point("kafka-fate-known");
        match fate {
            Fate::Committed => {
                end_everywhere(brokers, ours, true, topics)?;
                return Ok(Ended::Committed);
            }
            Fate::Aborted => return Ok(Ended::Aborted),
            Fate::Unknown(_) if planted(Bug::UnknownIsCommitted) => return Ok(Ended::Committed),
            Fate::Unknown(why) => return Err(fate_unknown(ours, &why)),
            Fate::Open => {}
        }
        let commit = is_whole(brokers, ours, topics)? && wish == Wish::Commit;
        if !commit && let Some(loss) = replay::loss(brokers, ours)? {
            may_lose(loss)?;
        }
        // The answer is the same for "committed before" and "lost": only the fate decides.
        crash_point("kafka-before-end");
        let code = brokers.end(&ours.transactional_id, ours.producer(), commit)?;
        crash_point("kafka-ended");
        if brokers.now() >= deadline {
            let message = format!("the transaction {} stays open, EndTxn says error {code}", ours.transactional_id);
            return Err(Error::new(ErrorKind::Sink, message));
        }
        if code != 0 {
            brokers.pause(PAUSE);
        }
    }
}

/// Whether all records of an open transaction can still be committed. Its topic may have been deleted, its log
/// cut off at its start, or lost its end with an unclean election: a commit would hide that.
///
/// All partitions have to answer before it is ended, and the error names the one that does not: Kafka 4 forgets the
/// markers of partitions without a leader when a transaction ends, it counts as complete, and their readers wait for
/// ever (KAFKA-20734). Those of a topic that is gone never will, and have no readers.
pub(super) fn is_whole(brokers: &mut impl Brokers, ours: &KafkaCommittable, topics: &mut Topics) -> Result<bool> {
    let mut is_whole = true;
    for range in &ours.partitions {
        if !topics.has(brokers, ours, range)? {
            is_whole = false;
            continue;
        }
        for offset in [range.first, range.last] {
            is_whole &= look(brokers, range, offset)?.is_data_of(ours.producer(), offset);
        }
    }
    Ok(is_whole)
}

/// Waits until all partitions answer of an open transaction of which no more is known than its id: the coordinator
/// tells where it is. Nobody waits for what was written to a topic that is gone.
///
/// # Errors
/// One does not in time, and is named.
pub fn reach_open(brokers: &mut impl Brokers, id: &str) -> Result<()> {
    let Some(described) = brokers.describe(id)? else { return Ok(()) };
    let mut topics = Topics::default();
    for (topic, partition) in described.partitions {
        // One that was created again may have fewer.
        if topics.get(brokers, &topic)?.as_ref().is_some_and(|topic| partition < topic.partitions) {
            brokers.log_start(&topic, partition)?;
        }
    }
    Ok(())
}

/// Settles one committable of the restored manifest. What was aborted is written again from the
/// broker's log and published in its place first. Returns the committable in its last form, `None` if
/// nothing is left of it, and whether something of it was written again, now or by an earlier recovery.
pub(super) fn settle_published(
    brokers: &mut impl Brokers,
    ids: &Ids,
    mut published: Published,
    recovery: &mut Recovery<'_>,
    mut wish: Wish,
    check: impl Fn(&KafkaCommittable) -> Result<()>,
) -> Result<(Option<Prepared>, bool)> {
    let (mut replays, mut written, mut topics) = (0, false, Topics::default());
    loop {
        let prepared = listed(&published)?;
        prepared.transactions().iter().try_for_each(&check)?;
        let mut aborted = Vec::new();
        for (at, transaction) in prepared.transactions().iter().enumerate() {
            match settle(brokers, transaction, wish, &mut topics, &|loss| recovery.may_lose(loss))? {
                Ended::Committed => {}
                Ended::Aborted => aborted.push(at),
            }
        }
        if aborted.is_empty() {
            if replays > 0 {
                crash_point("kafka-replay-committed");
            }
            // Also one that an earlier recovery wrote, and did not live to settle what is younger.
            let replayed = written || prepared.transactions().iter().any(|it| is_replay(&it.transactional_id));
            return Ok((Some(prepared), replayed));
        }
        if replays == REPLAYS_MAX {
            let message = format!(
                "the output of epoch {} was written again {replays} times and aborted each time: is another process \
                 running this job, or is .transaction_timeout(..) shorter than the time that takes?",
                published.committable().epoch
            );
            return Err(Error::new(ErrorKind::Sink, message));
        }
        replays += 1;
        // Its replay lies behind everything and may simply be committed.
        wish = Wish::Commit;
        let (replaced, some) =
            replay::replay(brokers, ids, published, prepared.transactions(), &aborted, &mut topics, recovery)?;
        written |= some;
        // Not sooner: where nothing has ended, the new session is all that the coordinator knows of afterwards.
        for &at in &aborted {
            end_everywhere(brokers, &prepared.transactions()[at], false, &mut topics)?;
        }
        match replaced {
            Some(replaced) => published = replaced,
            None => return Ok((None, written)),
        }
    }
}

/// What a durable manifest lists.
pub(super) fn listed(published: &Published) -> Result<Prepared> {
    check_permit(published.committable().epoch, published.permit().epoch())?;
    Prepared::from_bytes(&published.committable().bytes)
}

/// Only what a durable manifest lists may be committed.
pub(super) fn check_permit(epoch: Epoch, permit: Epoch) -> Result<()> {
    if epoch <= permit {
        return Ok(());
    }
    let message = format!("epoch {epoch} was to be committed when only {permit} is durable");
    Err(Error::new(ErrorKind::Internal, message))
}

fn fate_unknown(ours: &KafkaCommittable, why: &str) -> Error {
    let message = format!(
        "it cannot be told whether the Kafka transaction {} of epoch {} ({} records) was committed: {why}. Look whether \
         its records are visible to readers with read_committed: {}",
        ours.transactional_id,
        ours.epoch,
        ours.records,
        ours.places()
    );
    Error::new(ErrorKind::FateUnknown, message)
}
