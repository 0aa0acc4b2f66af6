//! [`Transactions`]: the two-phase commit of a process's Kafka transactions in one cluster.

use super::ask::{Topics, look};
use super::brokers::{Brokers, Described, Listed};
use super::committable::{KafkaCommittable, PartitionRange, Prepared, VERSION, WriterShare};
use super::ids::{Ids, is_replay, slot_of};
use super::markers::{abort_left, end_everywhere};
use super::producers::{Answer, LiveProducer};
use super::rotation::SharedRotation;
use super::settle::{Ended, Wish, check_permit, reach_open, settle, settle_published};
use crate::api::sink::Committable;
use crate::control::permit::{CommitPermit, Published, Recovery};
use crate::crash::crash_point;
use crate::error::{DataLoss, Error, ErrorKind, Result};
use crate::id::Epoch;
use crate::planted::{Bug, planted};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What was prepared is named by bytes; the live producer is only the quick way to commit it. Whatever
/// goes wrong on that way is settled by asking for the transaction's fate, as after a crash.
#[derive(Debug)]
pub struct Transactions<B, P> {
    brokers: B,
    cluster_id: String,
    ids: Ids,
    timeout: Duration,
    /// Not committed yet, by epoch, with the producers that wrote it.
    prepared: BTreeMap<Epoch, Vec<P>>,
    /// The transactional ids of earlier attempts, by producer id.
    former: BTreeMap<i64, String>,
    /// As they were when first asked for: nobody reads what is in a topic that has gone since.
    topics: Topics,
}

/// What a producer's transaction holds, once every record has arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Where the records are.
    pub partitions: Vec<PartitionRange>,
    /// Who wrote them.
    pub writers: Vec<WriterShare>,
}

/// So many ids with nothing open are taken from their former users, the latest attempts' first: one has a
/// handful of producers, but may have retired any number. Who keeps one can commit nothing, only hold
/// readers back for a timeout.
const LOCKED_OUT_MAX: usize = 32;

/// States in which a transactional id has nothing open.
const ENDED: &[&str] = &["Empty", "CompleteCommit", "CompleteAbort", "Dead"];

impl<B: Brokers, P: LiveProducer + Clone> Transactions<B, P> {
    /// `ids` are this attempt's; `timeout` is after which time the broker aborts a transaction.
    pub fn new(brokers: B, cluster_id: String, ids: Ids, timeout: Duration) -> Self {
        let (prepared, former, topics) = (BTreeMap::new(), BTreeMap::new(), Topics::default());
        Self { brokers, cluster_id, ids, timeout, prepared, former, topics }
    }

    /// The brokers, for questions of the connector's own.
    pub fn brokers(&mut self) -> &mut B {
        &mut self.brokers
    }

    /// This attempt's ids.
    #[must_use]
    pub fn ids(&self) -> &Ids {
        &self.ids
    }

    /// Commits what the restored manifest lists, oldest first, and aborts whatever else this lineage has
    /// open. No id that a manifest lists is initialised here before its end is decided, and none of this
    /// attempt or a later one.
    ///
    /// # Errors
    /// [`ErrorKind::FateUnknown`], [`ErrorKind::DataLoss`], [`ErrorKind::Config`] for another cluster,
    /// [`ErrorKind::Superseded`], and [`ErrorKind::Sink`] when brokers do not answer in time.
    pub fn recover(&mut self, published: Vec<Published>, recovery: &mut Recovery<'_>) -> Result<()> {
        let started = self.brokers.now();
        // Before anything is written again: what an old copy of the store lists has had other successors.
        if let Some(later) = self.brokers.list(self.ids.prefix())?.iter().find(|it| self.ids.is_later(&it.id)) {
            recovery.may_repeat(&later.id)?;
        }
        let (mut wish, mut listed, count) = (Wish::Commit, BTreeSet::new(), published.len());
        for published in published {
            let check = |committable: &KafkaCommittable| check_cluster(&self.cluster_id, committable);
            let (settled, replayed) = settle_published(&mut self.brokers, &self.ids, published, recovery, wish, check)?;
            if replayed && !planted(Bug::YoungerCommittedFirst) {
                wish = Wish::Abort;
            }
            let transactions = settled.iter().flat_map(Prepared::transactions);
            listed.extend(transactions.map(|transaction| transaction.transactional_id.clone()));
        }
        crash_point("kafka-settled");
        let aborted = self.abort_lingering(&listed)?;
        let took_ms = u64::try_from((self.brokers.now() - started).as_millis()).unwrap_or(u64::MAX);
        tracing::info!(target: "staunch::kafka", settled = count, aborted, took_ms, "transactions of earlier attempts");
        Ok(())
    }

