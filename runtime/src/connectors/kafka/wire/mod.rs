//! The Kafka protocol itself, for the few requests that librdkafka does not offer: describe, list and
//! end transactions by name, and look at one batch of a log.
//!
//! Versions are pinned where a newer one means something else: EndTxn stays at 4, as 5 belongs to
//! transactions of another kind than librdkafka's (KIP-890), and Fetch stays at 12, the last one that
//! names topics. A connection is made as the options of librdkafka ask for (`security`). This module answers questions; what the answers mean is decided elsewhere.

mod batch;
mod connection;
mod fetch;
mod frame;
mod held_up;
mod inspect;
mod left_out;
mod network;
mod records;
mod refusal;
mod replay;
mod session;
mod shape;
mod survey;
mod transactions;

pub use batch::read_headers;
pub use frame::read_answer;
pub use inspect::TransactionFacts;
pub use records::read_records;
pub use survey::{ClusterFacts, Configs, TopicFacts};

pub use crate::transaction::{
    BatchHeader, Copied, CopyRange, Counted, Described, Listed, Marker, OpenIn, Peek, Producer, SessionRange, Topic,
};

use super::reach::Reach;
use super::security::Security;
use super::settings::Settings;
use crate::error::{Error, ErrorKind, Result};
use crate::stop::Cancellation;
use connection::Access;
use network::Network;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// The brokers of a cluster, asked from a thread that may block. Each question has a deadline, until
/// which it is asked again when a broker is away or busy.
pub struct Cluster {
    runtime: tokio::runtime::Runtime,
    network: Network,
}

impl Cluster {
    /// Prepares to ask; nothing connects yet. `brokers` is `host:port,host:port`.
    ///
    /// # Errors
    /// `Config` for brokers that are not of that form, and for certificates or keys that cannot be read.
    pub fn new(brokers: &str, security: Security) -> Result<Self> {
        Self::reached(brokers, security, Reach::default())
    }

    /// The brokers of a source or sink, asked as its options say.
    pub(super) fn of(settings: &Settings) -> Result<Self> {
        Self::reached(&settings.brokers, settings.security()?, settings.reach()?)
    }

