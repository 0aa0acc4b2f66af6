//! The death of a process, by SIGKILL, between "durable" and "committed".

use crate::support::{Job, kafka, numbers, parsed, sink};
use staunch::Epoch;
use staunch::api::sink::Committable;
use staunch_tests::kafka::Client;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

const CHILD: &str = "STAUNCH_TESTS_KAFKA_CHILD";

/// Not a test of its own: what the child process runs, when the variable says so.
#[test]
fn child() {
    let Ok(task) = std::env::var(CHILD) else { return };
    let [brokers, topic, lineage] = task.split(' ').collect::<Vec<_>>().try_into().unwrap();
    let mut job = Job::start(&[sink(&Client::new(brokers), topic)], lineage);
    job.write(0, numbers(0..1_000));
    let committed = job.prepare();
    job.commit(&committed);
    job.write(0, numbers(1_000..2_000));
    let prepared = job.prepare();
    // Records of the epoch that no manifest will ever list.
    job.write(0, vec!["never".into()]);
    println!("PREPARED {}", serde_json::to_string(&prepared).unwrap());
    std::thread::sleep(std::time::Duration::from_secs(600));
}

/// Starts a process that dies after it prepared epoch 2; its manifest is as if published.
fn die_prepared(client: &Client, topic: &str, lineage: &str) -> Committable {
    let mut child: Child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "dead::child", "--nocapture"])
        .env(CHILD, [client.brokers(), topic, lineage].join(" "))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.map(Result::unwrap).find_map(|line| Some(line.split_once("PREPARED ")?.1.to_owned()));
    // SIGKILL.
    child.kill().unwrap();
    child.wait().unwrap();
    serde_json::from_str(&line.expect("the child prepared")).unwrap()
}

#[test]
fn s1_the_transaction_of_a_killed_process_is_committed_by_the_next() {
    let client = kafka!();
    let (topic, lineage) = (client.topic("killed", 3), client.name("lineage"));
    let prepared = die_prepared(&client, &topic, &lineage);
    assert_eq!(client.committed_values(&topic), numbers(0..1_000), "nothing of epoch 2 yet");
    let sinks = [sink(&client, &topic)];
    let mut job = Job::restart(&sinks, &lineage, std::slice::from_ref(&prepared), Epoch(2)).unwrap();
    assert_eq!(client.committed_values(&topic), numbers(0..2_000));
    job.write(0, numbers(2_000..3_000));
    let next = job.prepare();
    assert_ne!(parsed(&next).transactional_id, parsed(&prepared).transactional_id, "listed ids are left alone");
    job.commit(&next);
    assert_eq!(client.committed_values(&topic), numbers(0..3_000));
}

#[test]
fn what_no_manifest_lists_is_aborted() {
    let client = kafka!();
    let (topic, lineage) = (client.topic("lingering", 1), client.name("lineage"));
    let prefix = format!("tests/{lineage}/");
    die_prepared(&client, &topic, &lineage);
    // The manifest of epoch 2 never became durable.
    assert!(!client.open_transactions(&prefix).is_empty());
    let mut job = Job::restart(&[sink(&client, &topic)], &lineage, &[], Epoch(1)).unwrap();
    assert!(client.open_transactions(&prefix).is_empty());
    assert_eq!(client.committed_values(&topic), numbers(0..1_000));
    job.write(0, numbers(1_000..2_000));
    let again = job.prepare();
    job.commit(&again);
    assert_eq!(client.committed_values(&topic), numbers(0..2_000));
}

#[test]
fn transactions_of_other_lineages_and_jobs_are_left_alone() {
    let client = kafka!();
    let (topic, lineage) = (client.topic("others", 1), client.name("lineage"));
    let mut other = Job::start(&[sink(&client, &topic)], &format!("{lineage}0"));
    other.write(0, numbers(0..10));
    let prepared = other.prepare();
    Job::restart(&[sink(&client, &topic)], &lineage, &[], Epoch(0)).unwrap();
    other.commit(&prepared);
    assert_eq!(client.committed_values(&topic), numbers(0..10));
}
