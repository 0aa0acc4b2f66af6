//! What is looked at before a sink writes, on real brokers: each check says what to change.

use crate::support::{Job, eventually, kafka, numbers, sink};
use crate::tools::Counting;
use staunch::connectors::format::Text;
use staunch::connectors::kafka::wire::Cluster;
use staunch::connectors::kafka::{KafkaSink, Security};
use staunch::{Epoch, Error, ErrorKind};
use staunch_tests::kafka::{Client, LIMITED_USER, Operation, PASSWORD, Resource, SecureBroker, secure, three};
use std::time::Duration;
use tempfile::tempdir;

const WITHIN: Duration = Duration::from_secs(30);

fn refused(client: &Client, sink: KafkaSink<Text>) -> Error {
    let error = Job::restart(&[sink], &client.name("lineage"), &[], Epoch(0)).err().expect("refused");
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    error
}

#[track_caller]
fn says(error: &Error, words: &[&str]) {
    for word in words {
        assert!(error.to_string().contains(word), "{word:?} is not in: {error}");
    }
}

#[test]
fn transactions_fit_between_the_checkpoint_and_the_brokers_maximum() {
    let client = kafka!();
    let topic = client.topic("times", 1);
    let with = |timeout| refused(&client, sink(&client, &topic).transaction_timeout(timeout));
    says(&with(Duration::from_secs(3_600)), &["transaction.max.timeout.ms=900000", "15m"]);
    says(&with(Duration::from_millis(600)), &["checkpoint.interval"]);
}

#[test]
fn a_missing_right_is_named() {
    let Some(secure) = secure() else { return };
    let admin = secure.broker().client();
    let topic = admin.topic("rights", 1);
    let principal = format!("User:{LIMITED_USER}");
    let limited = || limited(secure, &topic);
    let allow = |resource: Resource<'_>, operation| secure.allow(&principal, resource, operation);
    // The job of all tests is called `tests`.
    let ids = || Resource::TransactionalIds { prefix: "tests/" };

    // Brokers learn of a right some time after it was given.
    let lacks = |words: &[&str]| {
        eventually(&format!("lacking {words:?}"), || {
            let error = refused(&admin, limited()).to_string();
            words.iter().chain([&principal.as_str()]).all(|word| error.contains(word)).then_some(())
        });
    };
    lacks(&["Describe", "TransactionalId"]);
    allow(ids(), Operation::Describe);
    lacks(&["Write", "TransactionalId"]);
    allow(ids(), Operation::Write);
    lacks(&["Describe", &topic]);
    allow(Resource::Topic(&topic), Operation::Describe);
    lacks(&["Write", &topic]);
    allow(Resource::Topic(&topic), Operation::Write);
    lacks(&["Read", &topic]);
    allow(Resource::Topic(&topic), Operation::Read);

    let lineage = admin.name("lineage");
    let start = || Job::restart(&[limited()], &lineage, &[], Epoch(0)).ok();
    let mut job = eventually("allowed to start", start);
    job.write(0, numbers(0..10));
    let prepared = job.prepare();
    drop(job);
    Job::restart(&[limited()], &lineage, std::slice::from_ref(&prepared), prepared.epoch).map(drop).unwrap();
    assert_eq!(admin.committed_values(&topic).len(), 10);
}

/// It is needed with each checkpoint, and to learn of a transaction's fate; its lack says nothing of whose records
/// they are.
#[test]
fn a_right_to_read_that_is_taken_away_is_named() {
    let Some(secure) = secure() else { return };
    let admin = secure.broker().client();
    let (topic, lineage) = (admin.topic("taken", 1), admin.name("lineage"));
    let principal = format!("User:{LIMITED_USER}");
    let ids = format!("tests/{lineage}/");
    secure.allow(&principal, Resource::TransactionalIds { prefix: &ids }, Operation::Write);
    for operation in [Operation::Write, Operation::Describe, Operation::Read] {
        secure.allow(&principal, Resource::Topic(&topic), operation);
    }
    let start = || Job::restart(&[limited(secure, &topic)], &lineage, &[], Epoch(0)).ok();
    let mut job = eventually("allowed to start", start);
    job.write(0, numbers(0..10));
    secure.deny(&principal, Resource::Topic(&topic), Operation::Read);
    let login = [
        ("security.protocol", "SASL_PLAINTEXT"),
        ("sasl.mechanism", "PLAIN"),
        ("sasl.username", LIMITED_USER),
        ("sasl.password", PASSWORD),
    ];
    let login = login.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let mut cluster = Cluster::new(&secure.sasl_plaintext(), Security::from_options(&login).unwrap()).unwrap();
    let looked = eventually("taken away", || match cluster.peek(&topic, 0, 0, false, WITHIN) {
        Ok(peek) if peek.code == 0 => None,
        looked => Some(looked),
    });
    for error in [looked.expect_err("no look"), job.try_prepare().expect_err("not proven to be ours")] {
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        says(&error, &["Read", &topic, &principal]);
    }
}

