//! [`KafkaParticipant`]: one transaction per process, cluster and epoch, prepared and committed.
//!
//! What is decided, and in which order, is in [`crate::transaction`]; here are the producers, the writers'
//! records and the threads.

#![expect(clippy::disallowed_methods, reason = "deadlines of real brokers, threads of real clients")]

use super::brokers::{ANSWER_WITHIN, KafkaBrokers};
use super::checks;
use super::flush::{Awaited, Flush};
use super::lanes::Lanes;
use super::message::{OnRefused, Shape, TopicOf};
use super::pool::{Deferred, Plan, Pool};
use super::producer::{Outlet, Waiters};
use super::routes::{Known, Routes, Writer};
use super::settings::Settings;
use super::wire::Cluster;
use super::writer::{KafkaWriter, Sealed};
use crate::api::sink::{Committable, Share, SinkContext, TwoPhaseCommit, WriterContext};
use crate::connectors::format::Format;
use crate::control::permit::{CommitPermit, Published, Recovery};
use crate::error::{Error, ErrorKind, Result};
use crate::id::Epoch;
use crate::stop::Cancellation;
use crate::transaction::{Ids, SharedRotation, Transactions, WriterShare, Written, margin};
use rdkafka::ClientConfig;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// librdkafka waits so long, give or take a fifth, before it sends a request again. More than its own
/// 100 ms, so that a slow commit can still be told from a repeated one.
const RETRY_BACKOFF_MS: u64 = 400;
const RETRY_BACKOFF: &str = "retry.backoff.ms";
const RETRY_BACKOFF_MAX: &str = "retry.backoff.max.ms";

/// What a sink was told. Sinks that share a participant need the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub settings: Settings,
    pub exactly_once: bool,
    pub transaction_timeout: Duration,
    pub shards: usize,
}

const DEFAULTS: &[(&str, &str)] = &[
    ("compression.type", "lz4"),
    ("batch.size", "1000000"),
    ("batch.num.messages", "100000"),
    ("partitioner", "murmur2_random"),
];

fn owned(key: &str) -> Option<&'static str> {
    match key {
        "transactional.id" => Some("the connector makes the ids"),
        "transaction.timeout.ms" => Some("use .transaction_timeout(..)"),
        "enable.idempotence" | "acks" | "request.required.acks" | "enable.gapless.guarantee" => {
            Some("records must be stored once and in order")
        }
        "delivery.report.only.error" => Some("every record's delivery is checked"),
        _ => None,
    }
}

fn owned_in_transactions(key: &str) -> Option<&'static str> {
    match key {
        "message.timeout.ms" | "delivery.timeout.ms" => Some("it follows .transaction_timeout(..)"),
        key => owned(key),
    }
}

impl Options {
    fn producer(&self) -> Result<ClientConfig> {
        let timeout_ms = self.transaction_timeout.as_millis().to_string();
        let common: &[(&str, &str)] = &[("enable.idempotence", "true"), ("delivery.report.only.error", "false")];
        if !self.exactly_once {
            return self.settings.client(&[DEFAULTS, &[("linger.ms", "5")]].concat(), common, owned);
        }
        // Nothing is visible before the commit, and a flush cuts it short: lingering costs no latency.
        let backoff_ms = RETRY_BACKOFF_MS.to_string();
        let defaults = [DEFAULTS, &[("linger.ms", "50"), (RETRY_BACKOFF, &backoff_ms)]].concat();
        let decided =
            [common, &[("transaction.timeout.ms", &timeout_ms), ("message.timeout.ms", &timeout_ms)]].concat();
        self.settings.client(&defaults, &decided, owned_in_transactions)
    }

    /// What librdkafka refuses as too large is larger than this.
    fn record_bytes_max(&self) -> Result<u64> {
        // Its own default; what is no number it refuses when a producer is made.
        Ok(self.producer()?.get("message.max.bytes").and_then(|text| text.parse().ok()).unwrap_or(1_000_000))
    }

    /// A transaction that is prepared must not expire before it can be committed.
    pub(super) fn margin(&self) -> Duration {
        margin(self.transaction_timeout)
    }

    fn plan(&self, ids: Option<Ids>, cancellation: Cancellation) -> Result<Plan> {
        let config = self.producer()?;
        // Where the longest pause is shorter than the first, it is that of all.
        let set = |key| config.get(key).and_then(|text| text.parse::<u64>().ok());
        let backoff_ms = set(RETRY_BACKOFF).unwrap_or(RETRY_BACKOFF_MS).min(set(RETRY_BACKOFF_MAX).unwrap_or(u64::MAX));
        let clean_within = Duration::from_millis(backoff_ms) * 3 / 4;
        Ok(Plan { config, ids, shards: self.shards, clean_within, cancellation })
    }
}

