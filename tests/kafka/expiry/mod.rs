//! The broker has forgotten before the job comes back: transactional ids, producers' state, a group's
//! offsets. Nothing is written twice for that; where nothing can be told any more, that is said.

use crate::situations::{self, Ending, Knows, Scene, check};
use crate::support::{Job, WITHIN, eventually, numbers, parsed, read, recovered, sink};
use staunch::api::source::SourceReader;
use staunch::connectors::format::Text;
use staunch::kafka::{KafkaCommittable, KafkaSource, PartitionRange, StartAt};
use staunch::{Epoch, ErrorKind};
use staunch_tests::kafka::{Broker, Client};
use std::sync::OnceLock;

/// A broker with a short memory; shared.
fn forgetful() -> Option<Client> {
    static FORGETFUL: OnceLock<Option<Broker>> = OnceLock::new();
    let properties = [
        ("transactional.id.expiration.ms", "5000"),
        ("transaction.remove.expired.transaction.cleanup.interval.ms", "300"),
        ("producer.id.expiration.ms", "5000"),
        ("producer.id.expiration.check.interval.ms", "300"),
    ];
    FORGETFUL.get_or_init(|| staunch_tests::kafka::own_with(&properties)).as_ref().map(Broker::client)
}

/// Until neither the coordinator knows the id any more nor the partitions its producer.
fn forgotten(client: &Client, ours: &KafkaCommittable) {
    let mut cluster = client.cluster();
    eventually("the id expires", || cluster.describe(&ours.transactional_id, WITHIN).unwrap().is_none().then_some(()));
    eventually("the producer's state expires", || (remembering(client, ours) == 0).then_some(()));
}

/// How many of the partitions still have the state of its producer.
fn remembering(client: &Client, ours: &KafkaCommittable) -> usize {
    let remembers = |range: &&PartitionRange| {
        client.remembered_producers(&range.topic, range.partition).contains(&ours.producer_id)
    };
    ours.partitions.iter().filter(remembers).count()
}

fn known_by_the_log(ending: Ending) {
    let Some(client) = forgetful() else { return };
    let scene = Scene::new(&client, 2);
    let ours = scene.prepared();
    scene.end(ending);
    forgotten(&client, &ours);
    check(&client, &ours, ending, Knows::LOG);
}

#[test]
fn a_committed_one_is_known_by_the_log() {
    known_by_the_log(Ending::Committed);
}

#[test]
fn an_aborted_one_is_known_by_the_log() {
    known_by_the_log(Ending::Aborted);
}

/// A prepared transaction is never forgotten, however long it stays open.
#[test]
fn an_open_one_outlives_the_memory_of_all_others() {
    let Some(client) = forgetful() else { return };
    let scene = Scene::new(&client, 1);
    let other = Scene::new(&client, 1);
    let (ours, others) = (scene.prepared(), other.prepared());
    other.session.commit();
    drop(scene);
    forgotten(&client, &others);
    assert_eq!(remembering(&client, &ours), 1);
    situations::check_open(&client, &ours);
}

#[test]
fn without_the_log_nothing_can_be_told() {
    let Some(client) = forgetful() else { return };
    for ending in [Ending::Committed, Ending::Aborted] {
        let scene = Scene::new(&client, 1);
        let ours = scene.prepared();
        scene.end(ending);
        client.produce(&scene.topic, 0, ["behind"]);
        forgotten(&client, &ours);
        client.delete_records(&scene.topic, 0, ours.partitions[0].last + 2);
        check(&client, &ours, ending, Knows::NOTHING);
    }
}

/// The whole way of a job: committed, and all of it forgotten before the next attempt.
#[test]
fn what_is_committed_is_not_written_again_when_all_is_forgotten() {
    let Some(client) = forgetful() else { return };
    let (topic, lineage) = (client.topic("known", 2), client.name("lineage"));
    let sink = sink(&client, &topic);
    let mut job = Job::start(std::slice::from_ref(&sink), &lineage);
    job.write(0, numbers(0..100));
    let prepared = job.prepare();
    assert_eq!(remembering(&client, &parsed(&prepared)), 2);
    job.commit(&prepared);
    drop(job);
    forgotten(&client, &parsed(&prepared));
    let manifest = [prepared];
    assert_eq!(recovered(&sink, &lineage, &manifest, Epoch(1)).unwrap(), manifest);
    let mut next = Job::restart(std::slice::from_ref(&sink), &lineage, &manifest, Epoch(1)).unwrap();
    next.write(0, numbers(100..150));
    let prepared = next.prepare();
    next.commit(&prepared);
    assert_eq!(client.committed_values(&topic), numbers(0..150));
    // Nor is there anything that readers of committed records do not see.
    assert_eq!(client.read_uncommitted(&topic).concat().len(), 150);
}

/// The whole way of a job: prepared, timed out and forgotten; written again, forgotten once more.
#[test]
fn a_replay_is_not_repeated_when_all_is_forgotten() {
    let Some(client) = forgetful() else { return };
    let (topic, lineage) = (client.topic("forgotten", 2), client.name("lineage"));
    let sink = sink(&client, &topic).transaction_timeout(situations::SHORT);
    let mut job = Job::start(std::slice::from_ref(&sink), &lineage);
    job.write(0, numbers(0..100));
    let prepared = job.prepare();
    drop(job);
    situations::expire(&client, &parsed(&prepared));
    forgotten(&client, &parsed(&prepared));
    let replayed = recovered(&sink, &lineage, &[prepared], Epoch(1)).unwrap();
    assert_eq!(client.committed_values(&topic), numbers(0..100));
    forgotten(&client, &parsed(&replayed[0]));
    assert_eq!(recovered(&sink, &lineage, &replayed, Epoch(1)).unwrap(), replayed);
    assert_eq!(client.committed_values(&topic), numbers(0..100));
    // And with nothing left to tell, it stops.
    for range in parsed(&replayed[0]).partitions {
        client.delete_records(&topic, range.partition, range.last + 2);
    }
    let error = recovered(&sink, &lineage, &replayed, Epoch(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FateUnknown, "{error}");
}

/// Positions are in the checkpoint: that the group's offsets are gone changes nothing.
#[test]
fn a_source_does_not_need_the_offsets_of_its_group() {
    let Some(client) = forgetful() else { return };
    let topic = client.topic("group", 1);
    client.produce(&topic, 0, numbers(0..100));
    let group = client.name("group");
    client.commit_group_offset(&group, &topic, 0);
    let source = KafkaSource::<Text>::topic(client.brokers(), &topic).start(StartAt::Group(group.clone()));
    let mut first = read(&source, None).unwrap();
    first.until_count(100).unwrap();
    let positions = first.reader.positions();
    drop(first);
    client.delete_group(&group);
    assert_eq!(client.group_offsets(&group, &topic, 1), [None]);
    client.produce(&topic, 0, numbers(100..150));
    let mut second = read(&source, Some(&positions)).unwrap();
    second.until_count(50).unwrap();
    assert_eq!(second.values(), numbers(100..150));
}
