//! Each situation in which a prepared transaction can be found, as numbered in the design: commit it
//! if it is open, do nothing if it is committed, and stop if it is lost or if that cannot be told.

use crate::support::{Job, WITHIN, eventually, kafka, numbers, parsed, sink};
use staunch::api::sink::{Committable, TwoPhaseCommit};
use staunch::connectors::format::Text;
use staunch::connectors::kafka::KafkaSource;
use staunch::connectors::kafka::wire::Producer;
use staunch::testing::permit::permit;
use staunch::{Epoch, Error, ErrorKind};
use staunch_tests::kafka::Client;
use std::time::{Duration, Instant};

struct Situation {
    client: Client,
    topic: String,
    lineage: String,
    job: Option<Job>,
    prepared: Committable,
}

/// A job that prepared epoch 1, with 100 records.
fn prepared(client: &Client, timeout: Duration) -> Situation {
    let (topic, lineage) = (client.topic("fate", 2), client.name("lineage"));
    let mut job = Job::start(&[sink(client, &topic).transaction_timeout(timeout)], &lineage);
    job.write(0, numbers(0..100));
    let prepared = job.prepare();
    Situation { client: client.clone(), topic, lineage, job: Some(job), prepared }
}

impl Situation {
    /// The process is gone; its transaction is not.
    fn die(mut self) -> Self {
        self.job = None;
        self
    }

    fn recover(&self) -> Result<Job, Error> {
        let published = std::slice::from_ref(&self.prepared);
        Job::restart(&[sink(&self.client, &self.topic)], &self.lineage, published, Epoch(1))
    }

    fn recover_error(&self) -> ErrorKind {
        self.recover().err().expect("this cannot be recovered").kind()
    }

    fn visible(&self) -> usize {
        self.client.committed_values(&self.topic).len()
    }

    fn id(&self) -> String {
        parsed(&self.prepared).transactional_id
    }

    fn end(&self, commit: bool) -> i16 {
        let ours = parsed(&self.prepared);
        let producer = Producer { id: ours.producer_id, epoch: ours.producer_epoch };
        self.client.cluster().end(&self.id(), producer, commit, WITHIN).unwrap()
    }

    fn initialise_id(&self) -> Producer {
        self.client.cluster().init_producer_id(&self.id(), Duration::from_secs(60), WITHIN).unwrap()
    }
}

const LONG: Duration = Duration::from_secs(300);

#[test]
fn s1b_recovery_may_be_repeated() {
    let situation = prepared(&kafka!(), LONG).die();
    for _ in 0..3 {
        situation.recover().unwrap();
        assert_eq!(situation.visible(), 100);
    }
}

#[test]
fn s1c_an_abort_after_the_commit_changes_nothing() {
    let situation = prepared(&kafka!(), LONG).die();
    situation.recover().unwrap();
    assert_eq!(situation.end(false), 48, "INVALID_TXN_STATE");
    situation.recover().unwrap();
    assert_eq!(situation.visible(), 100);
}

#[test]
fn s2_records_of_an_id_that_was_initialised_first_are_written_again() {
    let situation = prepared(&kafka!(), LONG).die();
    situation.initialise_id();
    assert_eq!(situation.visible(), 0);
    situation.recover().unwrap();
    assert_eq!(situation.visible(), 100);
}

#[test]
fn s3_records_of_a_transaction_that_timed_out_are_written_again() {
    let situation = prepared(&kafka!(), Duration::from_secs(3)).die();
    let prefix = format!("tests/{}/", situation.lineage);
    eventually("timed out", || situation.client.open_transactions(&prefix).is_empty().then_some(()));
    situation.recover().unwrap();
    assert_eq!(situation.visible(), 100);
}

#[test]
fn s4_committed_and_initialised_again_is_still_known_as_committed() {
    let situation = prepared(&kafka!(), LONG).die();
    situation.recover().unwrap();
    situation.initialise_id();
    situation.recover().unwrap();
    assert_eq!(situation.visible(), 100);
}

#[test]
fn s5_a_later_transaction_of_the_same_session_is_not_committed_with_it() {
    let mut situation = prepared(&kafka!(), LONG);
    let job = situation.job.as_mut().unwrap();
    job.commit(&situation.prepared);
    // Until the same session has the next transaction open.
    let next = eventually("the id comes round again", || {
        job.write(0, numbers(100..200));
        let next = job.prepare();
        if parsed(&next).transactional_id == parsed(&situation.prepared).transactional_id {
            return Some(next);
        }
        job.commit(&next);
        None
    });
    let (ours, next) = (parsed(&situation.prepared), parsed(&next));
    assert_eq!((ours.producer_id, ours.producer_epoch), (next.producer_id, next.producer_epoch));
    let visible = situation.visible();
    let situation = situation.die();
    situation.recover().unwrap();
    assert_eq!(situation.visible(), visible, "the next one is open, or aborted as lingering, but not committed");
}

#[test]
fn s6_what_was_aborted_is_written_again() {
    let situation = prepared(&kafka!(), LONG).die();
    assert_eq!(situation.end(false), 0);
    situation.recover().unwrap();
    assert_eq!(situation.visible(), 100);
}

