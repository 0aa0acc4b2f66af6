//! [`KafkaParticipant`]: one transaction per process, cluster and epoch, prepared and committed.
//!
//! What was prepared is named by bytes; the live producer is only the quick way to commit it. Whatever
//! goes wrong on that way is settled by asking for the transaction's fate, as after a crash.

use super::checks;
use super::committable::{self, KafkaCommittable, WriterShare};
use super::pool::{Deferred, Plan, Pool};
use super::producer::{Outlet, Waiters};
use super::recover;
use super::settings::Settings;
use super::wire::{Cluster, Described};
use super::writer::{self, KafkaWriter, KeyOf, Sealed};
use crate::api::sink::{Committable, Share, SinkContext, TwoPhaseCommit, WriterContext};
use crate::connectors::format::Format;
use crate::control::permit::{CommitPermit, Published, Recovery};
use crate::error::{Error, ErrorKind, Result};
use crate::id::Epoch;
use rdkafka::ClientConfig;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long brokers have to answer one question; a restarting one needs some seconds.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How long the live producer has to commit before the transaction's fate is asked for.
const COMMIT_WITHIN: Duration = Duration::from_secs(30);
/// How long librdkafka flushes before delivery reports are looked at again.
const FLUSH_STEP: Duration = Duration::from_millis(100);

/// What a sink was told. Sinks that share a participant need the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub settings: Settings,
    pub exactly_once: bool,
    pub transaction_timeout: Duration,
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
        let defaults = [DEFAULTS, &[("linger.ms", "50")]].concat();
        let decided =
            [common, &[("transaction.timeout.ms", &timeout_ms), ("message.timeout.ms", &timeout_ms)]].concat();
        self.settings.client(&defaults, &decided, owned_in_transactions)
    }

    /// A transaction that is prepared must not expire before it can be committed.
    pub(super) fn margin(&self) -> Duration {
        (self.transaction_timeout / 4).min(Duration::from_secs(30))
    }
}

/// The two-phase commit of all Kafka sinks with the same brokers.
pub struct KafkaParticipant {
    pub(super) options: Options,
    /// `<job>/<lineage>/`
    pub(super) prefix: String,
    /// Only with transactions.
    pub(super) cluster: Option<Cluster>,
    pub(super) cluster_id: String,
    pool: Option<Arc<Pool>>,
    waiters: Arc<Waiters>,
    /// By the writer's number.
    writers: Vec<WriterInfo>,
    topic_ids: BTreeMap<String, String>,
    prepared: BTreeMap<Epoch, Arc<Outlet>>,
}

struct WriterInfo {
    sink: String,
    worker: usize,
    topic: String,
}

impl KafkaParticipant {
    pub(super) fn open(options: Options, context: &SinkContext<'_>) -> Result<Self> {
        options.producer()?;
        let (mut cluster, mut cluster_id) = (None, String::new());
        if options.exactly_once {
            let mut asked = Cluster::new(&options.settings.brokers, options.settings.security()?)?;
            cluster_id = asked.cluster_id(ANSWER_WITHIN)?;
            claim_cluster(&cluster_id, context)?;
            checks::cluster(&mut asked, &options, context, &format!("{}/{}/0", context.job, context.lineage))?;
            cluster = Some(asked);
        }
        Ok(Self {
            options,
            prefix: format!("{}/{}/", context.job, context.lineage),
            cluster,
            cluster_id,
            pool: None,
            waiters: Arc::default(),
            writers: Vec::new(),
            topic_ids: BTreeMap::new(),
            prepared: BTreeMap::new(),
        })
    }