/// The two-phase commit of all Kafka sinks with the same brokers.
pub struct KafkaParticipant {
    options: Options,
    /// Only with transactions.
    transactions: Option<Transactions<KafkaBrokers, Arc<Outlet>>>,
    pool: Option<Arc<Pool>>,
    waiters: Arc<Waiters>,
    /// How many there are.
    writers: usize,
    routes: Arc<Routes>,
    /// How many bytes a batch may have, of each topic that was looked at and tells.
    batch_max: BTreeMap<String, u64>,
    /// The topics in which nothing is open any more that earlier attempts have left.
    cleared: BTreeSet<String>,
    cancellation: Cancellation,
}

impl KafkaParticipant {
    pub(super) fn open(options: Options, context: &SinkContext<'_>) -> Result<Self> {
        options.producer()?;
        if options.shards == 0 {
            return Err(Error::new(ErrorKind::Config, ".shards(0) leaves no transaction to write into: use 1 or more"));
        }
        let mut transactions = None;
        if options.exactly_once {
            let mut cluster = Cluster::of(&options.settings)?;
            cluster.cancelled_by(context.cancellation.clone());
            let cluster_id = cluster.cluster_id(ANSWER_WITHIN)?;
            claim_cluster(&cluster_id, context)?;
            let ids = Ids::new(context.job, context.lineage, context.attempt);
            checks::cluster(&mut cluster, &options, context, &ids.producer(0))?;
            let timeout = options.transaction_timeout;
            let brokers = KafkaBrokers::new(cluster, timeout);
            transactions = Some(Transactions::new(brokers, cluster_id, ids, timeout));
        }
        let (waiters, routes) = (Arc::default(), Arc::new(Routes::new(options.exactly_once)));
        let (batch_max, cleared, cancellation) = (BTreeMap::new(), BTreeSet::new(), context.cancellation.clone());
        Ok(Self { options, transactions, pool: None, waiters, writers: 0, routes, batch_max, cleared, cancellation })
    }

    pub(super) fn writer<F: Format>(
        &mut self,
        shape: Shape<F::Record>,
        options: &Options,
        context: &WriterContext<'_>,
    ) -> Result<KafkaWriter<F>> {
        if *options != self.options {
            let message = "Kafka sinks with the same brokers share a transaction and need the same .set(..) options and \
                           .transaction_timeout(..): give them the same";
            return Err(Error::new(ErrorKind::Config, message));
        }
        let pool = self.pool()?;
        let shard = pool.shard(self.writers);
        self.writers += 1;
        let writer = Writer { sink: context.id.to_owned(), worker: context.worker, shard };
        let (record_max, on_refused) = (self.options.record_bytes_max()?, &shape.on_refused);
        let (routes, waiters) = (self.routes.clone(), self.waiters.clone());
        let mut lanes = Lanes::new(writer, routes, waiters, on_refused.clone(), record_max);
        let mut findings = Vec::new();
        if let TopicOf::Fixed(topic) = &shape.topic {
            findings.extend(self.look_up(topic, &pool, record_max, on_refused)?);
            lanes.set_fixed(topic)?;
        }
        if let OnRefused::DeadLetter(topic) = on_refused {
            findings.extend(self.look_up(topic, &pool, record_max, on_refused)?);
            lanes.set_dead(topic)?;
        }
        if context.worker == 0 {
            checks::warn(findings);
        }
        let waiter = self.waiters.add(context.waker.clone());
        Ok(KafkaWriter::new(shape, lanes, pool, waiter, context.epoch))
    }

    /// Refuses a topic that cannot be written to, or not as the sink was told to; what is to be told of it. In others,
    /// aborts what earlier attempts have left open.
    fn look_up(&mut self, topic: &str, pool: &Pool, record_max: u64, on_refused: &OnRefused) -> Result<Vec<String>> {
        if self.routes.look(topic, Instant::now()).is_none() {
            // Before librdkafka is asked, which of a missing right only says that one is missing.
            if let Some(transactions) = &mut self.transactions
                && let Some(batch_max) = checks::topic(&mut transactions.brokers().cluster, topic)?
            {
                self.batch_max.insert(topic.to_owned(), batch_max);
            }
            self.routes.resolve(&*pool.any()?, topic, ANSWER_WITHIN)?;
            self.clear(BTreeSet::from([topic.to_owned()]))?;
        }
        match self.batch_max.get(topic) {
            Some(&batch_max) => checks::sizes(topic, batch_max, record_max, on_refused),
            None => Ok(Vec::new()),
        }
    }

