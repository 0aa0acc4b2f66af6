//! The broker is killed, as by `kill -9`, and comes back: rows of both tables.

use super::protocol::Prepared;
use super::{Ending, Knows, LONG, Scene, check, check_open};
use crate::support::{eventually, numbers, read};
use staunch::connectors::format::Text;
use staunch::connectors::kafka::KafkaSource;
use staunch_tests::kafka::own;
use std::time::{Duration, Instant};

#[test]
fn s10_the_broker_is_killed_before_the_commit() {
    let Some(broker) = own() else { return };
    let client = broker.client();
    let dead = Prepared::dead(&client, LONG);
    let mut alive = Prepared::new(&client, LONG);
    let source = KafkaSource::<Text>::topic(client.brokers(), &alive.topic);
    let mut reading = read(&source, None).unwrap();
    let others = (Prepared::new(&client, LONG), read(&source, None).unwrap());
    // One transaction of each kind.
    let scenes: Vec<_> = (0..4).map(|_| Scene::new(&client, 1)).collect();
    let ours: Vec<_> = scenes.iter().map(Scene::prepared).collect();
    scenes[0].end(Ending::Committed);
    scenes[1].end(Ending::Aborted);
    scenes[2].end(Ending::Committed);
    let _next = scenes[2].prepared();

    broker.kill();
    reading.poll().unwrap();
    // An attempt can end while Kafka is away.
    let started = Instant::now();
    drop(others);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    broker.restart();

    // Straight after the restart, when what is committed may not be visible yet.
    dead.assert_settled_by_recovery();
    check(&client, &ours[0], Ending::Committed, Knows::BOTH);
    check(&client, &ours[1], Ending::Aborted, Knows::BOTH);
    check(&client, &ours[2], Ending::Committed, Knows::LOG);
    check_open(&client, &ours[3]);

    let job = alive.job.as_mut().unwrap();
    job.commit(&alive.manifest[0]);
    job.write(0, numbers(100..200));
    let next = job.prepare();
    job.commit(&next);
    reading.until_count(200).unwrap();
    let mut values = reading.values();
    values.sort();
    assert_eq!(values, numbers(0..200));
}

#[test]
fn s10_the_broker_is_away_at_the_commit_and_waited_for() {
    let Some(broker) = own() else { return };
    let mut situation = Prepared::new(&broker.client(), LONG);
    broker.kill();
    let job = situation.job.as_mut().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_secs(2));
            broker.restart();
        });
        job.commit(&situation.manifest[0]);
    });
    eventually("visible", || (situation.visible().len() == 100).then_some(()));
}
