//! A Kafka cluster, as far as transactions go: what its coordinators keep of transactional ids, and its logs.
//!
//! ```text
//! Empty -> Ongoing -> CompleteCommit | CompleteAbort -> Ongoing ...     same producer session
//!   ^                        |
//!   +---- InitProducerId ----+         next session: epoch + 1; what was open is aborted
//! ```
//!
//! The rules are those of brokers with the protocol that librdkafka speaks (KIP-98, `EndTxn` 4 and before): a
//! request names a session, not a transaction, so a late one ends whatever the session has open. Whoever knows
//! the session may end it. What is open for longer than its timeout is aborted, prepared or not: brokers do not
//! know the difference.
//!
//! Pure: time is passed in. `V` stands for a record.

use super::log::Log;
use crate::transaction::{
    Copied, CopyRange, Described, Isolation, Listed, Marker, OpenIn, Peek, Producer, SessionRange,
};
use std::collections::BTreeMap;

/// INVALID_TXN_STATE: there is nothing to end, or it has ended otherwise.
pub(super) const INVALID_STATE: i16 = 48;
/// INVALID_PRODUCER_ID_MAPPING: the coordinator does not know this producer.
pub(super) const UNKNOWN_PRODUCER: i16 = 49;
/// PRODUCER_FENCED: a younger session has the transactional id.
pub(super) const FENCED: i16 = 90;

/// Never aborted for its age.
pub(super) const NO_TIMEOUT: i32 = i32::MAX;

/// See the module.
#[derive(Debug)]
pub(crate) struct Cluster<V> {
    ids: BTreeMap<String, Coordinated>,
    topics: BTreeMap<String, Vec<Log<V>>>,
    next_producer: i64,
    /// Requests that nobody waits for any more, and that are still on their way.
    delayed: Vec<Delayed>,
    /// No partition has a leader when the next transaction ends: its markers are forgotten (KAFKA-20734).
    leaderless: bool,
    unproven: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Empty,
    Ongoing,
    CompleteCommit,
    CompleteAbort,
}

#[derive(Debug)]
struct Coordinated {
    producer: Producer,
    state: State,
    start_ms: i64,
    timeout_ms: i32,
    /// The partitions of the open transaction.
    partitions: Vec<(String, i32)>,
}

/// A request that may arrive at any time.
#[derive(Clone, Debug)]
pub(super) enum Delayed {
    /// EndTxn.
    End { id: String, producer: Producer, commit: bool },
    /// InitProducerId.
    TakeOver { id: String, timeout_ms: i32 },
}

impl<V> Default for Cluster<V> {
    fn default() -> Self {
        let (ids, topics, delayed) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        Self { ids, topics, next_producer: 1, delayed, leaderless: false, unproven: false }
    }
}

impl<V: Clone> Cluster<V> {
    /// Aborts what has been open for too long by now, with a raised epoch; returns the ids.
    pub fn expire(&mut self, now_ms: i64) -> Vec<String> {
        let is_due = |it: &Coordinated| {
            let due_ms = it.start_ms.saturating_add(it.timeout_ms.into());
            it.state == State::Ongoing && it.timeout_ms != NO_TIMEOUT && due_ms <= now_ms
        };
        let due = self.ids.iter().filter(|(_, it)| is_due(it)).map(|(id, _)| id.clone());
        let due: Vec<String> = due.collect();
        due.iter().for_each(|id| self.finish(id, false, 1));
        due
    }

    /// Ends the id's open transaction in the logs of all its partitions.
    fn finish(&mut self, id: &str, commit: bool, raise: i16) {
        let Some(it) = self.ids.get_mut(id) else { return };
        it.producer.epoch += raise;
        it.state = if commit { State::CompleteCommit } else { State::CompleteAbort };
        let producer = it.producer;
        let partitions = std::mem::take(&mut it.partitions);
        let forgotten = if std::mem::take(&mut self.leaderless) { partitions.len().div_ceil(2) } else { 0 };
        // Only the coordinator knows then.
        self.unproven |= commit && forgotten > 0 && forgotten == partitions.len();
        for (topic, partition) in partitions.into_iter().skip(forgotten) {
            self.log(&topic, partition).mark(producer, commit);
        }
    }

    /// Half of the markers of the transaction that ends next are forgotten.
    pub fn forget_markers(&mut self) {
        self.leaderless = true;
    }

