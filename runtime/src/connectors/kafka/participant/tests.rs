use super::*;
use crate::api::batch::Batch;
use crate::api::sink::{Sink, SinkWriter};
use crate::api::source::Waker;
use crate::connectors::format::Text;
use crate::connectors::kafka::KafkaSink;
use crate::connectors::kafka::raw::Found;
use crate::testing::permit::recover;
use crate::time::Timestamp;
use rdkafka::mocking::MockCluster;
use rdkafka::types::RDKafkaRespErr;

#[test]
fn a_commit_is_clean_within_the_shortest_pause_before_a_request_is_repeated() {
    for (options, clean_ms) in [
        (&[][..], 300),
        (&[("retry.backoff.ms", "100")], 75),
        (&[("retry.backoff.max.ms", "40")], 30),
        (&[("retry.backoff.ms", "100"), ("retry.backoff.max.ms", "2000")], 75),
    ] {
        let mut settings = Settings::new("localhost");
        options.iter().for_each(|(key, value): &(&str, &str)| settings.set((*key).to_owned(), (*value).to_owned()));
        let transaction_timeout = Duration::from_secs(60);
        let plan = Options { settings, exactly_once: true, transaction_timeout, shards: 1 }
            .plan(None, Cancellation::default())
            .unwrap();
        assert_eq!(plan.clean_within, Duration::from_millis(clean_ms), "{options:?}");
    }
}

/// A writer without transactions to a topic about which no broker was asked.
struct Writing {
    participant: KafkaParticipant,
    writer: KafkaWriter<Text>,
}

impl Writing {
    fn to(brokers: &str, timeout: Duration) -> Self {
        let sink = KafkaSink::<Text>::topic(brokers, "t")
            .at_least_once()
            .transaction_timeout(timeout)
            .set("topic.metadata.refresh.interval.ms", "50")
            .set("topic.metadata.propagation.max.ms", "0")
            .on_refused(OnRefused::Skip);
        let context = SinkContext {
            participant: "kafka",
            job: "tests",
            lineage: "lineage",
            attempt: 1,
            epoch: Epoch(1),
            workers: 1,
            epoch_interval: timeout,
            epoch_within: timeout,
            cancellation: Cancellation::default(),
        };
        let mut participant = sink.open(&context).unwrap();
        recover(&mut participant, Epoch(0), &[]).unwrap();
        let found = Found { name: "t".into(), id: None, partitions: 2, error: None, may_write: true, may_read: true };
        participant.routes.learn("t", &found, Instant::now());
        let waker = Waker::new(|| {});
        let context = WriterContext { id: "out", worker: 0, workers: 1, epoch: Epoch(1), waker };
        let writer = sink.writer(&mut participant, &context).unwrap();
        Self { participant, writer }
    }

    fn write(&mut self, records: usize) {
        while !self.writer.ready().unwrap() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut batch = Batch::default();
        (0..records).for_each(|_| batch.push("x".to_owned(), Timestamp::MIN));
        self.writer.write(&mut batch).unwrap();
    }

    fn seal(&mut self, epoch: u64) -> Share {
        Share { sink: "out".into(), worker: 0, bytes: self.writer.seal(Epoch(epoch)).unwrap() }
    }

    /// Acknowledges records of a share.
    fn arrived(&self, share: &Share, records: usize) {
        let sealed: Vec<Sealed> = serde_json::from_slice(&share.bytes).unwrap();
        let outlet = self.participant.pool().unwrap().any().unwrap();
        (0..records).for_each(|offset| outlet.tally().arrived(sealed[0].route, 1, offset as i64));
    }

    fn prepare(&mut self, epoch: u64, share: &Share) -> Result<Option<Vec<u8>>> {
        self.participant.prepare(Epoch(epoch), vec![share.clone()])
    }
}

#[test]
fn without_transactions_a_checkpoint_waits_for_its_own_records_not_for_as_many_of_the_next() {
    // Nobody answers: the test acknowledges.
    let mut it = Writing::to("127.0.0.1:1", Duration::from_millis(300));
    it.write(20);
    let first = it.seal(1);
    // Half of them hang at a slow leader; the writer does not wait.
    it.arrived(&first, 10);
    it.write(10);
    let second = it.seal(2);
    it.arrived(&second, 10);
    assert_eq!(it.prepare(1, &first).unwrap_err().kind(), ErrorKind::Timeout, "ten of its records are nowhere");
    it.arrived(&first, 10);
    assert_eq!(it.prepare(1, &first).unwrap(), None);
    assert_eq!(it.prepare(2, &second).unwrap(), None);
    // What counted for an epoch that is over counts for no other.
    for epoch in 3..6 {
        it.write(10);
        let share = it.seal(epoch);
        it.arrived(&share, 9);
        assert_eq!(it.prepare(epoch, &share).unwrap_err().kind(), ErrorKind::Timeout);
        it.arrived(&share, 1);
        assert_eq!(it.prepare(epoch, &share).unwrap(), None);
    }
}

#[test]
fn a_topic_that_one_broker_does_not_know_for_a_moment_is_not_refused() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let mut it = Writing::to(&cluster.bootstrap_servers(), Duration::from_secs(30));
    it.write(1);
    let first = it.seal(1);
    assert_eq!(it.prepare(1, &first).unwrap(), None);
    cluster.topic_error("t", RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART).unwrap();
    // The producer hears of it.
    std::thread::sleep(Duration::from_secs(1));
    it.write(10);
    assert_eq!(it.writer.left_out(), 0, "no broker was asked");
    assert!(!it.writer.ready().unwrap(), "it knows no such topic");
    cluster.topic_error("t", RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR).unwrap();
    let second = it.seal(2);
    assert_eq!((it.prepare(2, &second).unwrap(), it.writer.left_out()), (None, 0));
}