    /// Aborts what earlier attempts have left open in these topics, the first time that they are named.
    fn clear(&mut self, mut topics: BTreeSet<String>) -> Result<()> {
        let Some(transactions) = &mut self.transactions else { return Ok(()) };
        topics.retain(|topic| !self.cleared.contains(topic));
        let mut all = Vec::new();
        for topic in &topics {
            if let Some(Known::Topic { partitions, .. }) = self.routes.look(topic, Instant::now()) {
                all.extend((0..partitions).map(|partition| (topic.as_str(), partition)));
            }
        }
        transactions.abort_left(&all)?;
        self.cleared.extend(topics);
        Ok(())
    }

    /// Sends what the writers had to leave, and adds it to what they sealed.
    fn send_deferred(&mut self, pool: &Pool, epoch: Epoch, sealed: &[Sealed]) -> Result<Vec<Sealed>> {
        let deadline = Instant::now() + self.options.transaction_timeout;
        let mut flush = Flush::new(&self.options.settings, deadline, self.cancellation.clone());
        let mut all: BTreeMap<usize, u64> = BTreeMap::new();
        for Deferred { mut lanes, mut kept } in pool.take_deferred(epoch) {
            let outlet = pool.outlet_by(epoch, lanes.shard(), Instant::now() + ANSWER_WITHIN)?;
            lanes.open(outlet.clone());
            while !lanes.give_all(&mut kept)? {
                flush.step(&outlet, || Awaited { topics: self.routes.topics(), records: kept.len() as u64 })?;
            }
            for Sealed { route, records } in lanes.seal() {
                *all.entry(route).or_default() += records;
            }
        }
        for Sealed { route, records } in sealed {
            *all.entry(*route).or_default() += records;
        }
        Ok(all.into_iter().map(|(route, records)| Sealed { route, records }).collect())
    }

    fn transactions(&mut self) -> Result<&mut Transactions<KafkaBrokers, Arc<Outlet>>> {
        let none = || Error::new(ErrorKind::Internal, "a Kafka sink without transactions prepared one");
        self.transactions.as_mut().ok_or_else(none)
    }

    fn pool(&self) -> Result<Arc<Pool>> {
        let unrecovered = || Error::new(ErrorKind::Internal, "a Kafka sink was used before recovery");
        self.pool.clone().ok_or_else(unrecovered)
    }
}

/// Waits until every record has arrived.
fn drain(
    outlet: &Outlet,
    sealed: &[&Sealed],
    routes: &Routes,
    options: &Options,
    cancellation: &Cancellation,
) -> Result<()> {
    let deadline = Instant::now() + options.transaction_timeout;
    let mut flush = Flush::new(&options.settings, deadline, cancellation.clone());
    let tally = outlet.tally();
    let missing = |sealed: &Sealed| sealed.records.saturating_sub(tally.acknowledged_of(sealed.route));
    let awaited = || {
        let late = sealed.iter().filter(|sealed| missing(sealed) > 0);
        let topics = late.map(|sealed| routes.get(sealed.route).0.topic).collect();
        Awaited { topics, records: sealed.iter().map(|sealed| missing(sealed)).sum() }
    };
    while sealed.iter().any(|sealed| missing(sealed) > 0) {
        flush.step(outlet, awaited)?;
    }
    outlet.check()
}

/// What an outlet's transaction holds, by its delivery reports.
fn written(outlet: &Outlet, sealed: &[&Sealed], routes: &Routes) -> Written {
    let partitions = outlet.tally().ranges(|route| {
        let (route, topic_id) = routes.get(route);
        (route.topic, topic_id)
    });
    let mut writers: Vec<WriterShare> = Vec::new();
    for &&Sealed { route, records } in sealed.iter().filter(|sealed| sealed.records > 0) {
        let Writer { sink, worker, .. } = routes.get(route).0.writer;
        match writers.iter_mut().find(|share| share.sink == sink && share.worker == worker) {
            Some(share) => share.records += records,
            None => writers.push(WriterShare { sink, worker, records }),
        }
    }
    Written { partitions, writers }
}

