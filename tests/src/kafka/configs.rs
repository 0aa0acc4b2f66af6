//! Changes a topic's settings, one by one: librdkafka's client replaces all of them.

use super::client::Client;
use super::raw;
use kafka_protocol::messages::IncrementalAlterConfigsRequest;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::protocol::StrBytes;

/// The last version with lengths of fixed size.
const VERSION: i16 = 0;
/// Kafka's numbers for a topic among resources, and for setting a value.
const TOPIC: i8 = 2;
const SET: i8 = 0;

impl Client {
    /// Changes these settings of a topic. It takes a moment until the partitions' leaders heed them.
    ///
    /// # Panics
    /// If the cluster does not answer, or refuses a value.
    pub fn alter(&self, topic: &str, settings: &[(&str, &str)]) {
        let text = |text: &str| StrBytes::from_string(text.to_owned());
        let configs = settings.iter().map(|&(name, value)| {
            AlterableConfig::default().with_name(text(name)).with_config_operation(SET).with_value(Some(text(value)))
        });
        let resource = AlterConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(text(topic))
            .with_configs(configs.collect());
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        let broker = self.brokers().split(',').next().expect("there is one");
        let answer = raw::ask(broker, &request, VERSION);
        assert!(answer.responses.iter().all(|response| response.error_code == 0), "{answer:?}");
    }
}
