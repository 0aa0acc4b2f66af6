//! [`KafkaTransactions`]: what the commands about transactions see of a cluster.

use super::brokers::KafkaBrokers;
use super::settings::Settings;
use super::wire::{Cluster, TransactionFacts};
use crate::api::sink::Committable;
use crate::api::transactions::{Foreseen, OpenTransaction, TransactionTool};
use crate::error::{Error, ErrorKind, Result};
use crate::transaction::{KafkaCommittable, Producer, foresee, reach_open};
use std::time::Duration;

/// How long brokers have to answer one question of a person who waits.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// Nothing is begun here.
const NO_TIMEOUT: Duration = Duration::ZERO;

/// Looks at the transactions of one cluster, without a producer.
pub(super) struct KafkaTransactions {
    brokers: String,
    asked: KafkaBrokers,
    /// Asked for once.
    cluster_id: Option<String>,
}

impl KafkaTransactions {
    pub fn new(settings: &Settings) -> Result<Self> {
        let asked = KafkaBrokers::new(Cluster::of(settings)?, NO_TIMEOUT);
        Ok(Self { brokers: settings.brokers.clone(), asked, cluster_id: None })
    }

    fn cluster_id(&mut self) -> Result<&str> {
        if self.cluster_id.is_none() {
            self.cluster_id = Some(self.asked.cluster.cluster_id(ANSWER_WITHIN)?);
        }
        Ok(self.cluster_id.as_deref().unwrap_or_default())
    }

    /// As it is now, which may be another one than was listed.
    fn again(&mut self, id: &str) -> Result<Option<TransactionFacts>> {
        let open = self.asked.cluster.open_transactions(id, ANSWER_WITHIN)?;
        Ok(open.into_iter().find(|facts| facts.id == id))
    }
}

fn producer(Producer { id, epoch }: Producer) -> String {
    format!("producer {id} epoch {epoch}")
}

fn shown(facts: TransactionFacts) -> OpenTransaction {
    OpenTransaction {
        id: facts.id,
        state: facts.state,
        producer: producer(facts.producer),
        started_ms: u64::try_from(facts.start_ms).ok(),
        timeout_ms: u64::try_from(facts.timeout_ms).ok(),
        holds: facts.partitions.iter().map(|(topic, partition)| format!("{topic}/{partition}")).collect(),
    }
}

impl TransactionTool for KafkaTransactions {
    fn place(&self) -> String {
        format!("kafka {}", self.brokers)
    }

    fn open(&mut self, prefix: &str) -> Result<Vec<OpenTransaction>> {
        Ok(self.asked.cluster.open_transactions(prefix, ANSWER_WITHIN)?.into_iter().map(shown).collect())
    }

    fn is(&self, committable: &Committable, transaction: &OpenTransaction) -> Result<bool> {
        let is = |ours: &KafkaCommittable| {
            // One session holds many transactions, one after the other: the start tells them apart.
            ours.transactional_id == transaction.id
                && producer(ours.producer()) == transaction.producer
                && u64::try_from(ours.start_ms).ok() == transaction.started_ms
        };
        Ok(KafkaCommittable::all_from_bytes(&committable.bytes)?.iter().any(is))
    }

    fn foresee(&mut self, committables: &[Committable]) -> Result<Vec<Foreseen>> {
        let read = |committable: &Committable| KafkaCommittable::all_from_bytes(&committable.bytes);
        let committables = committables.iter().map(read).collect::<Result<Vec<_>>>()?;
        let cluster_id = self.cluster_id()?.to_owned();
        foresee(&mut self.asked, &cluster_id, &committables)
    }

    fn end(&mut self, transaction: &OpenTransaction, commit: bool) -> Result<()> {
        let gone = |now: String| {
            let message =
                format!("the transaction {} is not as it was listed: it is {now}; list again", transaction.id);
            Error::new(ErrorKind::Sink, message)
        };
        let now = self.again(&transaction.id)?.ok_or_else(|| gone("over".to_owned()))?;
        let writer = now.producer;
        let shown = shown(now);
        if shown != *transaction {
            return Err(gone(format!("{} of {}", shown.state, shown.producer)));
        }
        reach_open(&mut self.asked, &transaction.id)?;
        match self.asked.cluster.end(&transaction.id, writer, commit, ANSWER_WITHIN)? {
            0 => Ok(()),
            code => Err(gone(format!("refused by the coordinator with error {code}"))),
        }
    }
}