    pub(super) fn writer<F: Format>(
        &mut self,
        topic: &str,
        options: &Options,
        key: KeyOf<F::Record>,
        context: &WriterContext<'_>,
    ) -> Result<KafkaWriter<F>> {
        if *options != self.options {
            let message = "Kafka sinks with the same brokers share a transaction and need the same .set(..) options and \
                           .transaction_timeout(..): give them the same";
            return Err(Error::new(ErrorKind::Config, message));
        }
        let name = CString::new(topic)
            .map_err(|_| Error::new(ErrorKind::Config, format!("the topic's name {topic:?} contains a NUL")))?;
        let pool = self.pool()?;
        if !self.writers.iter().any(|writer| writer.topic == topic) {
            pool.any()?.check_topic(topic, ANSWER_WITHIN)?;
        }
        if let (Some(cluster), false) = (&mut self.cluster, self.topic_ids.contains_key(topic)) {
            checks::topic(cluster, topic)?;
            let id = cluster.topic_id(topic, ANSWER_WITHIN)?;
            self.topic_ids.insert(topic.to_owned(), id.unwrap_or_default());
        }
        let number = self.writers.len();
        self.writers.push(WriterInfo { sink: context.id.to_owned(), worker: context.worker, topic: topic.to_owned() });
        let waiter = self.waiters.add(context.waker.clone());
        Ok(KafkaWriter::new(name, number, pool, waiter, key, context.epoch))
    }

    fn pool(&self) -> Result<Arc<Pool>> {
        let unrecovered = || Error::new(ErrorKind::Internal, "a Kafka sink was used before recovery");
        self.pool.clone().ok_or_else(unrecovered)
    }

    /// Sends what the writers had to leave, and waits until every record has arrived.
    fn drain(&self, outlet: &Outlet, sealed: &[Sealed], deferred: Vec<Deferred>) -> Result<()> {
        let deadline = Instant::now() + self.options.transaction_timeout;
        for Deferred { writer, topic, records } in deferred {
            let topic = outlet.topic(&topic)?;
            for record in records {
                while !writer::send(&topic, record.key.as_deref(), &record.value, record.timestamp_ms, writer)? {
                    outlet.check()?;
                    outlet.flush(FLUSH_STEP);
                    in_time(deadline)?;
                }
                outlet.count_sent(1);
            }
        }
        let tally = outlet.tally();
        while sealed.iter().any(|sealed| tally.acknowledged_of(sealed.writer) < sealed.records) {
            outlet.check()?;
            in_time(deadline)?;
            outlet.flush(FLUSH_STEP);
        }
        outlet.check()
    }

    fn prepare_transaction(&mut self, outlet: &Outlet, epoch: Epoch, sealed: &[Sealed]) -> Result<KafkaCommittable> {
        let left = self.options.transaction_timeout.saturating_sub(outlet.age());
        if left < self.options.margin() {
            let message = format!(
                "the transaction of epoch {epoch} has {} s left before the broker aborts it: raise \
                 .transaction_timeout(..) above the checkpoint interval and the time a checkpoint takes",
                left.as_secs()
            );
            return Err(Error::new(ErrorKind::Timeout, message));
        }
        let cluster = self.cluster.as_mut().ok_or_else(|| Error::new(ErrorKind::Internal, "no cluster"))?;
        let described = cluster.describe(&outlet.id, ANSWER_WITHIN)?;
        let Some(described) = described.filter(|described| described.state == "Ongoing") else {
            let message = format!("the transaction {} is not open any more: the broker aborted it", outlet.id);
            return Err(Error::new(ErrorKind::Sink, message));
        };
        let partitions = outlet.tally().ranges(|writer| {
            let topic = self.writers[writer].topic.clone();
            let topic_id = self.topic_ids.get(&topic).cloned().unwrap_or_default();
            (topic, topic_id)
        });
        let writers = sealed.iter().filter(|sealed| sealed.records > 0).map(|sealed| WriterShare {
            sink: self.writers[sealed.writer].sink.clone(),
            worker: self.writers[sealed.writer].worker,
            records: sealed.records,
        });
        let committable = KafkaCommittable {
            version: committable::VERSION,
            cluster_id: self.cluster_id.clone(),
            transactional_id: outlet.id.clone(),
            producer_id: described.producer.id,
            producer_epoch: described.producer.epoch,
            start_ms: described.start_ms,
            timeout_ms: described.timeout_ms,
            epoch,
            records: sealed.iter().map(|sealed| sealed.records).sum(),
            writers: writers.collect(),
            partitions,
        };
        prove_ours(cluster, &committable, &described)?;
        Ok(committable)
    }
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

fn in_time(deadline: Instant) -> Result<()> {
    if Instant::now() < deadline {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Timeout, "Kafka did not take all records before the transaction's timeout"))
}

