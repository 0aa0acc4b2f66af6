//! What is open: in a cluster, in full, for tools and for the checks at the start; and in partitions, as their leaders
//! know it.

use super::network::{Address, Network, Trouble, text, trouble};
use crate::error::{Error, Result};
use crate::transaction::{OpenIn, Producer};
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::describe_producers_response::{PartitionResponse, TopicResponse};
use kafka_protocol::messages::describe_transactions_response::TransactionState;
use kafka_protocol::messages::{DescribeProducersRequest, DescribeTransactionsRequest, TopicName, TransactionalId};
use std::collections::BTreeMap;
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

    /// The transactions that are open in partitions: each leader is asked once for all its own.
    pub async fn open_in(&mut self, partitions: &[(&str, i32)], deadline: Instant) -> Result<Vec<OpenIn>> {
        let (first, more) = match partitions {
            [] => return Ok(Vec::new()),
            [(topic, partition), rest @ ..] => (format!("{topic}/{partition}"), rest.len()),
        };
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        let what = format!("asking who has transactions open in {first}{more}");
        self.until(deadline, &what, async |network| {
            network.cancellation.check().map_err(Trouble::Final)?;
            let mut led: BTreeMap<Address, BTreeMap<&str, Vec<i32>>> = BTreeMap::new();
            for &(topic, partition) in partitions {
                let leader = network.leader(topic, partition, deadline).await?;
                led.entry(leader).or_default().entry(topic).or_default().push(partition);
            }
            let mut open = Vec::new();
            for (leader, asked) in led {
                let count: usize = asked.values().map(Vec::len).sum();
                let topics = asked.into_iter().map(|(topic, partitions)| {
                    TopicRequest::default().with_name(TopicName(text(topic))).with_partition_indexes(partitions)
                });
                let request = DescribeProducersRequest::default().with_topics(topics.collect());
                let answer = network.ask(&leader, request, 0..=0, deadline).await?.1;
                let told: usize = answer.topics.iter().map(|topic| topic.partitions.len()).sum();
                if told < count {
                    return Err(Trouble::Passing(format!("an answer for {told} of {count} partitions")));
                }
                for TopicResponse { name, partitions, .. } in answer.topics {
                    for partition in partitions {
                        open.extend(producers(&name.0, partition)?);
                    }
                }
            }
            Ok(open)
        })
        .await
    }
}

fn producers(topic: &str, partition: PartitionResponse) -> Result<Vec<OpenIn>, Trouble> {
    let number = partition.partition_index;
    if partition.error_code != 0 {
        let of_partition = |why: String| format!("{topic}/{number}: {why}");
        return Err(match trouble(partition.error_code, "DescribeProducers") {
            Trouble::Passing(why) => Trouble::Passing(of_partition(why)),
            Trouble::Final(error) => Trouble::Final(Error::new(error.kind(), of_partition(error.message().to_owned()))),
            refused => refused,
        });
    }
    let open = partition.active_producers.into_iter().filter(|producer| producer.current_txn_start_offset >= 0);
    let open = open.map(|producer| OpenIn {
        topic: topic.to_owned(),
        partition: number,
        producer_id: producer.producer_id.0,
        first: producer.current_txn_start_offset,
    });
    Ok(open.collect())
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
