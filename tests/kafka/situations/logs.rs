//! What can be told of a transaction whose log was rolled, trimmed, expired or compacted since.

use super::{COMPACTED, EPOCH, Ending, Knows, Scene, both, check, initialise, is_told_open, keyed, says, texts, tidy};
use crate::support::{WITHIN, eventually, kafka, parsed, recovered, recovered_by, sink};
use staunch::kafka::KafkaCommittable;
use staunch_tests::kafka::{Client, Session, listed};
use std::time::{Duration, Instant};

/// The smallest segment that Kafka allows.
const SEGMENT: (&str, &str) = ("segment.bytes", "1048576");

both! {
    five_megabytes_over_segments_of_one,
    five_megabytes_and_three_more_segments_after,
    delete_records_into_it,
    delete_records_up_to_its_marker,
    delete_records_past_its_marker,
    delete_records_up_to_the_marker_of_the_producers_next,
    retention_has_passed,
    compacted_but_not_cleaned_yet,
    compacted_with_keys_kept,
    compacted_with_keys_overwritten,
    compacted_and_the_same_producer_wrote_again,
}

fn five_megabytes_over_segments_of_one(client: &Client, ending: Ending) {
    five_megabytes(client, ending, false);
}

fn five_megabytes_and_three_more_segments_after(client: &Client, ending: Ending) {
    five_megabytes(client, ending, true);
}

fn five_megabytes(client: &Client, ending: Ending, more_after: bool) {
    let scene = Scene::of_topic(client, client.topic_with("segments", 1, &[SEGMENT]));
    scene.session.write(&scene.topic, 0, texts(5_000, 1_000));
    let ours = scene.session.prepared(super::EPOCH);
    scene.end(ending);
    if more_after {
        let others = scene.foreign();
        others.write(&scene.topic, 0, texts(3_000, 1_000));
        others.commit();
    }
    check(client, &ours, ending, Knows::BOTH);
}

fn delete_records_into_it(client: &Client, ending: Ending) {
    let (_, ours) = deleted(client, ending, -10);
    check(client, &ours, ending, Knows::BOTH);
}

fn delete_records_up_to_its_marker(client: &Client, ending: Ending) {
    let (_, ours) = deleted(client, ending, 1);
    check(client, &ours, ending, Knows::BOTH);
}

fn delete_records_past_its_marker(client: &Client, ending: Ending) {
    let (_, ours) = deleted(client, ending, 100);
    check(client, &ours, ending, Knows::COORDINATOR);
    initialise(client, &ours);
    check(client, &ours, ending, Knows::NOTHING);
}

/// A transaction among others whose log now begins so far behind its last offset.
fn deleted(client: &Client, ending: Ending, behind: i64) -> (Scene, KafkaCommittable) {
    let scene = Scene::new(client, 1);
    scene.session.write(&scene.topic, 0, texts(300, 100));
    let ours = scene.session.prepared(super::EPOCH);
    scene.end(ending);
    let others = scene.foreign();
    others.write(&scene.topic, 0, texts(300, 100));
    others.commit();
    client.delete_records(&scene.topic, 0, ours.partitions[0].last + behind);
    (scene, ours)
}

/// The first marker of the producer that is left speaks of its next transaction, which ended otherwise.
fn delete_records_up_to_the_marker_of_the_producers_next(client: &Client, ending: Ending) {
    let scene = Scene::new(client, 1);
    let ours = scene.prepared();
    scene.end(ending);
    let next = scene.prepared();
    scene.end(ending.opposite());
    client.delete_records(&scene.topic, 0, next.partitions[0].last + 1);
    check(client, &ours, ending, Knows::NOTHING);
}

#[test]
fn delete_records_into_an_open_one() {
    let client = kafka!();
    let scene = Scene::new(&client, 1);
    scene.session.begin();
    for _ in 0..2 {
        scene.session.send(&scene.topic, 0, texts(50, 20));
        scene.session.flush();
    }
    let ours = scene.session.prepared(EPOCH);
    client.delete_records(&scene.topic, 0, 50);
    // Nobody reads committed records there now: the last stable offset lies before the log's start. A commit would hide
    // what is gone, so nothing is done before that is accepted.
    let lineage = ours.transactional_id.split('/').nth(1).expect("<job>/<lineage>/<n>");
    for _ in 0..2 {
        let error = recovered(&sink(&client, "any"), lineage, &[listed(&ours)], EPOCH).unwrap_err();
        assert_eq!(error.data_loss().map(|loss| loss.records), Some(50), "{error}");
        let described = client.cluster().describe(&ours.transactional_id, WITHIN).unwrap().expect("a known id");
        assert_eq!(described.state, "Ongoing");
    }
    let now = recovered_by(&sink(&client, "any"), lineage, &[listed(&ours)], EPOCH, true, |_| Ok(())).unwrap();
    assert_eq!(parsed(&now[0]).records, 50);
    eventually("visible", || (client.read_committed(&scene.topic).concat().len() == 50).then_some(()));
    // Its id was taken over since.
    check(&client, &ours, Ending::Aborted, Knows::LOG);
}

