//! The rules of the simulated cluster, as they were seen on real ones.

use super::cluster::{Cluster, Delayed, FENCED, INVALID_STATE, UNKNOWN_PRODUCER};
use crate::transaction::{BatchHeader, CopyRange, Isolation, Marker, Producer, SessionRange};

const TIMEOUT_MS: i32 = 1_000;

/// A transaction of this id with one batch in `t`/0.
fn open(cluster: &mut Cluster<u32>, id: &str, records: &[u32], now_ms: i64) -> (Producer, i64) {
    let producer = cluster.take_over(id, TIMEOUT_MS);
    (producer, write(cluster, id, producer, records, now_ms))
}

fn write(cluster: &mut Cluster<u32>, id: &str, producer: Producer, records: &[u32], now_ms: i64) -> i64 {
    cluster.add(id, producer, "t", 0, now_ms).unwrap();
    cluster.produce(id, producer, "t", 0, records.to_vec()).unwrap().0
}

fn committed(cluster: &Cluster<u32>) -> Vec<u32> {
    cluster.committed("t").copied().collect()
}

fn state(cluster: &Cluster<u32>, id: &str) -> String {
    cluster.describe(id).unwrap().state
}

#[test]
fn whoever_knows_the_session_ends_its_transaction_and_may_say_so_again() {
    let mut cluster = Cluster::default();
    let (producer, _) = open(&mut cluster, "a", &[1, 2], 5);
    assert_eq!((state(&cluster, "a").as_str(), cluster.describe("a").unwrap().start_ms), ("Ongoing", 5));
    assert!(committed(&cluster).is_empty());
    assert_eq!(cluster.open("t").count(), 2);
    assert_eq!((cluster.end("a", producer, true), cluster.end("a", producer, true)), (0, 0));
    assert_eq!(cluster.end("a", producer, false), INVALID_STATE);
    assert_eq!((committed(&cluster), cluster.open("t").count()), (vec![1, 2], 0));
    assert_eq!(cluster.end("b", producer, true), UNKNOWN_PRODUCER);
}

#[test]
fn a_late_end_ends_whatever_the_session_has_open() {
    let mut cluster = Cluster::default();
    let (producer, _) = open(&mut cluster, "a", &[1], 1);
    cluster.delay(Delayed::End { id: "a".into(), producer, commit: true });
    cluster.end("a", producer, true);
    write(&mut cluster, "a", producer, &[2], 2);
    assert!(cluster.has_delayed());
    assert_eq!((cluster.arrive(), cluster.arrive()), (1, 0));
    assert_eq!(committed(&cluster), [1, 2]);
}

#[test]
fn who_initialises_an_id_aborts_what_is_open_and_fences_who_had_it() {
    let mut cluster = Cluster::default();
    let (first, at) = open(&mut cluster, "a", &[1], 1);
    let second = cluster.take_over("a", TIMEOUT_MS);
    assert_eq!((second.id, second.epoch > first.epoch, state(&cluster, "a").as_str()), (first.id, true, "Empty"));
    assert_eq!(cluster.add("a", first, "t", 0, 2), Err(FENCED));
    assert_eq!(cluster.end("a", first, true), FENCED);
    assert_eq!(cluster.peek("t", 0, at, Isolation::Committed).aborted, [(first.id, at)]);
    let marker = cluster.find_marker("t", 0, at + 1, first.id);
    assert_eq!(marker, Marker::Found { committed: false, epoch: first.epoch + 1 });
    assert!(committed(&cluster).is_empty());
}

#[test]
fn what_is_open_for_too_long_is_aborted_and_its_session_is_over() {
    let mut cluster = Cluster::default();
    let (producer, _) = open(&mut cluster, "a", &[1], 100);
    assert!(cluster.expire(1_099).is_empty());
    assert_eq!(cluster.expire(1_100), ["a"]);
    assert_eq!((cluster.end("a", producer, true), state(&cluster, "a").as_str()), (FENCED, "CompleteAbort"));
    assert_eq!(cluster.describe("a").unwrap().start_ms, 100);
    cluster.take_over("b", super::cluster::NO_TIMEOUT);
    assert!(cluster.expire(i64::MAX).is_empty());
}

#[test]
fn readers_of_committed_data_wait_at_the_first_open_transaction() {
    let mut cluster = Cluster::default();
    let (first, at) = open(&mut cluster, "a", &[1], 1);
    let (second, behind) = open(&mut cluster, "b", &[2, 3], 1);
    cluster.end("b", second, true);
    assert!(committed(&cluster).is_empty());
    assert_eq!(cluster.peek("t", 0, behind, Isolation::Committed).batch, None);
    let header = BatchHeader {
        first: behind,
        last: behind + 1,
        control: false,
        producer_id: second.id,
        producer_epoch: second.epoch,
    };
    assert_eq!(cluster.peek("t", 0, behind + 1, Isolation::Uncommitted).batch, Some(header));
    cluster.end("a", first, false);
    assert_eq!((committed(&cluster), at), (vec![2, 3], 0));
}

#[test]
fn a_copy_is_a_transaction_of_its_own_behind_everything() {
    let mut cluster = Cluster::default();
    let (old, first) = open(&mut cluster, "a", &[1, 2], 1);
    let last = write(&mut cluster, "a", old, &[3], 2);
    cluster.expire(i64::MAX);
    let to = cluster.take_over("a~r1", TIMEOUT_MS);
    let of = SessionRange { from: old, topic: "t", partition: 0, first, last };
    assert_eq!(cluster.count(&of), 3);
    let range = CopyRange { of, id: "a~r1", to };
    assert_eq!(cluster.copy(&range), Err(INVALID_STATE), "its partition was not added");
    cluster.add("a~r1", to, "t", 0, 9).unwrap();
    let copied = cluster.copy(&range).unwrap();
    assert_eq!((copied.records, copied.first, copied.last), (3, last + 2, last + 4));
    cluster.end("a~r1", to, true);
    assert_eq!(committed(&cluster), [1, 2, 3]);
}

#[test]
fn what_is_trimmed_and_forgotten_cannot_be_asked_for_but_was_read() {
    let mut cluster = Cluster::default();
    let (producer, at) = open(&mut cluster, "a", &[1], 1);
    cluster.end("a", producer, true);
    let (other, held) = open(&mut cluster, "b", &[2], 1);
    cluster.trim();
    cluster.forget();
    assert_eq!((cluster.describe("a"), cluster.log_start("t", 0)), (None, held));
    assert_eq!(cluster.peek("t", 0, at, Isolation::Committed).code, 1);
    assert!(matches!(cluster.find_marker("t", 0, at, producer.id), Marker::Unreadable(_)));
    cluster.end("b", other, true);
    assert_eq!(committed(&cluster), [1, 2]);
}

#[test]
fn a_thief_has_the_id_and_a_transaction_of_his_own_open() {
    let mut cluster = Cluster::default();
    let (producer, at) = open(&mut cluster, "a", &[7], 1);
    assert_eq!(cluster.rob(50), 1);
    let described = cluster.describe("a").unwrap();
    assert_eq!((described.state.as_str(), described.start_ms), ("Ongoing", 50));
    let ours = cluster.peek("t", 0, at, Isolation::Uncommitted).batch.unwrap();
    assert!(ours.is_data_of(producer, at) && !ours.is_data_of(described.producer, at));
    let listed = cluster.list("a");
    assert_eq!((listed.len(), listed[0].state.as_str(), listed[0].producer_id), (1, "Ongoing", described.producer.id));
}
