//! Simulated sinks whose output goes into Kafka transactions: the protocol of production over clusters in the
//! simulation's world.
//!
//! ```text
//! KafkaSimulated: writer ─────► Producers (Rotation) ──► SimulatedProducer ──┐
//!                 participant ► Transactions ──────────► SimulatedBrokers ───┴─► World: Cluster
//! ```
//!
//! [`Transactions`](crate::transaction::Transactions) and [`Rotation`](crate::transaction::Rotation) are those
//! of the Kafka connector. Each participant has a cluster of its own, each sink a topic of one partition in it:
//! so the order in which readers see a sink's records is that of its log.

mod brokers;
mod cluster;
mod log;
mod producer;
mod sink;
#[cfg(test)]
mod tests;

pub(super) use sink::KafkaSimulated;

use super::world::{Failure, Pid, State, World};
use crate::error::{Error, ErrorKind, Result};
use crate::flow::stand_in::AnyRecord;
use crate::time::Timestamp;
use cluster::{Cluster, Delayed};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A record and its event time.
type Stored = (AnyRecord, Timestamp);

/// All clusters, with what their logs stand for.
pub(crate) struct Kafka {
    clusters: BTreeMap<String, Cluster<usize>>,
    /// By sink; logs hold their numbers, as a record can be written again from a log.
    records: BTreeMap<String, Vec<Stored>>,
    /// After which time a transaction is aborted.
    pub timeout: Duration,
    /// Transactions per epoch.
    pub shards: usize,
    /// Retention has removed what readers of committed data have seen.
    pub trimmed: bool,
    /// Coordinators have forgotten ids, or somebody may have taken over one that is listed: they do not know any
    /// more how its transaction ended.
    pub disturbed: bool,
}

impl Default for Kafka {
    fn default() -> Self {
        let (clusters, records) = (BTreeMap::new(), BTreeMap::new());
        Self { clusters, records, timeout: Duration::MAX, shards: 1, trimmed: false, disturbed: false }
    }
}

impl Kafka {
    fn cluster(&mut self, name: &str) -> &mut Cluster<usize> {
        if !self.clusters.contains_key(name) {
            self.clusters.insert(name.to_owned(), Cluster::default());
        }
        self.clusters.get_mut(name).expect("it is there now")
    }

    /// Keeps records of a sink; their numbers.
    fn keep(&mut self, sink: &str, records: &mut dyn Iterator<Item = Stored>) -> Vec<usize> {
        if !self.records.contains_key(sink) {
            self.records.insert(sink.to_owned(), Vec::new());
        }
        let kept = self.records.get_mut(sink).expect("it is there now");
        let from = kept.len();
        kept.extend(records);
        (from..kept.len()).collect()
    }

    /// What is open is aborted, whatever its age; the number of transactions.
    pub fn expire_all(&mut self) -> usize {
        self.clusters.values_mut().map(|cluster| cluster.expire(i64::MAX).len()).sum()
    }

    pub fn has_late(&self) -> bool {
        self.clusters.values().any(Cluster::has_delayed)
    }

    /// What was reported as failed, and happens later, happens now.
    pub fn land_late(&mut self) -> usize {
        self.clusters.values_mut().map(Cluster::arrive).sum()
    }

    /// Somebody else takes over every id that has something open.
    pub fn rob(&mut self, now_ms: u64) -> usize {
        self.disturbed = true;
        self.clusters.values_mut().map(|cluster| cluster.rob(millis(now_ms))).sum()
    }

    /// Of the transaction that ends next in each cluster, half of the partitions have no leader.
    pub fn forget_markers(&mut self) {
        // Who mends it takes over an id that may be listed.
        self.disturbed = true;
        self.clusters.values_mut().for_each(Cluster::forget_markers);
    }

    /// Whether something was committed of which no log says so.
    pub fn has_unproven(&self) -> bool {
        self.clusters.values().any(Cluster::has_unproven)
    }

    /// Retention removes what is not held by an open transaction.
    pub fn trim(&mut self) {
        self.trimmed = true;
        self.clusters.values_mut().for_each(Cluster::trim);
    }

    /// Coordinators forget ids without an open transaction.
    pub fn forget(&mut self) {
        self.disturbed = true;
        self.clusters.values_mut().for_each(Cluster::forget);
    }