    /// Aborts what earlier attempts have open and no manifest lists, and locks out its former users; the
    /// number of open ones.
    fn abort_lingering(&mut self, listed: &BTreeSet<String>) -> Result<usize> {
        let known = self.brokers.list(self.ids.prefix())?.into_iter();
        let earlier: Vec<Listed> = known.filter(|it| self.ids.is_earlier(&it.id)).collect();
        self.former = earlier.iter().map(|it| (it.producer_id, it.id.clone())).collect();
        let (mut ended, open): (Vec<Listed>, Vec<Listed>) =
            earlier.into_iter().partition(|it| ENDED.contains(&it.state.as_str()));
        // Also under an id that a manifest lists: what it lists has ended by now, so this is a later one.
        for Listed { id, state, .. } in &open {
            tracing::debug!(target: "staunch::kafka", id, state, "left open by an earlier attempt");
            reach_open(&mut self.brokers, id)?;
            self.brokers.take_over(id)?;
        }
        // A replay's id is used by nobody after its recovery.
        ended.retain(|it| !is_replay(&it.id) && !listed.contains(&it.id));
        ended.sort_by_key(|it| Reverse(slot_of(&it.id)));
        for it in ended.iter().take(LOCKED_OUT_MAX) {
            self.brokers.take_over(&it.id)?;
        }
        Ok(open.len())
    }

    /// Aborts what earlier attempts have open in these partitions though their ids have nothing open: readers would
    /// wait there for ever. What a manifest lists is ended by [`recover`](Self::recover), which comes first.
    ///
    /// # Errors
    /// The brokers did not answer in time, or another attempt has taken the ids over.
    pub fn abort_left(&mut self, partitions: &[(&str, i32)]) -> Result<()> {
        abort_left(&mut self.brokers, &self.former, partitions)
    }

    /// Prepares an epoch's transactions: `producers` are those of the shards that have records, and `deliver`
    /// waits until every record given to one has arrived. Returns the committable's bytes; `None` if there are no
    /// records.
    ///
    /// # Errors
    /// A delivery failed, the time left is too short, or the transaction is not this process's any more.
    pub fn prepare(
        &mut self,
        epoch: Epoch,
        producers: Vec<(usize, P)>,
        rotation: &impl SharedRotation<P>,
        mut deliver: impl FnMut(&P, usize) -> Result<Written>,
    ) -> Result<Option<Vec<u8>>> {
        let mut transactions = Vec::new();
        let (shards, producers): (Vec<usize>, Vec<P>) = producers.into_iter().unzip();
        for (producer, shard) in producers.iter().zip(&shards) {
            crash_point("kafka-before-flush");
            let written = deliver(producer, *shard)?;
            crash_point("kafka-flushed");
            self.check_margin(epoch, &producers)?;
            crash_point("kafka-before-describe");
            transactions.push(self.describe(epoch, producer, written)?);
            crash_point("kafka-described");
        }
        rotation.with(|rotation| rotation.prepared(epoch, |shard| shards.contains(&shard)));
        if transactions.is_empty() {
            return Ok(None);
        }
        self.prepared.insert(epoch, producers);
        Ok(Some(Prepared::of(transactions).to_bytes()))
    }