fn limited(secure: &SecureBroker, topic: &str) -> KafkaSink<Text> {
    KafkaSink::topic(secure.sasl_plaintext(), topic)
        .key(|value: &String| value.as_bytes())
        .set("security.protocol", "SASL_PLAINTEXT")
        .set("sasl.mechanism", "PLAIN")
        .set("sasl.username", LIMITED_USER)
        .set("sasl.password", PASSWORD)
}

#[test]
fn brokers_tell_what_the_checks_need() {
    let client = kafka!();
    let mut cluster = client.cluster();
    let facts =
        cluster.cluster_facts(&["transaction.max.timeout.ms", "transaction.state.log.min.isr"], WITHIN).unwrap();
    let configs = facts.configs.expect("told to everybody");
    assert_eq!(configs["transaction.max.timeout.ms"], "900000");
    assert!(configs.contains_key("transaction.state.log.min.isr"));
    let topic = client.topic_with("facts", 2, &[("cleanup.policy", "compact"), ("min.insync.replicas", "1")]);
    let names = ["cleanup.policy", "min.insync.replicas", "unclean.leader.election.enable"];
    let facts = cluster.topic_facts(&topic, &names, WITHIN).unwrap().expect("it exists");
    assert_eq!(facts.replicas, 1);
    let configs = facts.configs.expect("told to everybody");
    let told: Vec<&str> = names.iter().map(|name| configs[*name].as_str()).collect();
    assert_eq!(told, ["compact", "1", "false"]);
    assert!(facts.operations.is_some());
    assert_eq!(cluster.topic_facts("no-such-topic", &names, WITHIN).unwrap(), None);
    cluster.may_use_id("tests/any/0", WITHIN).unwrap();
}

#[test]
fn what_weakens_the_promise_is_told() {
    let client = kafka!();
    let folders = [tempdir().unwrap(), tempdir().unwrap()];
    let (input, name) = (client.topic("lines", 1), client.name("word_count"));
    client.produce(&input, 0, ["a b a"]);
    let weak = [
        ("retention.ms", "-1"),
        ("cleanup.policy", "compact"),
        ("unclean.leader.election.enable", "true"),
        ("message.timestamp.type", "LogAppendTime"),
    ];
    let job = |folder: usize, output: String| Counting {
        client: &client,
        name: &name,
        folder: folders[folder].path(),
        input: input.clone(),
        output,
    };
    // One that leaves a transaction open, and another with a store of its own.
    job(0, client.topic("counts", 1)).call(&["run", "--checkpoint-interval", "50ms"], Some("before-commit"));
    let ran = job(1, client.topic_with("counts", 1, &weak)).call(&["run"], None);
    let log = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{log}");
    let told =
        ["cleanup.policy=compact", "unclean.leader.election.enable=true", "message.timestamp.type=LogAppendTime"];
    for words in ["another checkpoint store"].into_iter().chain(told) {
        assert!(log.contains(words), "{words:?} is not in:\n{log}");
    }
    assert!(!log.contains("single copy"), "there is one broker:\n{log}");
}

#[test]
fn what_one_of_several_brokers_could_lose_is_told() {
    let Some(cluster) = three() else { return };
    let client = cluster.client();
    let decisions = ["transaction.state.log.replication.factor", "transaction.state.log.min.isr"];
    let facts = client.cluster().cluster_facts(&decisions, WITHIN).unwrap();
    let configs = facts.configs.expect("told to everybody");
    assert_eq!((facts.brokers, decisions.map(|name| configs[name].as_str())), (3, ["3", "2"]));

    let input = client.topic("lines", 1);
    client.produce(&input, 0, ["a b a"]);
    let more = client.clone().with_replicas(2).topic_with("more", 1, &[("min.insync.replicas", "3")]);
    for (output, expected) in [
        (client.topic("safe", 1), None),
        (client.topic_with("weak", 1, &[("min.insync.replicas", "1")]), Some("min.insync.replicas=1: ")),
        (cluster.topic_on(1, "alone", 1), Some("a single copy")),
        (more, Some("min.insync.replicas=3, but")),
    ] {
        let (folder, name) = (tempdir().unwrap(), client.name("word_count"));
        let job = Counting { client: &client, name: &name, folder: folder.path(), input: input.clone(), output };
        let log = String::from_utf8(job.call(&["run"], None).stderr).unwrap();
        let findings =
            ["min.insync.replicas=1: ", "a single copy", "min.insync.replicas=3, but", decisions[0], decisions[1]];
        let told: Vec<&str> = findings.into_iter().filter(|words| log.contains(words)).collect();
        assert_eq!(told, Vec::from_iter(expected), "{log}");
    }
}
