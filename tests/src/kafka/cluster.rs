//! Three Apache Kafka brokers on loopback, each broker and controller: one may be away at any time.

use super::broker::{Broker, free_port};
use super::client::Client;
use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::thread::scope;
use std::time::{Duration, Instant};

const WITHIN: Duration = Duration::from_secs(60);

/// A running cluster; its brokers are killed when it is dropped.
pub struct ThreeBrokers {
    /// Broker `n` is at `n - 1`.
    brokers: Vec<Broker>,
}

impl ThreeBrokers {
    /// Starts it. What is not said otherwise is kept three times, and written when two have it.
    ///
    /// # Panics
    /// As [`Broker::start`].
    pub fn start() -> Self {
        let controllers: [u16; 3] = std::array::from_fn(|_| free_port());
        let voters: Vec<String> = (1..).zip(controllers).map(|(id, port)| format!("{id}@127.0.0.1:{port}")).collect();
        let voters = voters.join(",");
        // None of them is up before two are.
        let brokers = scope(|scope| {
            let start = |(id, controller)| {
                let voters = &voters;
                scope.spawn(move || Broker::make(|port, _| properties(id, port, controller, voters), &[]))
            };
            let starting: Vec<_> = (1..).zip(controllers).map(start).collect();
            starting.into_iter().map(|broker| broker.join().expect("a broker comes up")).collect()
        });
        Self { brokers }
    }

    /// A client of the cluster, whose topics are kept three times.
    pub fn client(&self) -> Client {
        let brokers: Vec<&str> = self.brokers.iter().map(Broker::address).collect();
        Client::new(&brokers.join(",")).with_replicas(3)
    }

    /// The broker with this id.
    ///
    /// # Panics
    /// If there is none.
    pub fn broker(&self, id: i32) -> &Broker {
        usize::try_from(id - 1).ok().and_then(|at| self.brokers.get(at)).expect("the ids are 1, 2 and 3")
    }

    /// A new topic that is kept by one broker alone: without it, all its partitions are offline.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn topic_on(&self, broker: i32, about: &str, partitions: usize) -> String {
        let client = self.client();
        let name = client.name(about);
        let alone = [broker];
        let there = vec![&alone[..]; partitions];
        let topic = NewTopic::new(&name, partitions as i32, TopicReplication::Variable(&there));
        let topic = topic.set("min.insync.replicas", "1");
        let created = client.admin(async |admin| admin.create_topics([&topic], &AdminOptions::new()).await);
        created.expect("the cluster answers")[0].as_ref().expect("the topic is new");
        self.leader(&name, partitions as i32 - 1);
        name
    }

    /// Waits until the cluster knows that a partition's leader is away, and has no other.
    ///
    /// # Panics
    /// If it has one for a minute.
    pub fn until_leaderless(&self, topic: &str, partition: i32) {
        self.await_leader(topic, partition, |leader| (leader < 0).then_some(())).expect("the leader is away");
    }

    /// Which broker leads a partition now. Waits until there is one.
    ///
    /// # Panics
    /// If there is none for a minute.
    pub fn leader(&self, topic: &str, partition: i32) -> i32 {
        let is_up = |leader| matches!(leader, 1..=3) && self.broker(leader).is_running();
        self.await_leader(topic, partition, |leader| is_up(leader).then_some(leader)).expect("there is a leader")
    }

    /// What is awaited of the number that stands for a partition's leader; `None` if it does not come for a minute.
    fn await_leader<T>(&self, topic: &str, partition: i32, awaited: impl Fn(i32) -> Option<T>) -> Option<T> {
        let consumer: BaseConsumer = self.client().config().create().expect("a legal configuration");
        let deadline = Instant::now() + WITHIN;
        while Instant::now() < deadline {
            let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(5));
            let leader = metadata.ok().and_then(|metadata| {
                let partitions = metadata.topics().first()?.partitions();
                partitions.iter().find(|found| found.id() == partition).map(|found| found.leader())
            });
            if let Some(found) = leader.and_then(&awaited) {
                return Some(found);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        None
    }
}

fn properties(id: i32, port: u16, controller: u16, voters: &str) -> Vec<(String, String)> {
    let property = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    vec![
        property("node.id", &id.to_string()),
        property("controller.quorum.voters", voters),
        property("listeners", &format!("PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}")),
        property("offsets.topic.replication.factor", "3"),
        property("transaction.state.log.replication.factor", "3"),
        property("transaction.state.log.min.isr", "2"),
        property("transaction.state.log.num.partitions", "1"),
        property("share.coordinator.state.topic.replication.factor", "3"),
        property("min.insync.replicas", "2"),
        // So that a test does not wait for long until a killed broker counts as away.
        property("broker.session.timeout.ms", "4000"),
        property("broker.heartbeat.interval.ms", "500"),
    ]
}