    /// A transaction that is prepared must not expire before it can be committed. Counts from the oldest:
    /// one that was carried over a checkpoint that was late is committed with this one.
    fn check_margin(&self, epoch: Epoch, producers: &[P]) -> Result<()> {
        let open = self.prepared.values().flatten().chain(producers);
        let age = open.map(LiveProducer::age).max().unwrap_or_default();
        let left = self.timeout.saturating_sub(age);
        if left >= margin(self.timeout) {
            return Ok(());
        }
        let message = format!(
            "a transaction that is to be committed with epoch {epoch} has {} s left before the broker aborts it: raise \
             .transaction_timeout(..) above the checkpoint interval and the time a checkpoint takes",
            left.as_secs()
        );
        Err(Error::new(ErrorKind::Timeout, message))
    }

    fn describe(&mut self, epoch: Epoch, producer: &P, written: Written) -> Result<KafkaCommittable> {
        let described = self.brokers.describe(producer.id())?;
        let Some(described) = described.filter(|described| described.state == "Ongoing") else {
            let message = format!("the transaction {} is not open any more: the broker aborted it", producer.id());
            return Err(Error::new(ErrorKind::Sink, message));
        };
        let Written { partitions, writers } = written;
        let transaction = KafkaCommittable {
            version: VERSION,
            cluster_id: self.cluster_id.clone(),
            epoch,
            transactional_id: producer.id().to_owned(),
            producer_id: described.producer.id,
            producer_epoch: described.producer.epoch,
            start_ms: described.start_ms,
            timeout_ms: described.timeout_ms,
            records: partitions.iter().map(|range| range.records).sum(),
            partitions,
            writers,
        };
        self.prove_ours(&transaction, &described)?;
        Ok(transaction)
    }

    /// The description names an id, not a transaction: somebody may have taken the id over after our last
    /// record. The batch at our first offset tells whose it is; without this check, records were lost. One
    /// partition is enough, as all records of a transaction come from one session.
    fn prove_ours(&mut self, transaction: &KafkaCommittable, described: &Described) -> Result<()> {
        let missing = || Error::new(ErrorKind::Internal, "records were acknowledged, but in no partition");
        let first = transaction.partitions.first().ok_or_else(missing)?;
        if planted(Bug::IdentityUnproven) {
            return Ok(());
        }
        let peek = look(&mut self.brokers, first, first.first)?;
        if !peek.is_data_of(described.producer, first.first) {
            let message = format!(
                "the transactional id {} belongs to another process now, which writes as producer {} epoch {}: is the job \
                 running twice?",
                transaction.transactional_id, described.producer.id, described.producer.epoch
            );
            return Err(Error::new(ErrorKind::Sink, message));
        }
        // An administrator may have ended it: what the same session wrote afterwards is in another one, and a client
        // tells the coordinator of a partition once.
        let open: BTreeSet<(&str, i32)> =
            described.partitions.iter().map(|(topic, at)| (topic.as_str(), *at)).collect();
        let is_out = |range: &&PartitionRange| !open.contains(&(range.topic.as_str(), range.partition));
        if let Some(PartitionRange { topic, partition, .. }) = transaction.partitions.iter().find(is_out) {
            let message = format!(
                "the transaction {} was ended by somebody else before it was complete: what is open now is without the \
                 records in {topic}/{partition}",
                transaction.transactional_id
            );
            return Err(Error::new(ErrorKind::Sink, message));
        }
        Ok(())
    }

