//! The example `peer_count` as whoever measures it runs it: settings from the environment, a line when it
//! has read its first record, on from its last checkpoint when it is started again.

use crate::support::{eventually, kafka};
use staunch_tests::kafka::Client;
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const WORDS: usize = 7;

#[derive(serde::Deserialize)]
struct Total {
    word: String,
    count: u64,
    ts: i64,
}

fn event(at: usize) -> String {
    format!(r#"{{"word":"w{:06}","value":1000,"ts":{},"pad":"x"}}"#, at % WORDS, 1_700_000_000_000_usize + at)
}

/// Starts the job and waits for its first record.
fn start(client: &Client, topics: (&str, &str), job: &str, state: &Path) -> Child {
    let mut child = Command::new(env!("CARGO_BIN_EXE_run_peer_count"))
        .env("BROKERS", client.brokers())
        .env("INPUT", topics.0)
        .env("OUTPUT", topics.1)
        .env("JOB", job)
        .env("INTERVAL_MS", "100")
        .env("PARALLELISM", "2")
        .env("STATE_DIR", state)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let first: u64 = line.strip_prefix("first ").expect("a line `first <ms>`").trim().parse().unwrap();
    assert!(first > 1_700_000_000_000);
    child
}

/// What is committed, partition by partition: all totals of a word are in one, in their order.
fn totals(client: &Client, topic: &str) -> Vec<Total> {
    let records = client.read_committed(topic).into_iter().flatten();
    records.map(|record| serde_json::from_str(record.text()).unwrap()).collect()
}

#[test]
fn peer_count_emits_every_total_once_over_a_restart() {
    let client = kafka!();
    let (input, output) = (client.topic("events", 4), client.topic("totals", 4));
    let state = tempfile::tempdir().unwrap();
    let job = client.name("peer");
    for (round, kill) in [(0, true), (1, false), (2, true)] {
        for partition in 0..4 {
            let events = (0..500).map(|at| event(round * 2_000 + partition * 500 + at));
            client.produce(&input, i32::try_from(partition).unwrap(), events);
        }
        let mut child = start(&client, (&input, &output), &job, state.path());
        let expected = (round + 1) * 2_000;
        eventually("all totals", || (totals(&client, &output).len() >= expected).then_some(()));
        let signal = if kill { "-KILL" } else { "-TERM" };
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        let status = child.wait().unwrap();
        assert!(kill || status.success(), "{status}");
    }
    let mut seen: HashMap<String, u64> = HashMap::new();
    let all = totals(&client, &output);
    assert_eq!(all.len(), 6_000);
    for total in all {
        let count = seen.entry(total.word).or_default();
        *count += 1;
        assert_eq!(total.count, *count, "each total of a word once, in order");
        assert!(total.ts >= 1_700_000_000_000);
    }
    assert_eq!(seen.len(), WORDS);
}
