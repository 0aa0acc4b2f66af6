//! The requests about transactions.

use super::inspect;
use super::network::{Address, Network, Trouble, address, is_passing, text, trouble};
use crate::error::Result;
use crate::transaction::{Described, Listed, Producer};
use kafka_protocol::messages::list_transactions_response::TransactionState;
use kafka_protocol::messages::{
    DescribeTransactionsRequest, EndTxnRequest, InitProducerIdRequest, ListTransactionsRequest, ProducerId,
    TransactionalId,
};
use std::time::{Duration, Instant};

/// TRANSACTIONAL_ID_NOT_FOUND.
const NOT_FOUND: i16 = 105;

/// The topic in which coordinators keep their ids.
const DECIDED_IN: &str = "__transaction_state";

impl Network {
    pub async fn describe(&mut self, id: &str, deadline: Instant) -> Result<Option<Described>> {
        self.until(deadline, &format!("describing the transaction {id}"), async |network| {
            // Asked again and again while somebody waits for what it will say.
            network.cancellation.check().map_err(Trouble::Final)?;
            let coordinator = network.coordinator(id, deadline).await?;
            let request =
                DescribeTransactionsRequest::default().with_transactional_ids(vec![TransactionalId(text(id))]);
            let answer = network.ask(&coordinator, request, 0..=0, deadline).await?.1;
            let Some(found) = answer.transaction_states.into_iter().next() else {
                return Err(Trouble::Passing("an empty answer".to_owned()));
            };
            match found.error_code {
                0 => Ok(Some(Described {
                    state: found.transaction_state.to_string(),
                    producer: Producer { id: found.producer_id.0, epoch: found.producer_epoch },
                    start_ms: found.transaction_start_time_ms,
                    timeout_ms: found.transaction_timeout_ms,
                    partitions: inspect::partitions(&found),
                })),
                NOT_FOUND => Ok(None),
                code => Err(trouble(code, "DescribeTransactions")),
            }
        })
        .await
    }

    pub async fn end(&mut self, id: &str, producer: Producer, commit: bool, deadline: Instant) -> Result<i16> {
        self.until(deadline, &format!("ending the transaction {id}"), async |network| {
            let coordinator = network.coordinator(id, deadline).await?;
            let request = EndTxnRequest::default()
                .with_transactional_id(TransactionalId(text(id)))
                .with_producer_id(ProducerId(producer.id))
                .with_producer_epoch(producer.epoch)
                .with_committed(commit);
            let code = network.ask(&coordinator, request, 3..=4, deadline).await?.1.error_code;
            if is_passing(code) { Err(trouble(code, "EndTxn")) } else { Ok(code) }
        })
        .await
    }

    /// The transactional ids that start so, with their states, of each broker: it tells of those that it
    /// coordinates (KIP-664).
    pub async fn listed(
        &mut self,
        prefix: &str,
        deadline: Instant,
    ) -> Result<Vec<(Address, Vec<TransactionState>)>, Trouble> {
        let brokers = self.metadata(None, deadline).await?.brokers;
        let mut all = Vec::new();
        for broker in &brokers {
            let broker = address(&broker.host, broker.port)?;
            let request = ListTransactionsRequest::default().with_duration_filter(-1);
            let mut answer = self.ask(&broker, request, 0..=1, deadline).await?.1;
            if answer.error_code != 0 {
                return Err(trouble(answer.error_code, "ListTransactions"));
            }
            answer.transaction_states.retain(|listed| listed.transactional_id.0.starts_with(prefix));
            all.push((broker, answer.transaction_states));
        }
        Ok(all)
    }

    pub async fn list(&mut self, prefix: &str, deadline: Instant) -> Result<Vec<Listed>> {
        self.until(deadline, "listing transactions", async |network| {
            network.all_coordinated(deadline).await?;
            let listed = network.listed(prefix, deadline).await?.into_iter().flat_map(|(_, listed)| listed);
            let named = |it: TransactionState| Listed {
                id: it.transactional_id.0.to_string(),
                state: it.transaction_state.to_string(),
                producer_id: it.producer_id.0,
            };
            Ok(listed.map(named).collect())
        })
        .await
    }

    /// Whether each id has a coordinator: those in a partition without a leader are in nobody's list.
    async fn all_coordinated(&mut self, deadline: Instant) -> Result<(), Trouble> {
        let metadata = self.metadata(Some(DECIDED_IN), deadline).await?;
        // There may be none yet, or we may not see it: the brokers' answers are all there is then.
        let seen = metadata.topics.iter().filter(|topic| topic.error_code == 0);
        let is_led = |id| metadata.brokers.iter().any(|broker| broker.node_id == id);
        match seen.flat_map(|topic| &topic.partitions).find(|partition| !is_led(partition.leader_id)) {
            None => Ok(()),
            Some(at) => Err(Trouble::Passing(format!("{DECIDED_IN}/{} has no leader", at.partition_index))),
        }
    }

    pub async fn init_producer_id(&mut self, id: &str, timeout: Duration, deadline: Instant) -> Result<Producer> {
        self.until(deadline, &format!("taking over the transactional id {id}"), async |network| {
            let coordinator = network.coordinator(id, deadline).await?;
            let request = InitProducerIdRequest::default()
                .with_transactional_id(Some(TransactionalId(text(id))))
                .with_transaction_timeout_ms(i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX))
                .with_producer_id(ProducerId(-1))
                .with_producer_epoch(-1);
            let answer = network.ask(&coordinator, request, 2..=4, deadline).await?.1;
            match answer.error_code {
                0 => Ok(Producer { id: answer.producer_id.0, epoch: answer.producer_epoch }),
                code => Err(trouble(code, "InitProducerId")),
            }
        })
        .await
    }
}
