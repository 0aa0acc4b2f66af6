//! The rows of the protocol's own table: what a raw EndTxn says, what recovery makes of it, and what readers
//! see afterwards. The answer of EndTxn decides nothing: it is the same for a transaction that was
//! committed (S4) and one that is lost (S3), and in S5 it commits another one.

use super::{EPOCH, Ending, LONG, SHORT, Scene, end, expire, initialise, says};
use crate::support::{Job, eventually, kafka, numbers, parsed, recovered, sink};
use rdkafka::error::KafkaError;
use staunch::api::sink::{Committable, TwoPhaseCommit};
use staunch::kafka::KafkaCommittable;
use staunch::testing::permit::permit;
use staunch::{ErrorKind, Result};
use staunch_tests::kafka::{Client, Session, listed};
use std::time::Duration;

/// What brokers answer, as numbered by Kafka.
const OK: i16 = 0;
const INVALID_TXN_STATE: i16 = 48;
const INVALID_PRODUCER_ID_MAPPING: i16 = 49;
const PRODUCER_FENCED: i16 = 90;

/// A job that prepared epoch 1, with 100 records, and what its manifest lists.
pub struct Prepared {
    pub client: Client,
    pub topic: String,
    pub job: Option<Job>,
    pub manifest: Vec<Committable>,
    lineage: String,
}

impl Prepared {
    pub fn new(client: &Client, timeout: Duration) -> Self {
        let (topic, lineage) = (client.topic("protocol", 2), client.name("lineage"));
        let mut job = Job::start(&[sink(client, &topic).transaction_timeout(timeout)], &lineage);
        job.write(0, numbers(0..100));
        let manifest = vec![job.prepare()];
        Self { client: client.clone(), topic, job: Some(job), manifest, lineage }
    }

    /// The process is gone; its transaction is not.
    pub fn dead(client: &Client, timeout: Duration) -> Self {
        Self { job: None, ..Self::new(client, timeout) }
    }

    pub fn ours(&self) -> KafkaCommittable {
        parsed(&self.manifest[0])
    }

    /// A new attempt recovers from the manifest; its newest form is kept, as the store would.
    pub fn recover(&mut self) -> Result<()> {
        self.manifest = recovered(&sink(&self.client, &self.topic), &self.lineage, &self.manifest, EPOCH)?;
        Ok(())
    }

    pub fn visible(&self) -> Vec<String> {
        self.client.committed_values(&self.topic)
    }

    /// Recovery, again and again, makes all of it visible once.
    pub fn assert_settled_by_recovery(mut self) {
        for _ in 0..2 {
            self.recover().unwrap();
            eventually("visible", || (!self.visible().is_empty()).then_some(()));
            assert_eq!(self.visible(), numbers(0..100));
        }
    }
}

#[test]
fn s1_the_producer_dies_after_the_flush() {
    let situation = Prepared::dead(&kafka!(), LONG);
    assert_eq!(situation.visible().len(), 0);
    situation.assert_settled_by_recovery();
}

#[test]
fn s1b_the_same_commit_is_repeated() {
    let situation = Prepared::dead(&kafka!(), LONG);
    for _ in 0..3 {
        assert_eq!(end(&situation.client, &situation.ours(), true), OK);
    }
    situation.assert_settled_by_recovery();
}

#[test]
fn s1c_an_abort_comes_after_the_commit() {
    let mut situation = Prepared::dead(&kafka!(), LONG);
    situation.recover().unwrap();
    assert_eq!(end(&situation.client, &situation.ours(), false), INVALID_TXN_STATE);
    situation.assert_settled_by_recovery();
}

#[test]
fn s2_init_producer_id_came_first() {
    let situation = Prepared::dead(&kafka!(), LONG);
    let ours = situation.ours();
    initialise(&situation.client, &ours);
    assert_eq!(end(&situation.client, &ours, true), PRODUCER_FENCED);
    assert_eq!(situation.visible().len(), 0);
    situation.assert_settled_by_recovery();
}