    /// Commits. The producers may be used again once a later manifest is durable.
    ///
    /// # Errors
    /// Whatever recovery has to settle: the attempt restarts.
    pub fn commit(
        &mut self,
        committable: &Committable,
        permit: &CommitPermit,
        rotation: &impl SharedRotation<P>,
    ) -> Result<()> {
        check_permit(committable.epoch, permit.epoch())?;
        let listed = Prepared::from_bytes(&committable.bytes)?;
        let mut live = self.prepared.remove(&committable.epoch).unwrap_or_default();
        let mut again = Vec::new();
        for transaction in listed.transactions() {
            let at = live.iter().position(|producer| producer.id() == transaction.transactional_id);
            match at.map(|at| live.swap_remove(at)) {
                Some(producer) => again.extend(self.commit_live(producer, transaction)?),
                None => self.must_commit(transaction)?,
            }
        }
        rotation.with(|rotation| rotation.committed(permit.epoch(), again));
        Ok(())
    }

    /// A producer whose commit had no clean first answer is retired: a delayed request of it could end a
    /// later transaction. So is one whose id had to be taken over.
    fn commit_live(&mut self, producer: P, transaction: &KafkaCommittable) -> Result<Option<P>> {
        crash_point("kafka-before-commit");
        let answer = producer.commit();
        crash_point("kafka-commit-answered");
        match answer {
            Answer::Clean => self.reusable(producer, transaction, true),
            Answer::Unclean(_) if planted(Bug::UncleanIsCommitted) => Ok(None),
            Answer::Unclean(why) => {
                let id = producer.id();
                tracing::info!(target: "staunch::kafka", id, why, "commit: no clean answer; asking for its fate");
                drop(producer);
                self.must_commit(transaction).map(|()| None)
            }
        }
    }

    /// The producer, once its transaction has ended everywhere. Where it has not, the producer's next one would end
    /// it in its own way: records would be lost, or those of an aborted one shown.
    fn reusable(&mut self, producer: P, ended: &KafkaCommittable, commit: bool) -> Result<Option<P>> {
        let taken_over = end_everywhere(&mut self.brokers, ended, commit, &mut self.topics)?;
        Ok((!taken_over).then_some(producer))
    }

    fn must_commit(&mut self, transaction: &KafkaCommittable) -> Result<()> {
        // Whoever recovers tells of a loss, and may be told to go on.
        let may_lose = |loss: DataLoss| Err(Error::new(ErrorKind::Sink, loss.to_string()));
        match settle(&mut self.brokers, transaction, Wish::Commit, &mut Topics::default(), &may_lose)? {
            Ended::Committed => Ok(()),
            Ended::Aborted => {
                let message = format!(
                    "the transaction {} of epoch {} was aborted before it could be committed; the next attempt writes \
                     its records again from the log",
                    transaction.transactional_id, transaction.epoch
                );
                Err(Error::new(ErrorKind::Sink, message))
            }
        }
    }

    /// Aborts what was prepared and no manifest lists. The producers may begin again.
    ///
    /// # Errors
    /// The next attempt aborts it.
    pub fn abort(&mut self, committable: &Committable, rotation: &impl SharedRotation<P>) -> Result<()> {
        let listed = Prepared::from_bytes(&committable.bytes)?;
        for producer in self.prepared.remove(&committable.epoch).unwrap_or_default() {
            producer.abort()?;
            let written = listed.transactions().iter().find(|it| it.transactional_id == producer.id());
            let missing =
                || Error::new(ErrorKind::Internal, "a transaction that was prepared is not in its committable");
            if let Some(again) = self.reusable(producer, written.ok_or_else(missing)?, false)? {
                rotation.with(|rotation| rotation.aborted(again));
            }
        }
        Ok(())
    }
}

/// How much of a transaction's time must be left when it is prepared.
#[must_use]
pub fn margin(timeout: Duration) -> Duration {
    (timeout / 4).min(Duration::from_secs(30))
}

pub(super) fn check_cluster(cluster_id: &str, committable: &KafkaCommittable) -> Result<()> {
    if committable.cluster_id == cluster_id {
        return Ok(());
    }
    let message = format!(
        "the checkpoint's transaction {} is in the Kafka cluster {}, but the sink's brokers are of the cluster \
         {cluster_id}: connect to the former",
        committable.transactional_id, committable.cluster_id
    );
    Err(Error::new(ErrorKind::Config, message))
}
