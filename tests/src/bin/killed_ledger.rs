//! A job with two exactly-once sinks in Kafka, to be killed, paused and cut off: it numbers the entries
//! of each account, and lines that are no entries go to a topic of their own. The sinks have one
//! transaction per checkpoint, or one for each shard.
//!
//! The lines count up by themselves, `a17 1`, `a17 2`, …, so that a record that was lost, repeated or
//! overtaken shows in the output, and so does state that did not come back with it.

use serde::{Deserialize, Serialize};
use staunch::format::{Format, Json, Text};
use staunch::kafka::{KafkaSink, KafkaSource};
use staunch::{Failed, Flow, operator, pipeline, sink, source};
use std::fmt;
use std::time::Duration;

#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    brokers: String,
    /// Topics.
    entries: String,
    numbered: String,
    refused: String,
    /// Stop at what the topic holds at the start.
    #[serde(default)]
    bounded: bool,
    transaction_timeout_ms: u64,
    /// How many transactions share a checkpoint's records.
    #[serde(default = "one")]
    shards: usize,
    /// How long librdkafka waits for an answer.
    socket_timeout_ms: Option<u64>,
}

fn one() -> usize {
    1
}

/// One line that is an entry.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    account: String,
    number: u64,
}

/// One that is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refused {
    line: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no entry: {}", self.line)
    }
}

#[source]
pub fn entries(config: &Config) -> KafkaSource<Text> {
    let mut source = KafkaSource::topic(&config.brokers, &config.entries);
    if let Some(ms) = config.socket_timeout_ms {
        source = source.set("socket.timeout.ms", ms.to_string());
    }
    if config.bounded { source.bounded() } else { source }
}

#[operator]
pub fn read(line: &String) -> Result<Entry, Refused> {
    let entry = || {
        let (account, number) = line.split_once(' ')?;
        Some(Entry { account: account.to_owned(), number: number.parse().ok()? })
    };
    entry().ok_or_else(|| Refused { line: line.clone() })
}

/// `a17 5 5`: the account, what the line counts, and what the state counts.
#[operator]
pub fn number(#[key] account: &str, entry: Entry, #[state] seen: &mut u64) -> String {
    *seen += 1;
    format!("{account} {} {seen}", entry.number)
}

fn to<F: Format>(config: &Config, topic: &str) -> KafkaSink<F> {
    let timeout = Duration::from_millis(config.transaction_timeout_ms);
    let sink =
        KafkaSink::topic(&config.brokers, topic).exactly_once().transaction_timeout(timeout).shards(config.shards);
    match config.socket_timeout_ms {
        Some(ms) => sink.set("socket.timeout.ms", ms.to_string()),
        None => sink,
    }
}

#[sink]
pub fn numbered(config: &Config) -> KafkaSink<Text> {
    to(config, &config.numbered).key(|line: &String| first_word(line))
}

#[sink]
pub fn refused(config: &Config) -> KafkaSink<Json<Failed<Refused>>> {
    to(config, &config.refused).key(|failed: &Failed<Refused>| first_word(&failed.error.line))
}

fn first_word(line: &str) -> &[u8] {
    line.split(' ').next().unwrap_or(line).as_bytes()
}

#[pipeline]
pub fn ledger(flow: &Flow<Config>) {
    let (entries, others) = read::on(entries::open(flow));
    numbered::write(number::on(entries.key_by(|entry| entry.account.as_str())));
    refused::write(others);
}

fn main() -> staunch::Result<()> {
    ledger::main()
}