/// A topic of the same name is not the same topic: nothing in it speaks of ours.
#[test]
fn the_topic_was_deleted_and_created_again() {
    let client = kafka!();
    let scene = Scene::new(&client, 1);
    let ours = scene.prepared();
    scene.end(Ending::Committed);
    client.delete(&scene.topic);
    check(&client, &ours, Ending::Committed, Knows::COORDINATOR);
    eventually("created again", || std::panic::catch_unwind(|| client.create(&scene.topic, 1)).ok());
    client.produce(&scene.topic, 0, vec!["another"; 200]);
    check(&client, &ours, Ending::Committed, Knows::COORDINATOR);
    initialise(&client, &ours);
    check(&client, &ours, Ending::Committed, Knows::NOTHING);
}

fn first_offset(client: &Client, topic: &str) -> i64 {
    client.read_uncommitted(topic).concat().first().map_or(i64::MAX, |record| record.offset)
}

fn retention_has_passed(_shared: &Client, ending: Ending) {
    let Some(client) = tidy() else { return };
    let settings = [SEGMENT, ("retention.ms", "1000"), ("file.delete.delay.ms", "100")];
    let scene = Scene::of_topic(&client, client.topic_with("retention", 1, &settings));
    let ours = scene.prepared();
    let others = scene.foreign();
    // While it is open, and afterwards.
    others.write(&scene.topic, 0, texts(1_500, 1_000));
    others.commit();
    others.write(&scene.topic, 0, texts(1_500, 1_000));
    others.commit();
    let last = ours.partitions[0].last;
    eventually("deleted", || (first_offset(&client, &scene.topic) > last).then_some(()));
    // Nothing of it is left in the log, and nobody has ended it.
    assert!(is_told_open(&client, &ours));
    scene.end(ending);
    assert!(!is_told_open(&client, &ours));
    check(&client, &ours, ending, Knows::COORDINATOR);
}

/// Writes small transactions behind ours until the cleaner has passed over ours.
fn clean(client: &Client, scene: &Scene, others: &Session, same_keys: bool) {
    let started = Instant::now();
    let prefix = if same_keys { "key" } else { "other" };
    let count = || client.read_uncommitted(&scene.topic).concat().len();
    let mut written = count();
    loop {
        others.write(&scene.topic, 0, keyed(100, prefix));
        others.commit();
        written += 100;
        if count() < written - 100 && started.elapsed() > Duration::from_secs(3) {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(40), "the cleaner does not come by");
        std::thread::sleep(Duration::from_millis(400));
    }
}

/// What the cleaner has done, and what others have written meanwhile.
#[derive(PartialEq)]
enum Cleaned {
    Not,
    KeysKept,
    KeysOverwritten,
}

fn compacted(ending: Ending, cleaned: &Cleaned) {
    let Some(client) = tidy() else { return };
    let scene = Scene::of_topic(&client, client.topic_with("compacted", 1, &COMPACTED));
    let others = scene.foreign();
    others.write(&scene.topic, 0, keyed(5, "first"));
    others.commit();
    scene.session.write(&scene.topic, 0, keyed(100, "key"));
    let ours = scene.session.prepared(super::EPOCH);
    scene.end(ending);
    if *cleaned != Cleaned::Not {
        clean(&client, &scene, &others, *cleaned == Cleaned::KeysOverwritten);
    }
    check(&client, &ours, ending, Knows::BOTH);
}

fn compacted_but_not_cleaned_yet(_shared: &Client, ending: Ending) {
    compacted(ending, &Cleaned::Not);
}

fn compacted_with_keys_kept(_shared: &Client, ending: Ending) {
    compacted(ending, &Cleaned::KeysKept);
}

/// The broker keeps a producer's last batch as an empty header, and the abort's entry in the index.
fn compacted_with_keys_overwritten(_shared: &Client, ending: Ending) {
    compacted(ending, &Cleaned::KeysOverwritten);
}

/// The one situation in which perhaps nobody can tell: the batch at our first offset is gone, and the next
/// marker of this producer is that of another transaction. An abort may still stand in the broker's index.
fn compacted_and_the_same_producer_wrote_again(_shared: &Client, ending: Ending) {
    let Some(client) = tidy() else { return };
    let scene = Scene::of_topic(&client, client.topic_with("compacted", 1, &COMPACTED));
    scene.session.write(&scene.topic, 0, keyed(100, "key"));
    let ours = scene.session.prepared(super::EPOCH);
    scene.end(ending);
    scene.session.write(&scene.topic, 0, keyed(1, "later"));
    scene.session.commit();
    clean(&client, &scene, &scene.foreign(), true);
    let said = says(&client, &ours);
    assert!(said.is_none() || said == Some(ending), "{said:?}");
}
