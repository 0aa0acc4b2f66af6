//! A transaction ends while one of its partitions has no leader: Kafka 4 forgets to end it there (KAFKA-20734).

use crate::support::{Job, WITHIN, eventually, numbers, recovered, sink};
use staunch::Epoch;
use staunch::api::sink::TwoPhaseCommit;
use staunch::connectors::format::Text;
use staunch::connectors::kafka::KafkaSink;
use staunch::testing::permit::permit;
use staunch_tests::kafka::{Client, Record, Session, ThreeBrokers, three, version};
use std::time::Duration;

/// A topic with one partition that one broker alone keeps.
struct Alone<'a> {
    cluster: &'a ThreeBrokers,
    client: Client,
    topic: String,
    broker: i32,
}

impl<'a> Alone<'a> {
    fn new(cluster: &'a ThreeBrokers, about: &str) -> Self {
        let client = cluster.client();
        // The first id creates the topic in which transactions are decided. Its leader decides them; another broker goes.
        drop(Session::open(&client, "first", Duration::from_secs(60), &[]));
        let broker = 1 + cluster.leader("__transaction_state", 0) % 3;
        Self { cluster, client, topic: cluster.topic_on(broker, about, 1), broker }
    }

    /// Does it while the partition has no leader, which comes back meanwhile.
    fn without_leader(&self, end: impl FnOnce() + Send) {
        self.cluster.broker(self.broker).kill();
        self.cluster.until_leaderless(&self.topic, 0);
        std::thread::scope(|scope| {
            let ending = scope.spawn(end);
            std::thread::sleep(Duration::from_secs(1));
            self.cluster.broker(self.broker).restart();
            ending.join().expect("it has ended");
        });
    }

    /// Aborts a transaction while the partition has no leader, and tells whether it is open there all the same.
    fn is_forgotten(&self, id: &str) -> bool {
        let session = Session::open(&self.client, id, Duration::from_secs(60), &[]);
        session.begin();
        session.send(&self.topic, 0, [record("never")]);
        session.flush();
        let prepared = session.prepared(Epoch(7));
        self.without_leader(|| {
            let mut brokers = self.client.cluster();
            assert_eq!(brokers.end(id, prepared.producer(), false, WITHIN).unwrap(), 0);
        });
        eventually("decided", || {
            let described = self.client.cluster().describe(id, WITHIN).unwrap()?;
            (described.state == "CompleteAbort").then_some(())
        });
        self.open() > 0
    }

    fn open(&self) -> usize {
        self.client.cluster().open_in(&[(&self.topic, 0)], WITHIN).expect("the leader answers").len()
    }
}

/// Nothing hangs, and the producer's next transaction in that partition does not end the one before: an aborted
/// one would be shown by a commit, a committed one lost by an abort.
#[test]
fn what_kafka_forgets_to_end_is_ended_by_us() {
    let Some(cluster) = three() else { return };
    let alone = Alone::new(&cluster, "alone");
    let (client, lineage) = (&alone.client, alone.client.name("lineage"));
    let everywhere = client.topic("everywhere", 1);
    let sinks = [sink(client, &alone.topic), sink(client, &everywhere)];
    let mut job = Job::start(&sinks, &lineage);
    let write = |job: &mut Job, from: u32| {
        job.write(0, numbers(from..from + 10));
        job.write(1, numbers(from..from + 10));
        job.prepare()
    };

    let committable = write(&mut job, 0);
    alone.without_leader(|| job.participant.commit(&committable, &permit(committable.epoch)).unwrap());
    assert_eq!((alone.open(), client.committed_values(&alone.topic)), (0, numbers(0..10)));

    let committable = write(&mut job, 10);
    alone.without_leader(|| job.participant.abort(&committable).unwrap());
    assert_eq!(alone.open(), 0);
    for from in [20, 30, 40, 50] {
        let committable = write(&mut job, from);
        job.commit(&committable);
    }
    let wanted = [numbers(0..10), numbers(20..60)].concat();
    for topic in [&alone.topic, &everywhere] {
        assert_eq!(&client.committed_values(topic), &wanted);
    }
    drop(job);

    // Dead, and no manifest lists it. Which topic it is, is known at the start, or when a record names it.
    let topic = alone.topic.clone();
    let named = KafkaSink::<Text>::topic_with(client.brokers(), move |_: &String, name| name.push_str(&topic));
    for (sink, value) in [(sink(client, &alone.topic), 60), (named, 61)] {
        // It may be that the leader was back too soon, and nothing was forgotten.
        let is_forgotten = (0..3).any(|again| alone.is_forgotten(&format!("tests/{lineage}/1-{value}{again}")));
        assert!(is_forgotten || version().starts_with("3."), "nothing was to be done");
        eventually("recovered", || recovered(&sink, &lineage, &[], Epoch(7)).ok());
        let mut job = Job::start(&[sink], &lineage);
        job.write(0, numbers(value..value + 1));
        let committable = job.prepare();
        job.commit(&committable);
        let wanted = [wanted.clone(), numbers(60..value + 1)].concat();
        assert_eq!((alone.open(), client.committed_values(&alone.topic)), (0, wanted));
    }
}

fn record(value: &str) -> Record {
    Record { offset: 0, timestamp: 0, key: None, value: Some(value.as_bytes().to_vec()), headers: Vec::new() }
}
