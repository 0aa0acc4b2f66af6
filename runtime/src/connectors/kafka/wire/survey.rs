//! What a cluster and its topics are like, and what we may do there: for the checks at the start.

use super::network::{Network, Trouble, text, trouble};
use super::refusal::Right;
use crate::error::Result;
use crate::transaction::Producer;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::{DescribeConfigsRequest, EndTxnRequest, ProducerId, TransactionalId};
use std::collections::BTreeMap;
use std::time::Instant;

/// The settings of something, by name; `None` if we may not look at them.
pub type Configs = Option<BTreeMap<String, String>>;

/// A topic, seen from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicFacts {
    /// How many copies its least copied partition has.
    pub replicas: usize,
    /// How many brokers could keep one.
    pub brokers: usize,
    /// What we may do with it, a bit per operation of Kafka's `AclOperation`; `None` if not told.
    pub operations: Option<i32>,
    /// Its settings.
    pub configs: Configs,
}

/// A cluster, seen from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterFacts {
    /// How many brokers there are.
    pub brokers: usize,
    /// The settings of one of them.
    pub configs: Configs,
}

/// Kafka's numbers for types of resources.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;
/// Not told, by brokers.
const UNTOLD: i32 = i32::MIN;
/// TOPIC_AUTHORIZATION_FAILED, CLUSTER_AUTHORIZATION_FAILED, TRANSACTIONAL_ID_AUTHORIZATION_FAILED.
const NOT_FOR_US: [i16; 2] = [29, 31];
const NOT_OUR_ID: i16 = 53;

impl Network {
    pub async fn cluster_facts(&mut self, names: &[&str], deadline: Instant) -> Result<ClusterFacts> {
        self.until(deadline, "asking for the cluster's settings", async |network| {
            let metadata = network.metadata(None, deadline).await?;
            let broker = metadata.brokers.first().ok_or_else(|| Trouble::Passing("no broker is known".to_owned()))?;
            let address = super::network::address(&broker.host, broker.port)?;
            let request = request(BROKER, &broker.node_id.0.to_string(), names);
            let answer = network.ask(&address, request, 4..=4, deadline).await?.1;
            Ok(ClusterFacts { brokers: metadata.brokers.len(), configs: configs(answer)? })
        })
        .await
    }

    /// `None` if there is no such topic.
    pub async fn topic_facts(&mut self, topic: &str, names: &[&str], deadline: Instant) -> Result<Option<TopicFacts>> {
        self.until(deadline, &format!("asking for the topic {topic}"), async |network| {
            let metadata = network.metadata(Some(topic), deadline).await?;
            let Some(found) = metadata.topics.first() else { return Err(trouble(0, topic)) };
            match found.error_code {
                0 => {}
                super::network::UNKNOWN_TOPIC => return Ok(None),
                code => return Err(trouble(code, topic)),
            }
            let answer = network.ask_any(request(TOPIC, topic, names), 4..=4, deadline).await?.1;
            let replicas = found.partitions.iter().map(|partition| partition.replica_nodes.len()).min();
            let operations = Some(found.topic_authorized_operations).filter(|&told| told != UNTOLD);
            let (replicas, brokers) = (replicas.unwrap_or(0), metadata.brokers.len());
            Ok(Some(TopicFacts { replicas, brokers, operations, configs: configs(answer)? }))
        })
        .await
    }

    /// Fails if transactions under this id may not be described, begun or ended. Asks the coordinator to abort
    /// a transaction of a producer that cannot exist: it looks at the right first, and then changes nothing.
    pub async fn may_use_id(&mut self, id: &str, deadline: Instant) -> Result<()> {
        self.until(deadline, &format!("asking whether the transactional id {id} may be used"), async |network| {
            let coordinator = network.coordinator(id, deadline).await?;
            let nobody = Producer { id: -1, epoch: -1 };
            let request = EndTxnRequest::default()
                .with_transactional_id(TransactionalId(text(id)))
                .with_producer_id(ProducerId(nobody.id))
                .with_producer_epoch(nobody.epoch)
                .with_committed(false);
            let code = network.ask(&coordinator, request, 3..=4, deadline).await?.1.error_code;
            if code == NOT_OUR_ID || super::network::is_passing(code) {
                return Err(trouble(code, "EndTxn"));
            }
            Ok(())
        })
        .await
    }
}

fn request(resource: i8, name: &str, names: &[&str]) -> DescribeConfigsRequest {
    let keys = names.iter().map(|name| text(name)).collect();
    let resource = DescribeConfigsResource::default()
        .with_resource_type(resource)
        .with_resource_name(text(name))
        .with_configuration_keys(Some(keys));
    DescribeConfigsRequest::default().with_resources(vec![resource])
}

fn configs(answer: kafka_protocol::messages::DescribeConfigsResponse) -> Result<Configs, Trouble> {
    let Some(found) = answer.results.into_iter().next() else {
        return Err(Trouble::Passing("an empty answer".to_owned()));
    };
    match found.error_code {
        0 => {
            let of = |config: kafka_protocol::messages::describe_configs_response::DescribeConfigsResourceResult| {
                Some((config.name.to_string(), config.value?.to_string()))
            };
            Ok(Some(found.configs.into_iter().filter_map(of).collect()))
        }
        code if NOT_FOR_US.contains(&code) => Ok(None),
        code => Err(trouble(code, "DescribeConfigs")),
    }
}

impl TopicFacts {
    /// The first of these rights that is known to be missing: Kafka's number and name of each.
    pub(in super::super) fn missing(&self, topic: &str, needed: &[(u8, &'static str)]) -> Option<Right> {
        let operations = self.operations?;
        let missing = needed.iter().find(|(number, _)| operations & (1 << number) == 0)?;
        Some(Right { operation: missing.1, resource: format!("the topic {topic}") })
    }
}
