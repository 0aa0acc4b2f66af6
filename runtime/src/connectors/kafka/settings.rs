//! What a user said about the connection: brokers and librdkafka options, and which of those are
//! not the user's to choose because correctness rests on them.
//!
//! Knows no client and no protocol.

#![warn(clippy::disallowed_methods, reason = "no clock and no thread reaches what only decides or decodes")]

use super::raw::tokens;
use super::reach::Reach;
use super::security::Security;
use crate::error::{Error, ErrorKind, Result};
use rdkafka::ClientConfig;
use std::collections::BTreeMap;
use std::fmt;

/// Brokers and options of one source or sink.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Settings {
    pub brokers: String,
    options: BTreeMap<String, String>,
}

/// Options that no source or sink leaves to the user.
const OWNED: &[&str] = &[
    "bootstrap.servers",
    "metadata.broker.list",
    "log.queue",
    "opaque",
    "api.version.request",
    "builtin.features",
    tokens::OWN_QUEUE.0,
];

impl Settings {
    pub fn new(brokers: &str) -> Self {
        Self { brokers: normalise_brokers(brokers), options: BTreeMap::new() }
    }

    pub fn set(&mut self, key: String, value: String) {
        self.options.insert(key, value);
    }

    /// The client's configuration: our defaults, then the user's options, then what is ours to decide.
    /// `owned` is the reason for each refusal, by option.
    pub fn client(
        &self,
        defaults: &[(&str, &str)],
        decided: &[(&str, &str)],
        owned: fn(&str) -> Option<&'static str>,
    ) -> Result<ClientConfig> {
        let mut config = ClientConfig::new();
        for (key, value) in defaults {
            config.set(*key, *value);
        }
        for (key, value) in &self.options {
            let reason = owned(key).or_else(|| OWNED.contains(&key.as_str()).then_some("it is set by the connector"));
            if let Some(reason) = reason {
                let message = format!("the Kafka option {key} cannot be set: {reason}; remove .set({key:?}, ..)");
                return Err(Error::new(ErrorKind::Config, message));
            }
            config.set(key, value);
        }
        for (key, value) in decided {
            config.set(*key, *value);
        }
        let (key, value) = tokens::OWN_QUEUE;
        config.set(key, value).set("bootstrap.servers", &self.brokers);
        Ok(config)
    }

    /// How to reach the brokers without librdkafka.
    pub fn reach(&self) -> Result<Reach> {
        Reach::from_options(&self.options)
    }

    /// How to speak to them.
    pub fn security(&self) -> Result<Security> {
        Security::from_options(&self.options)
    }
}

/// Shows the options' names only: some values are secrets.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.brokers, self.options.keys())
    }
}

/// The same brokers always give the same text: it names what sinks share, and sits in checkpoints.
fn normalise_brokers(brokers: &str) -> String {
    let mut list: Vec<String> =
        brokers.split(',').map(str::trim).filter(|broker| !broker.is_empty()).map(with_port).collect();
    list.sort_unstable();
    list.dedup();
    list.join(",")
}

fn with_port(broker: &str) -> String {
    let broker = broker.to_ascii_lowercase();
    let port = broker.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if port { broker } else { format!("{broker}:9092") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_have_one_spelling() {
        let spelt = |brokers| Settings::new(brokers).brokers;
        assert_eq!(spelt(" B:9093, a ,b:9093,"), "a:9092,b:9093");
        assert_eq!(spelt("a:9092,b:9093"), "a:9092,b:9093");
        assert_eq!(spelt("[::1]:9092"), "[::1]:9092");
    }

    #[test]
    fn owned_options_are_refused_with_the_reason() {
        let mut settings = Settings::new("a");
        settings.set("acks".into(), "1".into());
        let error = settings.client(&[], &[], |key| (key == "acks").then_some("all are needed")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains("acks cannot be set: all are needed"), "{error}");
        assert!(settings.client(&[], &[], |_| None).is_ok());
        settings.set("bootstrap.servers".into(), "b".into());
        assert!(settings.client(&[], &[], |_| None).is_err());
    }
}