/// The description names an id, not a transaction: somebody may have taken the id over after our last
/// record. The batch at our first offset tells whose it is; without this check, records were lost. One
/// partition is enough, as all records of a transaction come from one session.
fn prove_ours(cluster: &mut Cluster, committable: &KafkaCommittable, described: &Described) -> Result<()> {
    let missing = || Error::new(ErrorKind::Internal, "records were acknowledged, but in no partition");
    let range = committable.partitions.first().ok_or_else(missing)?;
    let peek = cluster.peek(&range.topic, range.partition, range.first, false, ANSWER_WITHIN)?;
    let ours = peek.batch.is_some_and(|batch| {
        let same = batch.producer_id == described.producer.id && batch.producer_epoch == described.producer.epoch;
        same && !batch.control && batch.first <= range.first
    });
    if ours {
        return Ok(());
    }
    let message = format!(
        "the transactional id {} belongs to another process now, which writes as producer {} epoch {}: is the job \
         running twice?",
        committable.transactional_id, described.producer.id, described.producer.epoch
    );
    Err(Error::new(ErrorKind::Sink, message))
}

impl TwoPhaseCommit for KafkaParticipant {
    fn recover(&mut self, published: Vec<Published>, _recovery: &mut Recovery<'_>) -> Result<()> {
        let listed = recover::recover(self, &published)?;
        let plan =
            Plan { config: self.options.producer()?, prefix: self.options.exactly_once.then(|| self.prefix.clone()) };
        self.pool = Some(Pool::start(plan, self.waiters.clone(), listed)?);
        Ok(())
    }

    fn prepare(&mut self, epoch: Epoch, shares: Vec<Share>) -> Result<Option<Vec<u8>>> {
        let pool = self.pool()?;
        let read = |share: &Share| serde_json::from_slice::<Sealed>(&share.bytes);
        let sealed: Vec<Sealed> = shares.iter().map(read).collect::<std::result::Result<_, _>>().map_err(|error| {
            Error::new(ErrorKind::Internal, "a Kafka writer sealed what cannot be read").caused_by(error)
        })?;
        if sealed.iter().all(|sealed| sealed.records == 0) {
            pool.carry(epoch);
            return Ok(None);
        }
        let outlet = pool.outlet_by(epoch, Instant::now() + ANSWER_WITHIN)?;
        self.drain(&outlet, &sealed, pool.take_deferred(epoch))?;
        if !self.options.exactly_once {
            return Ok(None);
        }
        let committable = self.prepare_transaction(&outlet, epoch, &sealed)?;
        pool.take_prepared(epoch);
        self.prepared.insert(epoch, outlet);
        Ok(Some(committable.to_bytes()))
    }

    fn commit(&mut self, committable: &Committable, permit: &CommitPermit) -> Result<()> {
        recover::check_permit(committable, permit)?;
        let pool = self.pool()?;
        let live = self.prepared.remove(&committable.epoch);
        let clean = live.as_ref().map(|outlet| outlet.commit(Instant::now() + COMMIT_WITHIN));
        match clean {
            Some(Ok(())) => pool.committed(permit.epoch(), live),
            unclean => {
                if let Some(Err(error)) = unclean {
                    tracing::warn!(target: "staunch::kafka", epoch = %committable.epoch, "commit: {error}; asking for its fate");
                }
                // The producer is not used again: a delayed request of it could end a later transaction.
                recover::settle(self, &KafkaCommittable::from_bytes(&committable.bytes)?)?;
                pool.committed(permit.epoch(), None);
            }
        }
        Ok(())
    }

    fn abort(&mut self, committable: &Committable) -> Result<()> {
        let Some(outlet) = self.prepared.remove(&committable.epoch) else { return Ok(()) };
        outlet.abort(Instant::now() + COMMIT_WITHIN).map_err(|error| {
            Error::new(ErrorKind::Sink, format!("the transaction {} was not aborted", outlet.id)).caused_by(error)
        })?;
        self.pool()?.aborted(outlet);
        Ok(())
    }
}

impl Drop for KafkaParticipant {
    fn drop(&mut self) {
        if let Some(pool) = &self.pool {
            pool.stop();
        }
    }
}
