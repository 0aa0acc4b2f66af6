//! What a partition's leader still remembers of the producers that wrote there (KIP-664): what tells it that a
//! batch was sent twice. It forgets them some time after their last batch or marker.

use super::client::Client;
use super::raw;
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::{DescribeProducersRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

impl Client {
    /// The producer ids that a partition of the only broker has a memory of.
    pub fn remembered_producers(&self, topic: &str, partition: i32) -> Vec<i64> {
        let name = TopicName(StrBytes::from_string(topic.to_owned()));
        let wanted = TopicRequest::default().with_name(name).with_partition_indexes(vec![partition]);
        let request = DescribeProducersRequest::default().with_topics(vec![wanted]);
        let answer = raw::ask(self.brokers(), &request, 0);
        let found = answer.topics.into_iter().flat_map(|topic| topic.partitions).next().expect("what was asked for");
        assert_eq!(found.error_code, 0, "{topic}/{partition}: {:?}", found.error_message);
        found.active_producers.iter().map(|producer| producer.producer_id.0).collect()
    }
}
