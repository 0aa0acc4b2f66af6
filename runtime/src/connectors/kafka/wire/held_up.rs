//! Why records do not arrive: partitions without a leader, brokers that do not answer. For people.

#![expect(clippy::disallowed_methods, reason = "deadlines of real brokers, threads of real clients")]

use super::network::{Address, Network, address, code_text, text};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{MetadataRequest, MetadataResponse, TopicName};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long each broker has to answer.
const BRIEFLY: Duration = Duration::from_millis(1_500);
/// So many topics are asked about.
const TOPICS_MAX: usize = 50;
/// So many partitions are named of those with the same trouble.
const NAMED_MAX: usize = 5;

impl Network {
    /// What keeps records for these topics from being taken, in the transaction of this id if there is one.
    /// Asks each broker that matters, once.
    pub async fn held_up_by(&mut self, id: Option<&str>, topics: &BTreeSet<String>) -> Vec<String> {
        let named = |topic: &String| MetadataRequestTopic::default().with_name(Some(TopicName(text(topic))));
        let request = MetadataRequest::default()
            .with_topics(Some(topics.iter().take(TOPICS_MAX).map(named).collect()))
            .with_allow_auto_topic_creation(false);
        let mut silent: BTreeMap<Address, String> = BTreeMap::new();
        let mut metadata = None;
        for broker in self.given() {
            match self.ask(&broker, request.clone(), 11..=12, Instant::now() + BRIEFLY).await {
                Ok((_, answer)) => {
                    self.prefer(&broker);
                    metadata = Some(answer);
                    break;
                }
                Err(trouble) => {
                    silent.insert(broker, self.words(trouble));
                }
            }
        }
        let Some(metadata) = metadata else { return silent.into_values().collect() };
        let (mut found, mut needed) = of_metadata(&metadata);
        if let Some(id) = id {
            match self.coordinator(id, Instant::now() + BRIEFLY).await {
                Ok(coordinator) => {
                    needed.insert(coordinator);
                }
                Err(trouble) => found.push(format!("the coordinator of {id}: {}", self.words(trouble))),
            }
        }
        for broker in needed {
            if let Err(trouble) = self.open(&broker, Instant::now() + BRIEFLY).await {
                silent.insert(broker, self.words(trouble));
            }
        }
        // Those that were given and have nothing to do with these topics are told too, but last.
        found.extend(silent.into_values());
        found
    }
}

/// What is wrong with partitions, and the leaders of the others.
fn of_metadata(metadata: &MetadataResponse) -> (Vec<String>, BTreeSet<Address>) {
    let (mut found, mut leaders) = (Vec::new(), BTreeSet::new());
    let (mut leaderless, mut behind) = (Vec::new(), Vec::new());
    for topic in &metadata.topics {
        let name = topic.name.as_deref().map_or("", |name| name);
        if topic.error_code != 0 {
            found.push(format!("{name}: {}", code_text(topic.error_code)));
        }
        for partition in &topic.partitions {
            let place = format!("{name}/{}", partition.partition_index);
            match metadata.brokers.iter().find(|broker| broker.node_id == partition.leader_id) {
                Some(leader) => leaders.extend(address(&leader.host, leader.port).ok()),
                None => leaderless.push(place.clone()),
            }
            let (there, all) = (partition.isr_nodes.len(), partition.replica_nodes.len());
            if there < all {
                behind.push(format!("{place} ({there} of {all})"));
            }
        }
    }
    for (places, what) in [(leaderless, "without a leader"), (behind, "with copies that are not in sync")] {
        if !places.is_empty() {
            found.push(format!("{what}: {}", listed(&places)));
        }
    }
    (found, leaders)
}

fn listed(places: &[String]) -> String {
    let named = places[..places.len().min(NAMED_MAX)].join(", ");
    let more = places.len().saturating_sub(NAMED_MAX);
    if more == 0 { named } else { format!("{named} and {more} more") }
}

#[cfg(test)]
mod tests;