#[test]
fn s2_librdkafkas_init_transactions_came_first() {
    let situation = Prepared::dead(&kafka!(), LONG);
    let ours = situation.ours();
    drop(Session::open(&situation.client, &ours.transactional_id, LONG, &[]));
    assert_eq!(end(&situation.client, &ours, true), PRODUCER_FENCED);
    assert_eq!(situation.visible().len(), 0);
    situation.assert_settled_by_recovery();
}

#[test]
fn s3_the_transaction_timed_out() {
    let situation = Prepared::dead(&kafka!(), SHORT);
    let ours = situation.ours();
    expire(&situation.client, &ours);
    assert_eq!(end(&situation.client, &ours, true), PRODUCER_FENCED);
    let raised = KafkaCommittable { producer_epoch: ours.producer_epoch + 1, ..ours };
    assert_eq!(end(&situation.client, &raised, true), INVALID_TXN_STATE);
    assert_eq!(situation.visible().len(), 0);
    situation.assert_settled_by_recovery();
}

#[test]
fn s4_committed_the_id_initialised_again_and_the_same_checkpoint_restored() {
    let mut situation = Prepared::dead(&kafka!(), LONG);
    situation.recover().unwrap();
    let ours = situation.ours();
    initialise(&situation.client, &ours);
    assert_eq!(end(&situation.client, &ours, true), PRODUCER_FENCED, "as in S3");
    let before = situation.manifest.clone();
    situation.recover().unwrap();
    assert_eq!(situation.manifest, before, "nothing was written again");
    situation.assert_settled_by_recovery();
}

#[test]
fn s5_a_later_transaction_of_the_same_session_is_open() {
    let mut situation = Prepared::new(&kafka!(), LONG);
    let ours = situation.ours();
    let job = situation.job.as_mut().unwrap();
    job.commit(&situation.manifest[0]);
    // Until the same session has the next transaction open.
    let next = eventually("the id comes round again", || {
        job.write(0, numbers(100..200));
        let next = job.prepare();
        if parsed(&next).transactional_id == ours.transactional_id {
            return Some(parsed(&next));
        }
        job.commit(&next);
        None
    });
    assert_eq!((ours.producer_id, ours.producer_epoch), (next.producer_id, next.producer_epoch));
    let visible = situation.visible().len();
    situation.job = None;
    situation.recover().unwrap();
    // EndTxn would have been answered with OK, and have committed the later one: it is of the same session.
    assert_eq!(end(&situation.client, &ours, true), PRODUCER_FENCED, "no manifest lists it: it was aborted");
    assert_eq!(situation.visible().len(), visible);
}

#[test]
fn s6_it_was_aborted_earlier() {
    let situation = Prepared::dead(&kafka!(), LONG);
    assert_eq!(end(&situation.client, &situation.ours(), false), OK);
    assert_eq!(end(&situation.client, &situation.ours(), true), INVALID_TXN_STATE);
    assert_eq!(situation.visible().len(), 0);
    situation.assert_settled_by_recovery();
}