    /// Whether something was committed of which no log says so: who takes the id over to mend that and dies
    /// leaves nothing that proves it.
    pub fn has_unproven(&self) -> bool {
        self.unproven
    }

    /// A partition's log. Topics are as long as they need to be.
    fn log(&mut self, topic: &str, partition: i32) -> &mut Log<V> {
        if !self.topics.contains_key(topic) {
            self.topics.insert(topic.to_owned(), Vec::new());
        }
        let partitions = self.topics.get_mut(topic).expect("it is there now");
        let at = usize::try_from(partition).unwrap_or(0);
        if partitions.len() <= at {
            partitions.resize_with(at + 1, Log::default);
        }
        &mut partitions[at]
    }

    /// InitProducerId.
    pub fn take_over(&mut self, id: &str, timeout_ms: i32) -> Producer {
        if self.ids.get(id).is_some_and(|it| it.state == State::Ongoing) {
            self.finish(id, false, 1);
        }
        let next = Producer { id: self.next_producer, epoch: -1 };
        let it = self.ids.entry(id.to_owned()).or_insert_with(|| Coordinated {
            producer: next,
            state: State::Empty,
            start_ms: -1,
            timeout_ms,
            partitions: Vec::new(),
        });
        if it.producer == next {
            self.next_producer += 1;
        }
        it.producer.epoch += 1;
        (it.state, it.start_ms, it.timeout_ms) = (State::Empty, -1, timeout_ms);
        it.producer
    }

    /// The id, if it belongs to this session.
    fn of_session(&mut self, id: &str, producer: Producer) -> Result<&mut Coordinated, i16> {
        let it = self.ids.get_mut(id).filter(|it| it.producer.id == producer.id).ok_or(UNKNOWN_PRODUCER)?;
        if it.producer == producer { Ok(it) } else { Err(FENCED) }
    }

    /// AddPartitionsToTxn: the first one begins the transaction.
    pub fn add(&mut self, id: &str, producer: Producer, topic: &str, partition: i32, now_ms: i64) -> Result<(), i16> {
        let it = self.of_session(id, producer)?;
        if it.state != State::Ongoing {
            (it.state, it.start_ms) = (State::Ongoing, now_ms);
        }
        if !it.partitions.iter().any(|(name, number)| name == topic && *number == partition) {
            it.partitions.push((topic.to_owned(), partition));
        }
        Ok(())
    }

    /// Produce, to a partition that was added: one batch. Returns the offsets of its first and last record.
    pub fn produce(
        &mut self,
        id: &str,
        producer: Producer,
        topic: &str,
        partition: i32,
        records: Vec<V>,
    ) -> Result<(i64, i64), i16> {
        let it = self.of_session(id, producer)?;
        let added = it.partitions.iter().any(|(name, number)| name == topic && *number == partition);
        if it.state != State::Ongoing || !added {
            return Err(INVALID_STATE);
        }
        Ok(self.log(topic, partition).append(producer, records))
    }

    /// EndTxn, version 4 and before: the error code.
    pub fn end(&mut self, id: &str, producer: Producer, commit: bool) -> i16 {
        let state = match self.of_session(id, producer) {
            Ok(it) => it.state,
            Err(code) => return code,
        };
        match (state, commit) {
            (State::Ongoing, _) => {
                self.finish(id, commit, 0);
                0
            }
            (State::CompleteCommit, true) | (State::CompleteAbort, false) => 0,
            _ => INVALID_STATE,
        }
    }

    /// DescribeTransactions.
    pub fn describe(&self, id: &str) -> Option<Described> {
        self.ids.get(id).map(|it| Described {
            state: it.state.name().to_owned(),
            producer: it.producer,
            start_ms: it.start_ms,
            timeout_ms: it.timeout_ms,
            partitions: it.partitions.clone(),
        })
    }

    /// ListTransactions.
    pub fn list(&self, prefix: &str) -> Vec<Listed> {
        let ids = self.ids.iter().filter(|(id, _)| id.starts_with(prefix));
        let listed = |(id, it): (&String, &Coordinated)| Listed {
            id: id.clone(),
            state: it.state.name().to_owned(),
            producer_id: it.producer.id,
        };
        ids.map(listed).collect()
    }

    pub fn log_start(&mut self, topic: &str, partition: i32) -> i64 {
        self.log(topic, partition).start()
    }