    /// The visible records of a sink, in the order of its log.
    pub fn committed<'a>(&'a self, sink: &'a str) -> impl Iterator<Item = &'a Stored> + 'a {
        let numbers = self.clusters.values().flat_map(move |cluster| cluster.committed(sink));
        numbers.filter_map(move |number| self.records.get(sink)?.get(*number))
    }

    /// The records of a sink in open transactions.
    pub fn uncommitted<'a>(&'a self, sink: &'a str) -> impl Iterator<Item = &'a Stored> + 'a {
        let numbers = self.clusters.values().flat_map(move |cluster| cluster.open(sink));
        numbers.filter_map(move |number| self.records.get(sink)?.get(*number))
    }

    /// When nothing more will happen: a sink's records are taken out, with the numbers of the visible ones in the
    /// order of its log.
    pub fn take_committed(&mut self, sink: &str) -> (Vec<AnyRecord>, Vec<usize>) {
        let visible = self.clusters.values().flat_map(|cluster| cluster.committed(sink)).copied().collect();
        let records = self.records.remove(sink).unwrap_or_default().into_iter().map(|(record, _)| record);
        (records.collect(), visible)
    }
}

fn millis(now_ms: u64) -> i64 {
    i64::try_from(now_ms).unwrap_or(i64::MAX)
}

/// As Kafka counts timeouts.
fn timeout_ms(timeout: Duration) -> i32 {
    i32::try_from(timeout.as_millis()).unwrap_or(cluster::NO_TIMEOUT)
}

/// A process's way to a cluster.
#[derive(Clone)]
struct Connection {
    world: Arc<World>,
    pid: Pid,
    cluster: Arc<str>,
}

/// One in so many requests finds that one which was thought lost comes before it.
const ARRIVES_ONE_IN: usize = 4;

impl Connection {
    /// Sends a request, which may fail before or after it does what it is asked to.
    fn ask<R>(&self, place: &'static str, what: &str, answer: impl FnOnce(&mut Cluster<usize>, i64) -> R) -> Result<R> {
        self.send(place, what, None, answer)
    }

    /// As [`ask`](Self::ask), for a request that may also arrive later.
    fn send<R>(
        &self,
        place: &'static str,
        what: &str,
        later: Option<Delayed>,
        answer: impl FnOnce(&mut Cluster<usize>, i64) -> R,
    ) -> Result<R> {
        if !self.world.enter(self.pid, place) {
            return Err(Error::new(ErrorKind::Sink, "the process is dead"));
        }
        self.world.with(|state| {
            self.meanwhile(state);
            let failure = state.take_sink_failure();
            let takes_over_later = failure == Some(Failure::Late) && matches!(later, Some(Delayed::TakeOver { .. }));
            state.kafka.disturbed |= takes_over_later;
            let (now_ms, cluster) = (millis(state.now_ms), state.kafka.cluster(&self.cluster));
            let failure = match (failure, later) {
                (None, _) => return Ok(answer(cluster, now_ms)),
                (Some(Failure::After), _) => {
                    answer(cluster, now_ms);
                    "it was done, but the answer was lost"
                }
                (Some(Failure::Late), Some(later)) => {
                    cluster.delay(later);
                    "it arrives later"
                }
                (Some(_), _) => "nothing happened",
            };
            Err(Error::new(ErrorKind::Sink, format!("injected failure of {what}: {failure}")))
        })
    }

    /// What happens to a cluster between two requests.
    fn meanwhile(&self, state: &mut State) {
        let now_ms = millis(state.now_ms);
        let arrive = state.kafka.cluster(&self.cluster).has_delayed() && state.chance.one_in(ARRIVES_ONE_IN);
        let cluster = state.kafka.cluster(&self.cluster);
        let expired = cluster.expire(now_ms);
        if arrive {
            let arrived = cluster.arrive();
            state
                .say(self.pid, || format!("is overtaken by requests that were thought lost ({arrived} had an effect)"));
        }
        for id in expired {
            state.say(self.pid, || format!("comes after the transaction {id} has expired"));
        }
    }

    fn say(&self, line: impl FnOnce() -> String) {
        self.world.with(|state| state.say(self.pid, line));
    }
}