    fn reached(brokers: &str, security: Security, reach: Reach) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::new(ErrorKind::Sink, "the system gave no event queue").caused_by(error))?;
        Ok(Self { runtime, network: Network::new(brokers, Access::new(security, reach)?)? })
    }

    /// From now on no question is asked again once this is set.
    pub fn cancelled_by(&mut self, cancellation: Cancellation) {
        self.network.cancellation = cancellation;
    }

    /// The cluster's id, given to it when it was created.
    ///
    /// # Errors
    /// `Sink` when no broker answers in time.
    pub fn cluster_id(&mut self, within: Duration) -> Result<String> {
        self.runtime.block_on(self.network.cluster_id(by(within)))
    }

    /// The topic of this name; `None` if all the time there was no such topic.
    ///
    /// # Errors
    /// `Sink` when no broker answers in time.
    pub fn topic(&mut self, name: &str, within: Duration) -> Result<Option<Topic>> {
        self.runtime.block_on(self.network.topic(name, by(within)))
    }

    /// Who the brokers take us for, for people.
    #[must_use]
    pub fn principal(&self) -> String {
        self.network.principal()
    }

    /// How many brokers there are, and these settings of one of them.
    ///
    /// # Errors
    /// `Sink` when no broker answers in time.
    pub fn cluster_facts(&mut self, configs: &[&str], within: Duration) -> Result<ClusterFacts> {
        self.runtime.block_on(self.network.cluster_facts(configs, by(within)))
    }

    /// A topic's copies, our rights, and these settings of it; `None` if it is not known.
    ///
    /// # Errors
    /// `Sink` when no broker answers in time, `Config` when we may not know of it.
    pub fn topic_facts(&mut self, topic: &str, configs: &[&str], within: Duration) -> Result<Option<TopicFacts>> {
        self.runtime.block_on(self.network.topic_facts(topic, configs, by(within)))
    }

    /// Whether transactions may be described, begun and ended under an id. Changes nothing.
    ///
    /// # Errors
    /// `Config` that names the missing right; `Sink` when the coordinator does not answer in time.
    pub fn may_use_id(&mut self, id: &str, within: Duration) -> Result<()> {
        self.runtime.block_on(self.network.may_use_id(id, by(within)))
    }

    /// What keeps records for these topics from being taken, for people, in the transaction of this id if there is
    /// one; empty if all leaders answer. Takes a few seconds at the most.
    pub fn held_up_by(&mut self, id: Option<&str>, topics: &BTreeSet<String>) -> Vec<String> {
        self.runtime.block_on(self.network.held_up_by(id, topics))
    }

    /// What the coordinator knows of a transactional id; `None` if nothing.
    ///
    /// # Errors
    /// `Sink` when the coordinator does not answer in time, or refuses.
    pub fn describe(&mut self, id: &str, within: Duration) -> Result<Option<Described>> {
        self.runtime.block_on(self.network.describe(id, by(within)))
    }

    /// Ends a transaction of a producer that nobody may be using any more. The answer is the broker's
    /// error code; it decides nothing: describe the transaction afterwards.
    ///
    /// # Errors
    /// `Sink` when the coordinator does not answer in time.
    pub fn end(&mut self, id: &str, producer: Producer, commit: bool, within: Duration) -> Result<i16> {
        self.runtime.block_on(self.network.end(id, producer, commit, by(within)))
    }

    /// The transactional ids that start so, of all brokers.
    ///
    /// # Errors
    /// `Sink` when a broker does not answer in time, or a partition in which ids are kept has no leader.
    pub fn list(&mut self, prefix: &str, within: Duration) -> Result<Vec<Listed>> {
        self.runtime.block_on(self.network.list(prefix, by(within)))
    }

    /// The transactions that are open under ids that start so, of all brokers, as their coordinators describe
    /// them. Those that we may not describe are left out by the brokers.
    ///
    /// # Errors
    /// `Sink` when a broker does not answer in time.
    pub fn open_transactions(&mut self, prefix: &str, within: Duration) -> Result<Vec<TransactionFacts>> {
        self.runtime.block_on(self.network.open_transactions(prefix, by(within)))
    }

    /// Aborts whatever this id has open, and locks out whoever was using it.
    ///
    /// # Errors
    /// `Sink` when the coordinator does not answer in time, or refuses.
    pub fn init_producer_id(&mut self, id: &str, timeout: Duration, within: Duration) -> Result<Producer> {
        self.runtime.block_on(self.network.init_producer_id(id, timeout, by(within)))
    }

    /// The one batch at an offset of a log, and what its broker says beside it. With `committed` only
    /// what is decided is shown.
    ///
    /// # Errors
    /// `Sink` when the partition's leader does not answer in time; `Config` for a missing right to read.
    pub fn peek(
        &mut self,
        topic: &str,
        partition: i32,
        offset: i64,
        committed: bool,
        within: Duration,
    ) -> Result<Peek> {
        self.runtime.block_on(self.network.peek(topic, partition, offset, committed, by(within)))
    }

    /// The first offset that a log still has.
    ///
    /// # Errors
    /// `Sink` when the partition's leader does not answer in time.
    pub fn log_start(&mut self, topic: &str, partition: i32, within: Duration) -> Result<i64> {
        self.runtime.block_on(self.network.log_start(topic, partition, by(within)))
    }

    /// The transactions that are open in these partitions: topic and number.
    ///
    /// # Errors
    /// `Sink` when a partition's leader does not answer in time; `Config` for a missing right to read.
    pub fn open_in(&mut self, partitions: &[(&str, i32)], within: Duration) -> Result<Vec<OpenIn>> {
        self.runtime.block_on(self.network.open_in(partitions, by(within)))
    }

    /// Reads on from an offset to the first control batch of a producer.
    ///
    /// # Errors
    /// `Sink` when the partition's leader does not answer in time.
    pub fn find_marker(
        &mut self,
        topic: &str,
        partition: i32,
        from: i64,
        producer_id: i64,
        within: Duration,
    ) -> Result<Marker> {
        self.runtime.block_on(self.network.find_marker(topic, partition, from, producer_id, by(within)))
    }

    /// Makes partitions part of a producer's transaction.
    ///
    /// # Errors
    /// `Sink` when the coordinator does not answer in time, or refuses; `Config` for a missing right.
    pub fn add_partitions(
        &mut self,
        id: &str,
        producer: Producer,
        partitions: &[(&str, i32)],
        within: Duration,
    ) -> Result<()> {
        self.runtime.block_on(self.network.add_partitions(id, producer, partitions, by(within)))
    }

    /// Counts the records that [`copy`](Self::copy) would copy, and writes nothing.
    ///
    /// # Errors
    /// `Sink` when the partition's leader does not answer in time; `Config` for a missing right.
    pub fn count(&mut self, range: &SessionRange<'_>, within: Duration) -> Result<Counted> {
        self.runtime.block_on(self.network.count(range, within))
    }

    /// Writes the batches of one producer session in a range once more, as another producer. `within`
    /// is how long nothing may move on.
    ///
    /// # Errors
    /// `Sink` when the partition's leader does not answer in time, or refuses; `Config` for a missing right.
    pub fn copy(&mut self, range: &CopyRange<'_>, within: Duration) -> Result<Copied> {
        self.runtime.block_on(self.network.copy(range, within))
    }
}

#[expect(clippy::disallowed_methods, reason = "deadlines of real brokers")]
fn by(within: Duration) -> Instant {
    Instant::now() + within
}

#[cfg(test)]
mod tests;
