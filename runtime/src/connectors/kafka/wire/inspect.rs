//! What is open in a cluster, in full: for tools and for the checks at the start.

use super::network::Network;
use crate::error::Result;
use crate::transaction::Producer;
use kafka_protocol::messages::describe_transactions_response::TransactionState;
use kafka_protocol::messages::{DescribeTransactionsRequest, TransactionalId};
use std::time::Instant;

/// A transaction that is not over, as its coordinator describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionFacts {
    /// The transactional id.
    pub id: String,
    /// `Ongoing`, `PrepareCommit`, `PrepareAbort`, `PrepareEpochFence`.
    pub state: String,
    /// The session that it belongs to.
    pub producer: Producer,
    /// When it began, by the broker's clock in milliseconds since 1970; -1 if it is not known.
    pub start_ms: i64,
    /// After how many milliseconds the broker aborts it.
    pub timeout_ms: i32,
    /// The partitions that were added to it: topic and number.
    pub partitions: Vec<(String, i32)>,
}

/// The states in which readers of committed data are held back.
const OPEN: [&str; 4] = ["Ongoing", "PrepareCommit", "PrepareAbort", "PrepareEpochFence"];

impl Network {
    pub async fn open_transactions(&mut self, prefix: &str, deadline: Instant) -> Result<Vec<TransactionFacts>> {
        self.until(deadline, "listing open transactions", async |network| {
            let mut found = Vec::new();
            for (broker, listed) in network.listed(prefix, deadline).await? {
                let open = listed.into_iter().filter(|listed| OPEN.contains(&&*listed.transaction_state));
                let ids: Vec<TransactionalId> = open.map(|listed| listed.transactional_id).collect();
                if ids.is_empty() {
                    continue;
                }
                let request = DescribeTransactionsRequest::default().with_transactional_ids(ids);
                let answer = network.ask(&broker, request, 0..=0, deadline).await?.1;
                // What ended in between, or moved to another broker, is left out.
                let open = answer.transaction_states.iter();
                found.extend(open.filter(|it| OPEN.contains(&&*it.transaction_state)).map(facts));
            }
            Ok(found)
        })
        .await
    }
}

/// The partitions that a transaction has been given, in order.
pub(super) fn partitions(state: &TransactionState) -> Vec<(String, i32)> {
    let of = |topic: &kafka_protocol::messages::describe_transactions_response::TopicData| {
        let name = topic.topic.to_string();
        topic.partitions.iter().map(move |&partition| (name.clone(), partition)).collect::<Vec<_>>()
    };
    let mut partitions: Vec<_> = state.topics.iter().flat_map(of).collect();
    partitions.sort_unstable();
    partitions
}

fn facts(state: &TransactionState) -> TransactionFacts {
    TransactionFacts {
        id: state.transactional_id.to_string(),
        state: state.transaction_state.to_string(),
        producer: Producer { id: state.producer_id.0, epoch: state.producer_epoch },
        start_ms: state.transaction_start_time_ms,
        timeout_ms: state.transaction_timeout_ms,
        partitions: partitions(state),
    }
}
