//! What can be told of a transaction, row by row: by how it ended, by what its producer did next, by who
//! else wrote there.

use super::{Ending, Knows, SHORT, Scene, both, check, check_open, expire, initialise, texts};
use crate::support::kafka;
use staunch_tests::kafka::{Client, Session};

both! {
    ended_by_its_producer,
    s4_the_id_is_initialised_again,
    s4_and_then_used_by_the_new_session,
    s5_the_next_is_open_at_the_same_epoch,
    then_the_same_producer_commits_another,
    then_the_same_producer_aborts_another,
    three_partitions_with_one_record_each,
    records_in_one_of_three_partitions,
    others_before_within_and_after,
    foreign_open_started_before,
    foreign_open_started_before_and_the_id_is_initialised_again,
    foreign_open_started_within,
    foreign_open_started_after,
}

fn ended_by_its_producer(client: &Client, ending: Ending) {
    let scene = Scene::new(client, 1);
    let ours = scene.prepared();
    scene.end(ending);
    check(client, &ours, ending, Knows::BOTH);
}

#[test]
fn open() {
    let client = kafka!();
    let scene = Scene::new(&client, 1);
    let ours = scene.prepared();
    drop(scene);
    check_open(&client, &ours);
}

#[test]
fn timed_out() {
    let client = kafka!();
    let scene = Scene::with_timeout(&client, 1, SHORT);
    let ours = scene.prepared();
    expire(&client, &ours);
    check(&client, &ours, Ending::Aborted, Knows::BOTH);
}

#[test]
fn fenced_by_init_producer_id() {
    let client = kafka!();
    let scene = Scene::new(&client, 1);
    let ours = scene.prepared();
    initialise(&client, &ours);
    check(&client, &ours, Ending::Aborted, Knows::LOG);
}

#[test]
fn the_producer_is_gone_and_another_process_commits() {
    let client = kafka!();
    let scene = Scene::new(&client, 1);
    let ours = scene.prepared();
    drop(scene);
    assert_eq!(super::end(&client, &ours, true), 0);
    check(&client, &ours, Ending::Committed, Knows::BOTH);
}

fn s4_the_id_is_initialised_again(client: &Client, ending: Ending) {
    let scene = Scene::new(client, 1);
    let ours = scene.prepared();
    scene.end(ending);
    initialise(client, &ours);
    check(client, &ours, ending, Knows::LOG);
}

fn s4_and_then_used_by_the_new_session(client: &Client, ending: Ending) {
    let scene = Scene::new(client, 1);
    let ours = scene.prepared();
    scene.end(ending);
    let next = Session::open(client, scene.session.id(), super::LONG, &[]);
    next.write(&scene.topic, 0, texts(50, 20));
    next.commit();
    next.write(&scene.topic, 0, texts(50, 20));
    next.abort();
    next.write(&scene.topic, 0, texts(50, 20));
    check(client, &ours, ending, Knows::LOG);
}

fn s5_the_next_is_open_at_the_same_epoch(client: &Client, ending: Ending) {
    let scene = Scene::new(client, 1);
    let ours = scene.prepared();
    scene.end(ending);
    let next = scene.prepared();
    assert_eq!((next.producer_id, next.producer_epoch), (ours.producer_id, ours.producer_epoch));
    check(client, &ours, ending, Knows::LOG);
}

/// The next one of S5 is itself what the manifest lists.
#[test]
fn s5_the_next_itself_is_open() {
    let client = kafka!();
    let scene = Scene::new(&client, 1);
    let _first = scene.prepared();
    scene.session.commit();
    check_open(&client, &scene.prepared());
}

fn then_the_same_producer_commits_another(client: &Client, ending: Ending) {
    then_another(client, ending, Ending::Committed);
}

fn then_the_same_producer_aborts_another(client: &Client, ending: Ending) {
    then_another(client, ending, Ending::Aborted);
}

fn then_another(client: &Client, ending: Ending, next: Ending) {
    let scene = Scene::new(client, 1);
    let ours = scene.prepared();
    scene.end(ending);
    scene.session.write(&scene.topic, 0, texts(1, 20));
    scene.end(next);
    check(client, &ours, ending, Knows::LOG);
}