#[test]
fn s7_what_nobody_knows_is_not_guessed() {
    let situation = prepared(&kafka!(), LONG).die();
    let mut wrong = parsed(&situation.prepared);
    wrong.producer_id += 1_000_000;
    let with = |content: &staunch::connectors::kafka::KafkaCommittable| Situation {
        client: situation.client.clone(),
        topic: situation.topic.clone(),
        lineage: situation.lineage.clone(),
        job: None,
        prepared: Committable { bytes: serde_json::to_vec(content).unwrap(), ..situation.prepared.clone() },
    };
    // Its batch is not there while the transaction is open; afterwards it is another's.
    assert_eq!(situation.end(true), 0);
    assert_eq!(with(&wrong).recover_error(), ErrorKind::FateUnknown);
    let mut unknown = parsed(&situation.prepared);
    unknown.transactional_id.push_str("-unknown");
    unknown.producer_epoch += 1;
    assert_eq!(with(&unknown).recover_error(), ErrorKind::FateUnknown);
    let mut elsewhere = parsed(&situation.prepared);
    elsewhere.cluster_id = "another".into();
    assert_eq!(with(&elsewhere).recover_error(), ErrorKind::Config);
}

#[test]
fn s7_a_log_that_was_trimmed_or_a_topic_created_again_tells_nothing() {
    let client = kafka!();
    let situation = prepared(&client, LONG).die();
    assert_eq!(situation.end(true), 0);
    situation.initialise_id();
    eventually("stable", || (situation.visible() == 100).then_some(()));
    for range in parsed(&situation.prepared).partitions {
        client.delete_records(&situation.topic, range.partition, range.last + 2);
    }
    assert_eq!(situation.recover_error(), ErrorKind::FateUnknown);
    client.delete(&situation.topic);
    assert_eq!(situation.recover_error(), ErrorKind::FateUnknown);
    eventually("created again", || std::panic::catch_unwind(|| client.create(&situation.topic, 2)).ok());
    assert_eq!(situation.recover_error(), ErrorKind::FateUnknown);
}

#[test]
fn s8_a_live_predecessor_may_commit_too() {
    let mut situation = prepared(&kafka!(), LONG);
    situation.recover().unwrap();
    assert_eq!(situation.visible(), 100);
    let (job, prepared) = (situation.job.as_mut().unwrap(), &situation.prepared);
    job.participant.commit(prepared, &permit(prepared.epoch)).unwrap();
    assert_eq!(situation.visible(), 100);
}

#[test]
fn s9_a_predecessor_that_is_locked_out_commits_nothing_more() {
    let mut situation = prepared(&kafka!(), LONG);
    situation.recover().unwrap();
    situation.initialise_id();
    let (job, prepared) = (situation.job.as_mut().unwrap(), &situation.prepared);
    // Its own request fails; that the transaction is committed it learns from the log.
    job.participant.commit(prepared, &permit(prepared.epoch)).unwrap();
    assert_eq!(situation.visible(), 100);
}

#[test]
fn s9_the_open_transaction_of_a_live_predecessor_is_locked_out() {
    let mut situation = prepared(&kafka!(), LONG);
    let job = situation.job.as_mut().unwrap();
    job.write(0, vec!["zombie".into()]);
    situation.recover().unwrap();
    let job = situation.job.as_mut().unwrap();
    let kind = job.try_prepare().expect_err("its epoch was aborted").kind();
    assert_eq!(kind, ErrorKind::Sink);
    assert_eq!(situation.visible(), 100);
}

#[test]
fn s10_a_broker_that_was_killed_in_between_does_not_matter() {
    let Some(broker) = staunch_tests::kafka::own() else { return };
    let client = broker.client();
    let dead = prepared(&client, LONG).die();
    let mut alive = prepared(&client, LONG);
    let mut reading = crate::support::read(&KafkaSource::<Text>::topic(client.brokers(), &alive.topic), None).unwrap();
    let other_job = prepared(&client, LONG);
    let other_reading =
        crate::support::read(&KafkaSource::<Text>::topic(client.brokers(), &alive.topic), None).unwrap();
    broker.kill();
    reading.poll().unwrap();
    // An attempt can end while Kafka is away.
    let started = Instant::now();
    drop((other_job, other_reading));
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    broker.restart();
    dead.recover().unwrap();
    eventually("visible", || (dead.visible() == 100).then_some(()));
    let job = alive.job.as_mut().unwrap();
    job.commit(&alive.prepared);
    job.write(0, numbers(100..200));
    let next = job.prepare();
    job.commit(&next);
    reading.until_count(200).unwrap();
    let mut values = reading.values();
    values.sort();
    assert_eq!(values, numbers(0..200));
}

#[test]
fn s10_a_broker_that_is_away_at_the_commit_is_waited_for() {
    let Some(broker) = staunch_tests::kafka::own() else { return };
    let mut situation = prepared(&broker.client(), LONG);
    broker.kill();
    let job = situation.job.as_mut().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_secs(2));
            broker.restart();
        });
        job.commit(&situation.prepared);
    });
    eventually("visible", || (situation.visible() == 100).then_some(()));
}

#[test]
fn a_foreign_open_transaction_before_ours_does_not_hide_what_the_coordinator_knows() {
    let client = kafka!();
    let (topic, lineage) = (client.topic("foreign", 1), client.name("lineage"));
    let foreign = client.transaction();
    foreign.produce(&topic, 0, ["foreign"]);
    let mut job = Job::start(&[sink(&client, &topic)], &lineage);
    job.write(0, numbers(0..10));
    let prepared = job.prepare();
    drop(job);
    let published = std::slice::from_ref(&prepared);
    Job::restart(&[sink(&client, &topic)], &lineage, published, Epoch(1)).unwrap();
    assert_eq!(client.committed_values(&topic).len(), 0, "held back by the other");
    Job::restart(&[sink(&client, &topic)], &lineage, published, Epoch(1)).unwrap();
    foreign.abort();
    eventually("visible", || (client.committed_values(&topic) == numbers(0..10)).then_some(()));
}
