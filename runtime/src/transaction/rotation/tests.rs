//! Ids are used again when a later manifest is durable, and not before.

use super::*;

fn made(rotation: &mut Rotation<u64>) -> u64 {
    let number = match rotation.wanted().expect("something is wanted") {
        Wanted::Again(number) | Wanted::New(number) => number,
    };
    rotation.ready(number);
    number
}

#[test]
fn an_id_rests_until_a_later_manifest_is_durable() {
    let mut rotation = Rotation::new(1);
    let mut used = Vec::new();
    for epoch in 1..=6 {
        made(&mut rotation);
        let producer = rotation.take(Epoch(epoch), 0).unwrap();
        rotation.prepared(Epoch(epoch), |_| true);
        rotation.committed(Epoch(epoch), vec![producer]);
        used.push(producer);
    }
    // Manifest 1 lists 0 and is the newest while epoch 2 is written: 0 is free when manifest 2 is durable.
    assert_eq!(used, [0, 1, 0, 1, 0, 1]);
}

#[test]
fn what_one_manifest_lists_rests_together() {
    let mut rotation = Rotation::new(1);
    for epoch in [1, 2] {
        made(&mut rotation);
        rotation.take(Epoch(epoch), 0).unwrap();
        rotation.prepared(Epoch(epoch), |_| true);
    }
    // Epoch 1 was carried: manifest 2 lists both.
    rotation.committed(Epoch(2), vec![0]);
    rotation.committed(Epoch(2), vec![1]);
    assert_eq!(rotation.wanted(), Some(Wanted::New(2)));
    rotation.committed(Epoch(3), vec![]);
    assert_eq!((rotation.wanted(), rotation.wanted()), (Some(Wanted::Again(1)), Some(Wanted::Again(0))));
}

#[test]
fn retired_producers_do_not_come_back_and_aborted_ones_do_at_once() {
    let mut rotation = Rotation::new(1);
    assert_eq!(made(&mut rotation), 0);
    rotation.take(Epoch(1), 0).unwrap();
    rotation.prepared(Epoch(1), |_| true);
    rotation.committed(Epoch(1), vec![]);
    assert_eq!(rotation.wanted(), Some(Wanted::New(1)));
    rotation.aborted(1);
    rotation.committed(Epoch(2), vec![]);
    rotation.committed(Epoch(3), vec![]);
    assert_eq!((rotation.wanted(), rotation.wanted()), (Some(Wanted::Again(1)), Some(Wanted::New(2))));
}

#[test]
fn each_shard_has_a_transaction_and_an_unused_one_serves_the_next_epoch() {
    let mut rotation = Rotation::new(2);
    made(&mut rotation);
    made(&mut rotation);
    assert_eq!(rotation.wanted(), None);
    let (first, second) = (rotation.take(Epoch(1), 0).unwrap(), rotation.take(Epoch(1), 1).unwrap());
    assert_ne!(first, second);
    assert_eq!(rotation.take(Epoch(1), 0), Some(first));
    assert_eq!(rotation.take(Epoch(2), 0), None);
    assert!(!rotation.is_prepared(Epoch(1)));
    rotation.prepared(Epoch(1), |shard| shard == 0);
    assert!(rotation.is_prepared(Epoch(1)) && !rotation.is_prepared(Epoch(2)));
    assert_eq!(rotation.take(Epoch(2), 0), Some(second));
}