/// Refuses a second participant for the same cluster: its recovery would abort the first one's
/// transactions. Participants are told apart by their brokers, and brokers can be spelt in many ways.
fn claim_cluster(cluster_id: &str, context: &SinkContext<'_>) -> Result<()> {
    type Claims = BTreeMap<(String, String, String), (u64, String)>;
    static CLAIMS: Mutex<Claims> = Mutex::new(BTreeMap::new());
    let key = (cluster_id.to_owned(), context.job.to_owned(), context.lineage.to_owned());
    let claim = (context.attempt, context.participant.to_owned());
    let earlier = CLAIMS.lock().unwrap_or_else(PoisonError::into_inner).insert(key, claim);
    match earlier {
        Some((attempt, other)) if attempt == context.attempt && other != context.participant => {
            let message = format!(
                "{other} and {} are the same Kafka cluster: give all its sinks the same list of brokers, so that they \
                 share a transaction",
                context.participant
            );
            Err(Error::new(ErrorKind::Config, message))
        }
        _ => Ok(()),
    }
}

impl TwoPhaseCommit for KafkaParticipant {
    fn recover(&mut self, published: Vec<Published>, recovery: &mut Recovery<'_>) -> Result<()> {
        let mut ids = None;
        match (&mut self.transactions, published.first()) {
            (Some(transactions), _) => {
                transactions.recover(published, recovery)?;
                ids = Some(transactions.ids().clone());
            }
            (None, None) => {}
            (None, Some(one)) => {
                let message = format!(
                    "the checkpoint lists Kafka transactions of epoch {}, but the sink is .at_least_once() now: start once \
                     more with .exactly_once() so that they can be committed",
                    one.committable().epoch
                );
                return Err(Error::new(ErrorKind::Config, message));
            }
        }
        let plan = self.options.plan(ids, self.cancellation.clone())?;
        self.pool = Some(Pool::start(plan, self.waiters.clone())?);
        Ok(())
    }

    fn prepare(&mut self, epoch: Epoch, shares: Vec<Share>) -> Result<Option<Vec<u8>>> {
        let pool = self.pool()?;
        let read = |share: &Share| serde_json::from_slice::<Vec<Sealed>>(&share.bytes);
        let sealed: Vec<Vec<Sealed>> =
            shares.iter().map(read).collect::<std::result::Result<_, _>>().map_err(|error| {
                Error::new(ErrorKind::Internal, "a Kafka writer sealed what cannot be read").caused_by(error)
            })?;
        let sealed = self.send_deferred(&pool, epoch, &sealed.concat())?;
        // Those that records name are not known before.
        self.clear(self.routes.topics())?;
        let (options, routes, cancellation) = (&self.options, self.routes.clone(), self.cancellation.clone());
        let in_shard = |sealed: &Sealed, shard: usize| routes.get(sealed.route).0.writer.shard == shard;
        let has_records = |shard: usize| sealed.iter().any(|sealed| sealed.records > 0 && in_shard(sealed, shard));
        let deadline = Instant::now() + ANSWER_WITHIN;
        let mut outlets = Vec::new();
        for shard in (0..self.options.shards).filter(|&shard| has_records(shard)) {
            outlets.push((shard, pool.outlet_by(epoch, shard, deadline)?));
        }
        let deliver = |outlet: &Arc<Outlet>, shard: usize| {
            let sealed: Vec<&Sealed> = sealed.iter().filter(|sealed| in_shard(sealed, shard)).collect();
            drain(outlet, &sealed, &routes, options, &cancellation)?;
            Ok(written(outlet, &sealed, &routes))
        };
        match &mut self.transactions {
            Some(transactions) => transactions.prepare(epoch, outlets, &*pool, deliver),
            None => {
                for (shard, outlet) in &outlets {
                    deliver(outlet, *shard)?;
                }
                for &Sealed { route, .. } in &sealed {
                    outlets.iter().for_each(|(_, outlet)| outlet.tally().forget(route));
                    routes.free(route);
                }
                pool.with(|rotation| rotation.prepared(epoch, has_records));
                Ok(None)
            }
        }
    }

    fn commit(&mut self, committable: &Committable, permit: &CommitPermit) -> Result<()> {
        let pool = self.pool()?;
        self.transactions()?.commit(committable, permit, &*pool)
    }

    fn abort(&mut self, committable: &Committable) -> Result<()> {
        let pool = self.pool()?;
        self.transactions()?.abort(committable, &*pool)
    }
}

impl Drop for KafkaParticipant {
    fn drop(&mut self) {
        if let Some(pool) = &self.pool {
            pool.stop();
        }
    }
}

#[cfg(test)]
mod tests;
