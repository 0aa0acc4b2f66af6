//! What recovery costs, on a real broker: the start-up time that one prepared transaction takes, and how
//! fast an aborted transaction's records are written again. Prints; judges nothing.
//!
//! `cargo bench -p staunch-tests --bench recovery`; `STAUNCH_TEST_BROKERS` names a cluster, else a broker is
//! started. `STAUNCH_REPLAY_RECORDS` is the number of records of a replay, a million by default.

use staunch::api::sink::{Committable, Sink, SinkContext};
use staunch::connectors::format::Text;
use staunch::connectors::kafka::KafkaSink;
use staunch::testing::permit::recover;
use staunch::{Cancellation, Epoch};
use staunch_tests::kafka::{Client, Record, Session, listed, shared};
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const EPOCH: Epoch = Epoch(1);
const TIMEOUT: Duration = Duration::from_secs(600);
const PARTITIONS: i32 = 4;
const STARTS: usize = 30;

fn main() {
    // `cargo test --benches` builds and runs it, too, and measures nothing.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let client = shared().expect("a Kafka");
    start_up(&client);
    let records = std::env::var("STAUNCH_REPLAY_RECORDS").map_or(1_000_000, |count| count.parse().expect("a number"));
    let codec = |codec| [("compression.type", codec), ("batch.size", "1000000"), ("batch.num.messages", "100000")];
    replay(&client, "none", records, &codec("none"));
    replay(&client, "lz4", records, &codec("lz4"));
    let single = [("compression.type", "none"), ("batch.num.messages", "1"), ("linger.ms", "0")];
    replay(&client, "none, one record a batch", records / 100, &single);
}

/// Rises with each attempt, as a store's slots do.
static SLOT: AtomicU64 = AtomicU64::new(1_000);

/// An attempt's sink opens and recovers.
fn attempt(client: &Client, lineage: &str, listed: &[Committable]) -> Duration {
    let sink = KafkaSink::<Text>::topic(client.brokers(), "any");
    let participant = sink.participant("sink");
    let context = SinkContext {
        participant: &participant,
        job: "bench",
        lineage,
        attempt: SLOT.fetch_add(1, Ordering::Relaxed),
        epoch: EPOCH.next(),
        workers: 1,
        epoch_interval: Duration::from_secs(1),
        epoch_within: Duration::from_secs(1),
        cancellation: Cancellation::default(),
    };
    let started = Instant::now();
    let mut opened = sink.open(&context).expect("opened");
    recover(&mut opened, EPOCH, listed).expect("recovered");
    started.elapsed()
}

fn start_up(client: &Client) {
    let topic = client.topic("start-up", PARTITIONS);
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let lineage = client.name("lineage");
        without.push(attempt(client, &lineage, &[]));
        let session = Session::open(client, &format!("bench/{lineage}/1000"), TIMEOUT, &[]);
        session.begin();
        (0..PARTITIONS).for_each(|partition| session.send(&topic, partition, records(1_000, 100)));
        session.flush();
        let listed = listed(&session.prepared(EPOCH));
        drop(session);
        with.push(attempt(client, &lineage, &[listed]));
        assert_eq!(client.open_transactions(&format!("bench/{lineage}/1000")), [""; 0], "it is committed");
    }
    println!("start-up of a sink, nothing prepared:          {}", spread(without));
    println!("start-up of a sink, one prepared transaction:  {}", spread(with));
    for used in [2, 8, 32] {
        let ids = start_up_with_ids(client, used);
        println!("start-up of a sink, {used:>2} ids of an earlier attempt: {}", spread(ids));
    }
}

/// An earlier attempt had so many producers, none of which has anything open: each is locked out.
fn start_up_with_ids(client: &Client, used: u64) -> Vec<Duration> {
    let (mut times, mut cluster) = (Vec::new(), client.cluster());
    for _ in 0..STARTS {
        let lineage = client.name("lineage");
        for number in 0..used {
            let id = format!("bench/{lineage}/1-{number}");
            cluster.init_producer_id(&id, TIMEOUT, Duration::from_secs(30)).expect("a producer id");
        }
        times.push(attempt(client, &lineage, &[]));
    }
    times
}

fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    format!("p50 {:.1?}, max {:.1?} of {}", times[times.len() / 2], times[times.len() - 1], times.len())
}

fn replay(client: &Client, what: &str, count: usize, options: &[(&str, &str)]) {
    let (topic, lineage) = (client.topic("replay", PARTITIONS), client.name("lineage"));
    let session = Session::open(client, &format!("bench/{lineage}/1000"), TIMEOUT, options);
    session.begin();
    let each = count / PARTITIONS as usize;
    for _ in 0..10 {
        (0..PARTITIONS).for_each(|partition| session.send(&topic, partition, records(each / 10, 100)));
    }
    session.flush();
    let listed = listed(&session.prepared(EPOCH));
    session.abort();
    drop(session);
    // The peak counts from here.
    let _ = fs::write("/proc/self/clear_refs", "5");
    let before = memory_kb("VmRSS:");
    let time = attempt(client, &lineage, &[listed]);
    let peak = memory_kb("VmHWM:");
    let written = each / 10 * 10 * PARTITIONS as usize;
    println!(
        "replay of {written} records of 100 bytes ({what}): {time:.2?}, {:.0} records/s; memory {} MiB, at most {} MiB",
        written as f64 / time.as_secs_f64(),
        before / 1024,
        peak / 1024
    );
}

fn memory_kb(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn records(count: usize, bytes: usize) -> Vec<Record> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64;
    // Text that compresses as text does, not as zeros do.
    let value = |number: usize| {
        let words = (0..).map(|word| format!("{:x} ", (number * 31 + word) * 2_654_435_761 % 4_096));
        let mut value: Vec<u8> = words.take(bytes / 2).collect::<String>().into_bytes();
        value.truncate(bytes);
        value
    };
    let record = |number| Record {
        offset: 0,
        timestamp: now,
        key: Some(format!("{number}").into_bytes()),
        value: Some(value(number)),
        headers: Vec::new(),
    };
    (0..count).map(record).collect()
}