/// A big batch of others before each of ours: the broker's index of offsets then has an entry at ours,
/// which is where a careless look at its list of aborted transactions goes wrong.
fn three_partitions_with_one_record_each(client: &Client, ending: Ending) {
    let scene = Scene::new(client, 3);
    let others = scene.foreign();
    others.begin();
    (0..3).for_each(|partition| others.send(&scene.topic, partition, texts(1, 9_000)));
    others.flush();
    scene.session.begin();
    (0..3).for_each(|partition| scene.session.send(&scene.topic, partition, texts(1, 6_000)));
    scene.session.flush();
    let ours = scene.session.prepared(super::EPOCH);
    assert_eq!(ours.partitions.len(), 3);
    scene.end(ending);
    others.commit();
    check(client, &ours, ending, Knows::BOTH);
}

fn records_in_one_of_three_partitions(client: &Client, ending: Ending) {
    let scene = Scene::new(client, 3);
    scene.session.write(&scene.topic, 1, texts(10, 10));
    let ours = scene.session.prepared(super::EPOCH);
    scene.end(ending);
    check(client, &ours, ending, Knows::BOTH);
}

/// A transaction that a manifest of ours never lists, as it is carried over without records; there is no
/// log to look at.
#[test]
fn a_group_offset_and_no_record() {
    let client = kafka!();
    let scene = Scene::new(&client, 1);
    scene.session.begin();
    scene.session.send_group_offset(&client.name("group"), &scene.topic, 7);
    let ours = scene.session.prepared(super::EPOCH);
    assert_eq!(ours.partitions, []);
    scene.end(Ending::Committed);
    check(&client, &ours, Ending::Committed, Knows::COORDINATOR);
}

fn others_before_within_and_after(client: &Client, ending: Ending) {
    let scene = Scene::new(client, 1);
    let others = scene.foreign();
    let foreign = |commit: bool, count: usize| {
        others.write(&scene.topic, 0, texts(count, 20));
        if commit { others.commit() } else { others.abort() }
    };
    foreign(false, 10);
    foreign(true, 10);
    scene.session.begin();
    for commit in [false, true] {
        scene.session.send(&scene.topic, 0, texts(50, 20));
        scene.session.flush();
        foreign(commit, 10);
    }
    scene.session.send(&scene.topic, 0, texts(1, 20));
    scene.session.flush();
    let ours = scene.session.prepared(super::EPOCH);
    scene.end(ending);
    (0..30).for_each(|_| foreign(false, 1));
    check(client, &ours, ending, Knows::BOTH);
}

/// Where the foreign transaction, still open when the fate is asked for, begins.
#[derive(PartialEq)]
enum Begins {
    Before,
    Within,
    After,
}

fn foreign_open(
    client: &Client,
    ending: Ending,
    begins: &Begins,
) -> (Scene, Session, staunch::kafka::KafkaCommittable) {
    let scene = Scene::new(client, 1);
    let foreign = scene.foreign();
    foreign.begin();
    let begin_at = |place: Begins| {
        if place == *begins {
            foreign.send(&scene.topic, 0, texts(1, 20));
            foreign.flush();
        }
    };
    begin_at(Begins::Before);
    scene.session.begin();
    scene.session.send(&scene.topic, 0, texts(10, 20));
    scene.session.flush();
    begin_at(Begins::Within);
    scene.session.send(&scene.topic, 0, texts(10, 20));
    scene.session.flush();
    begin_at(Begins::After);
    let ours = scene.session.prepared(super::EPOCH);
    scene.end(ending);
    (scene, foreign, ours)
}

/// The last stable offset stays below ours: no reader, and no index, shows what became of it.
fn foreign_open_started_before(client: &Client, ending: Ending) {
    let (_scene, _foreign, ours) = foreign_open(client, ending, &Begins::Before);
    check(client, &ours, ending, Knows::BOTH);
}

/// Only the marker in the log tells.
fn foreign_open_started_before_and_the_id_is_initialised_again(client: &Client, ending: Ending) {
    let (_scene, _foreign, ours) = foreign_open(client, ending, &Begins::Before);
    initialise(client, &ours);
    check(client, &ours, ending, Knows::LOG);
}

fn foreign_open_started_within(client: &Client, ending: Ending) {
    let (_scene, _foreign, ours) = foreign_open(client, ending, &Begins::Within);
    check(client, &ours, ending, Knows::BOTH);
}

fn foreign_open_started_after(client: &Client, ending: Ending) {
    let (_scene, _foreign, ours) = foreign_open(client, ending, &Begins::After);
    check(client, &ours, ending, Knows::BOTH);
}