#[test]
fn s7_an_unknown_id_a_wrong_producer_or_a_future_epoch_is_not_guessed_at() {
    let mut situation = Prepared::dead(&kafka!(), LONG);
    let ours = situation.ours();
    let unknown = KafkaCommittable {
        transactional_id: format!("{}-unknown", ours.transactional_id),
        producer_epoch: ours.producer_epoch + 1,
        ..ours.clone()
    };
    let wrong = KafkaCommittable { producer_id: ours.producer_id + 1_000_000, ..ours.clone() };
    let future = KafkaCommittable { producer_epoch: ours.producer_epoch + 1, ..ours.clone() };
    for (what, code) in
        [(&unknown, INVALID_PRODUCER_ID_MAPPING), (&wrong, INVALID_PRODUCER_ID_MAPPING), (&future, PRODUCER_FENCED)]
    {
        assert_eq!(end(&situation.client, what, true), code, "{what:?}");
    }
    // The batch at our place has to be visible, or nobody would look at whose it is.
    assert_eq!(end(&situation.client, &ours, true), OK);
    for what in [&unknown, &wrong] {
        situation.manifest = vec![listed(what)];
        assert_eq!(situation.recover().unwrap_err().kind(), ErrorKind::FateUnknown);
    }
    // Its start names the transaction, and the coordinator says that it was committed; an epoch only ever rises.
    situation.manifest = vec![listed(&future)];
    situation.recover().unwrap();
    assert_eq!(situation.manifest, [listed(&future)], "nothing was written again");
    // The log alone has a batch of another epoch there.
    situation.manifest = vec![listed(&KafkaCommittable { start_ms: ours.start_ms + 1, ..future })];
    assert_eq!(situation.recover().unwrap_err().kind(), ErrorKind::FateUnknown);
    let elsewhere = KafkaCommittable { cluster_id: "another".into(), ..ours };
    situation.manifest = vec![listed(&elsewhere)];
    assert_eq!(situation.recover().unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(situation.visible(), numbers(0..100));
}

#[test]
fn s8_a_live_predecessor_commits_late() {
    let mut situation = Prepared::new(&kafka!(), LONG);
    situation.recover().unwrap();
    assert_eq!(end(&situation.client, &situation.ours(), true), OK);
    let job = situation.job.as_mut().unwrap();
    job.commit(&situation.manifest[0]);
    situation.assert_settled_by_recovery();
}

#[test]
fn s8_a_live_predecessors_own_request_is_answered_as_if_it_came_first() {
    let client = kafka!();
    let scene = Scene::new(&client, 1);
    let ours = scene.prepared();
    assert_eq!(says(&client, &ours), Some(Ending::Committed));
    let [committed, begun] = scene.session.try_to_go_on();
    assert_eq!((committed, begun), (Ok(()), Ok(())));
    assert_eq!(client.read_committed(&scene.topic).concat().len(), 100);
}

#[test]
fn s9_a_live_predecessor_commits_after_its_epoch_was_raised() {
    let mut situation = Prepared::new(&kafka!(), LONG);
    situation.recover().unwrap();
    initialise(&situation.client, &situation.ours());
    assert_eq!(end(&situation.client, &situation.ours(), true), PRODUCER_FENCED);
    let (job, manifest) = (situation.job.as_mut().unwrap(), &situation.manifest);
    // Its own request fails; that the transaction is committed it learns from the log.
    job.participant.commit(&manifest[0], &permit(EPOCH)).unwrap();
    situation.assert_settled_by_recovery();
}

#[test]
fn s9_a_live_predecessor_whose_epoch_was_raised_is_fenced_for_good() {
    let client = kafka!();
    let scene = Scene::new(&client, 1);
    let ours = scene.prepared();
    assert_eq!(says(&client, &ours), Some(Ending::Committed));
    initialise(&client, &ours);
    assert_eq!(end(&client, &ours, true), PRODUCER_FENCED);
    for refused in scene.session.try_to_go_on() {
        let Err(KafkaError::Transaction(error)) = refused else { panic!("{refused:?}") };
        assert!(error.is_fatal(), "{error}");
    }
    assert_eq!(client.read_committed(&scene.topic).concat().len(), 100);
}

#[test]
fn s9_a_live_predecessor_has_the_next_epoch_open() {
    let mut situation = Prepared::new(&kafka!(), LONG);
    let job = situation.job.as_mut().unwrap();
    job.write(0, vec!["zombie".into()]);
    situation.recover().unwrap();
    let job = situation.job.as_mut().unwrap();
    assert_eq!(job.try_prepare().expect_err("its epoch was aborted").kind(), ErrorKind::Sink);
    situation.assert_settled_by_recovery();
}
