//! The suite for authors of sinks, run on the Kafka sink.

use crate::support::kafka;
use staunch::connectors::format::Text;
use staunch::connectors::kafka::KafkaSink;
use staunch::testing::conformance::{self, SinkUnderTest};
use staunch_tests::kafka::Client;

struct Topic {
    client: Client,
    name: String,
}

impl SinkUnderTest for Topic {
    type Sink = KafkaSink<Text>;

    fn sink(&self) -> Self::Sink {
        KafkaSink::topic(self.client.brokers(), &self.name).key(|value: &String| value.as_bytes())
    }

    fn record(&self, number: u64) -> String {
        number.to_string()
    }

    fn visible(&self) -> Vec<u64> {
        self.client.committed_values(&self.name).iter().map(|value| value.parse().unwrap()).collect()
    }
}

#[test]
fn the_kafka_sink_keeps_the_two_phase_contract() {
    let client = kafka!();
    conformance::run(|| Topic { client: client.clone(), name: client.topic("conformance", 2) });
}