    /// Fetch of one byte.
    pub fn peek(&mut self, topic: &str, partition: i32, offset: i64, isolation: Isolation) -> Peek {
        self.log(topic, partition).peek(offset, isolation)
    }

    /// DescribeProducers, as far as transactions go.
    pub fn open_in(&mut self, partitions: &[(&str, i32)]) -> Vec<OpenIn> {
        let of = |&(topic, partition): &(&str, i32)| {
            let log = self.log(topic, partition);
            let open = |(producer_id, first)| OpenIn { topic: topic.to_owned(), partition, producer_id, first };
            log.open_producers().map(open).collect::<Vec<_>>()
        };
        partitions.iter().flat_map(of).collect()
    }

    pub fn find_marker(&mut self, topic: &str, partition: i32, from: i64, producer_id: i64) -> Marker {
        self.log(topic, partition).find_marker(from, producer_id)
    }

    fn batches(&mut self, range: &SessionRange<'_>) -> impl Iterator<Item = &Vec<V>> {
        self.log(range.topic, range.partition).batches_of(range.from, range.first, range.last)
    }

    /// Fetch: counts a session's records.
    pub fn count(&mut self, range: &SessionRange<'_>) -> u64 {
        self.batches(range).map(|batch| batch.len() as u64).sum()
    }

    /// Fetch and Produce: writes a session's batches once more.
    pub fn copy(&mut self, range: &CopyRange<'_>) -> Result<Copied, i16> {
        let batches: Vec<Vec<V>> = self.batches(&range.of).cloned().collect();
        let mut copied = Copied { records: 0, first: -1, last: -1, left_out: None };
        for batch in batches {
            let records = batch.len() as u64;
            let (first, last) = self.produce(range.id, range.to, range.of.topic, range.of.partition, batch)?;
            copied.first = if copied.records == 0 { first } else { copied.first };
            (copied.records, copied.last) = (copied.records + records, last);
        }
        Ok(copied)
    }

    /// A request that arrives when it wants.
    pub(super) fn delay(&mut self, request: Delayed) {
        self.delayed.push(request);
    }

    pub fn has_delayed(&self) -> bool {
        !self.delayed.is_empty()
    }

    /// All requests that are on their way arrive; how many changed something, at the most.
    pub fn arrive(&mut self) -> usize {
        let delayed = std::mem::take(&mut self.delayed);
        let arrives = |request: Delayed| match request {
            Delayed::End { id, producer, commit } => self.end(&id, producer, commit) == 0,
            Delayed::TakeOver { id, timeout_ms } => self.take_over(&id, timeout_ms).epoch >= 0,
        };
        delayed.into_iter().map(arrives).filter(|arrived| *arrived).count()
    }

    /// Somebody else takes over every id that has a transaction open, and writes into one of his own: the last
    /// record of a partition of it, once more. How many ids.
    pub fn rob(&mut self, now_ms: i64) -> usize {
        let open = self.ids.iter().filter(|(_, it)| it.state == State::Ongoing);
        let open: Vec<_> =
            open.filter_map(|(id, it)| Some((id.clone(), it.timeout_ms, it.partitions.first()?.clone()))).collect();
        for (id, timeout_ms, (topic, partition)) in &open {
            let thief = self.take_over(id, *timeout_ms);
            let Some(record) = self.log(topic, *partition).newest().cloned() else { continue };
            let added = self.add(id, thief, topic, *partition, now_ms);
            let _ = added.and_then(|()| self.produce(id, thief, topic, *partition, vec![record]));
        }
        open.len()
    }

    /// Coordinators forget ids that have nothing open (`transactional.id.expiration.ms`).
    pub fn forget(&mut self) {
        self.ids.retain(|_, it| it.state == State::Ongoing);
    }

    /// Retention removes everything below the last stable offsets.
    pub fn trim(&mut self) {
        self.topics.values_mut().flatten().for_each(Log::trim);
    }

    /// What readers of committed data have seen of a topic.
    pub fn committed(&self, topic: &str) -> impl Iterator<Item = &V> {
        self.topics.get(topic).into_iter().flatten().flat_map(Log::committed)
    }

    /// A topic's records in open transactions.
    pub fn open(&self, topic: &str) -> impl Iterator<Item = &V> {
        self.topics.get(topic).into_iter().flatten().flat_map(Log::open)
    }
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::CompleteCommit => "CompleteCommit",
            Self::CompleteAbort => "CompleteAbort",
        }
    }
}
