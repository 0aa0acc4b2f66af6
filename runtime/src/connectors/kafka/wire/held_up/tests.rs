use super::*;
use kafka_protocol::messages::BrokerId;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};

fn partition(number: i32, leader: i32, in_sync: &[i32]) -> MetadataResponsePartition {
    let nodes = |ids: &[i32]| ids.iter().map(|id| BrokerId(*id)).collect();
    MetadataResponsePartition::default()
        .with_partition_index(number)
        .with_leader_id(BrokerId(leader))
        .with_replica_nodes(nodes(&[1, 2]))
        .with_isr_nodes(nodes(in_sync))
}

fn topic(name: &str, error_code: i16, partitions: Vec<MetadataResponsePartition>) -> MetadataResponseTopic {
    let topic = MetadataResponseTopic::default().with_name(Some(TopicName(text(name))));
    topic.with_error_code(error_code).with_partitions(partitions)
}

fn said(topics: Vec<MetadataResponseTopic>) -> (Vec<String>, Vec<Address>) {
    let broker = MetadataResponseBroker::default().with_node_id(BrokerId(1)).with_host(text("a")).with_port(9092);
    let (found, leaders) = of_metadata(&MetadataResponse::default().with_brokers(vec![broker]).with_topics(topics));
    (found, leaders.into_iter().collect())
}

#[test]
fn partitions_without_a_leader_are_named_and_leaders_are_to_be_asked() {
    let healthy = topic("t", 0, vec![partition(0, 1, &[1, 2])]);
    assert_eq!(said(vec![healthy.clone()]), (vec![], vec![("a".to_owned(), 9092)]));
    // Nobody, or a broker that the others do not know any more.
    let offline = topic("u", 0, vec![partition(0, -1, &[1, 2]), partition(1, 2, &[1, 2]), partition(2, 1, &[1])]);
    let (found, leaders) = said(vec![healthy, offline]);
    assert_eq!(found, ["without a leader: u/0, u/1", "with copies that are not in sync: u/2 (1 of 2)"]);
    assert_eq!(leaders.len(), 1);
    let many = topic("v", 0, (0..7).map(|number| partition(number, -1, &[1, 2])).collect());
    assert!(said(vec![many]).0[0].ends_with("v/4 and 2 more"));
    assert_eq!(said(vec![topic("w", 3, vec![])]).0.len(), 1, "a topic that is gone");
}
