//! [`KafkaBrokers`]: a real cluster, asked over the wire, as the transaction protocol wants it.

#![expect(clippy::disallowed_methods, reason = "deadlines of real brokers, threads of real clients")]

use super::wire::Cluster;
use crate::error::Result;
use crate::transaction::{
    Brokers, Copied, CopyRange, Counted, Described, Isolation, Listed, Marker, OpenIn, Peek, Producer, SessionRange,
    Topic,
};
use std::time::{Duration, Instant};

/// How long brokers have to answer one question; a restarting one needs some seconds.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How long a topic may be unknown to a broker that has just started.
const EXISTS_WITHIN: Duration = Duration::from_secs(10);

/// The brokers of one cluster.
pub(super) struct KafkaBrokers {
    pub cluster: Cluster,
    /// After which time transactions of sessions begun here are aborted.
    timeout: Duration,
    started: Instant,
}

impl KafkaBrokers {
    pub fn new(cluster: Cluster, timeout: Duration) -> Self {
        Self { cluster, timeout, started: Instant::now() }
    }
}

impl Brokers for KafkaBrokers {
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn pause(&mut self, time: Duration) {
        std::thread::sleep(time);
    }

    fn describe(&mut self, id: &str) -> Result<Option<Described>> {
        self.cluster.describe(id, ANSWER_WITHIN)
    }

    fn end(&mut self, id: &str, producer: Producer, commit: bool) -> Result<i16> {
        self.cluster.end(id, producer, commit, ANSWER_WITHIN)
    }

    fn take_over(&mut self, id: &str) -> Result<Producer> {
        self.cluster.init_producer_id(id, self.timeout, ANSWER_WITHIN)
    }

    fn list(&mut self, prefix: &str) -> Result<Vec<Listed>> {
        self.cluster.list(prefix, ANSWER_WITHIN)
    }

    fn topic(&mut self, name: &str) -> Result<Option<Topic>> {
        self.cluster.topic(name, EXISTS_WITHIN)
    }

    fn log_start(&mut self, topic: &str, partition: i32) -> Result<i64> {
        self.cluster.log_start(topic, partition, ANSWER_WITHIN)
    }

    fn is_compacted(&mut self, topic: &str) -> Result<Option<bool>> {
        const CLEANUP: &str = "cleanup.policy";
        let facts = self.cluster.topic_facts(topic, &[CLEANUP], ANSWER_WITHIN)?;
        let policy = facts.and_then(|facts| facts.configs?.remove(CLEANUP));
        Ok(policy.map(|policy| policy.contains("compact")))
    }

    fn peek(&mut self, topic: &str, partition: i32, offset: i64, isolation: Isolation) -> Result<Peek> {
        self.cluster.peek(topic, partition, offset, isolation == Isolation::Committed, ANSWER_WITHIN)
    }

    fn open_in(&mut self, partitions: &[(&str, i32)]) -> Result<Vec<OpenIn>> {
        self.cluster.open_in(partitions, ANSWER_WITHIN)
    }

    fn find_marker(&mut self, topic: &str, partition: i32, from: i64, producer_id: i64) -> Result<Marker> {
        self.cluster.find_marker(topic, partition, from, producer_id, ANSWER_WITHIN)
    }

    fn add_partitions(&mut self, id: &str, producer: Producer, partitions: &[(&str, i32)]) -> Result<()> {
        self.cluster.add_partitions(id, producer, partitions, ANSWER_WITHIN)
    }

    fn count(&mut self, range: &SessionRange<'_>) -> Result<Counted> {
        self.cluster.count(range, ANSWER_WITHIN)
    }

    fn copy(&mut self, range: &CopyRange<'_>) -> Result<Copied> {
        self.cluster.copy(range, ANSWER_WITHIN)
    }
}
