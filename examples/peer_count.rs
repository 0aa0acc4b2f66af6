//! Counts words from Kafka to Kafka, exactly once, and emits every new total: the job that is measured
//! against other stream processors. All its settings come from the environment:
//! `BROKERS INPUT OUTPUT JOB INTERVAL_MS PARALLELISM STATE_DIR`.
//!
//! Prints `first <unix ms>` when it has read the first record. Started again with the same `JOB` and
//! `STATE_DIR`, it goes on from its last checkpoint.

use serde::{Deserialize, Serialize};
use staunch::format::Json;
use staunch::kafka::{KafkaSink, KafkaSource};
use staunch::{Error, ErrorKind, Flow, operator, pipeline, sink, source};
use std::sync::Once;
use std::time::Duration;

pub struct Config {
    brokers: String,
    input: String,
    output: String,
    interval: Duration,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    word: String,
    ts: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Total {
    word: String,
    count: u64,
    ts: i64,
}

#[source]
fn events(config: &Config) -> KafkaSource<Json<Event>> {
    KafkaSource::topic(&config.brokers, &config.input)
        .set("queued.min.messages", "500000")
        .set("fetch.message.max.bytes", "4194304")
        .set("fetch.queue.backoff.ms", "1")
}

#[operator]
fn count(event: Event, #[state] seen: &mut u64) -> Total {
    static FIRST: Once = Once::new();
    FIRST.call_once(|| println!("first {}", std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis()));
    *seen += 1;
    Total { word: event.word, count: *seen, ts: event.ts }
}

#[sink]
fn totals(config: &Config) -> KafkaSink<Json<Total>> {
    let linger_ms = (config.interval.as_millis() / 10).clamp(1, 20);
    KafkaSink::topic(&config.brokers, &config.output)
        .key(|total: &Total| total.word.as_bytes())
        .exactly_once()
        .set("compression.type", "lz4")
        .set("linger.ms", linger_ms.to_string())
        .set("batch.size", "1000000")
        .set("batch.num.messages", "100000")
        .set("queue.buffering.max.kbytes", "1048576")
}

#[pipeline(no_main)]
pub fn peer_count(flow: &Flow<Config>) {
    let counts = count::on(events::open(flow).key_by(|event| event.word.as_str()));
    totals::write(counts);
}

fn setting(name: &str) -> staunch::Result<String> {
    std::env::var(name).map_err(|_| Error::new(ErrorKind::Config, format!("set the environment variable {name}")))
}

fn number(name: &str) -> staunch::Result<u64> {
    let text = setting(name)?;
    text.parse().map_err(|_| Error::new(ErrorKind::Config, format!("{name} is a number, not `{text}`")))
}

fn main() -> staunch::Result<()> {
    let interval = Duration::from_millis(number("INTERVAL_MS")?);
    let config =
        Config { brokers: setting("BROKERS")?, input: setting("INPUT")?, output: setting("OUTPUT")?, interval };
    peer_count::job(config)
        .name(&setting("JOB")?)
        .workers(usize::try_from(number("PARALLELISM")?).unwrap_or(1))
        .checkpoint_interval(interval)
        .checkpoint_dir(setting("STATE_DIR")?)
        .stop_on_signals()
        .run()
        .map(drop)
}
