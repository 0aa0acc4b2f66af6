use super::*;
use crate::ErrorKind;
use crate::id::{KEY_GROUPS, groups_of_worker};
use crate::state::SnapshotKind;
use proptest::prelude::*;
use std::collections::BTreeSet;

type Timer = (TimeDomain, Timestamp, String);
type Model = BTreeSet<Timer>;

fn store(worker: usize, workers: usize) -> TimerStore<str> {
    TimerStore::new(groups_of_worker(worker, workers))
}

fn drained(store: &mut TimerStore<str>) -> Vec<Timer> {
    let mut timers = Vec::new();
    for domain in [TimeDomain::Event, TimeDomain::Processing] {
        while let Some((at, hash, key)) = store.pop_due(domain, Timestamp::MAX) {
            assert_eq!(hash, key.frozen_hash());
            timers.push((domain, at, key));
        }
    }
    assert!(store.is_empty());
    assert_eq!(store.len(), 0);
    timers
}

#[derive(Clone, Debug)]
enum Step {
    Set(Timer),
    Delete(Timer),
    Pop(TimeDomain, Timestamp),
    Begin,
    Slice(usize),
}

fn timer() -> impl Strategy<Value = Timer> {
    (domain(), time(), 0..12_u8).prop_map(|(domain, at, key)| (domain, at, format!("key {key}")))
}

fn domain() -> impl Strategy<Value = TimeDomain> {
    prop_oneof![Just(TimeDomain::Event), Just(TimeDomain::Processing)]
}

fn time() -> impl Strategy<Value = Timestamp> {
    (-3..20_i64).prop_map(Timestamp::from_millis)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => timer().prop_map(Step::Set),
        2 => timer().prop_map(Step::Delete),
        2 => (domain(), time()).prop_map(|(domain, now)| Step::Pop(domain, now)),
        1 => Just(Step::Begin),
        2 => (1..200_usize).prop_map(Step::Slice),
    ]
}

/// The first timer of the model that is due.
fn pop(model: &mut Model, domain: TimeDomain, now: Timestamp) -> Option<Timer> {
    let due = model.iter().find(|timer| timer.0 == domain && timer.1 <= now).cloned()?;
    model.take(&due)
}

proptest! {
    #[test]
    fn timers_and_their_snapshots_follow_the_model(steps in prop::collection::vec(step(), 0..300)) {
        let mut store = store(0, 1);
        let mut model = Model::new();
        let mut running = None;
        for step in steps {
            match step {
                Step::Set(timer) => {
                    store.set(timer.0, timer.1, timer.2.frozen_hash(), &timer.2);
                    model.insert(timer);
                }
                Step::Delete(timer) => {
                    store.delete(timer.0, timer.1, timer.2.frozen_hash(), &timer.2);
                    model.remove(&timer);
                }
                Step::Pop(domain, now) => {
                    let popped = store.pop_due(domain, now).map(|(at, _, key)| (domain, at, key));
                    prop_assert_eq!(popped, pop(&mut model, domain, now));
                }
                Step::Begin => {
                    store.begin_snapshot(SnapshotKind::Full);
                    running = Some(model.clone());
                }
                Step::Slice(slots) => {
                    if store.snapshot_slice(slots) && let Some(expected) = running.take() {
                        let bytes = store.take_snapshot().unwrap().bytes;
                        let mut restored = TimerStore::<str>::new(0..KEY_GROUPS);
                        restored.restore(&bytes).unwrap();
                        prop_assert_eq!(drained(&mut restored), Vec::from_iter(expected));
                        store.recycle(bytes);
                    }
                }
            }
            prop_assert_eq!(store.len(), model.len());
            let next = model.iter().find(|timer| timer.0 == TimeDomain::Event).map(|timer| timer.1);
            prop_assert_eq!(store.next(TimeDomain::Event), next);
        }
        prop_assert_eq!(drained(&mut store), Vec::from_iter(model));
    }
}

#[test]
fn timers_move_with_their_keys() {
    let mut whole = store(0, 1);
    for n in 0..500_i64 {
        let key = format!("{}", n % 100);
        whole.set(TimeDomain::Event, Timestamp::from_millis(n), key.frozen_hash(), &key);
    }
    whole.begin_snapshot(SnapshotKind::Full);
    while !whole.snapshot_slice(100) {}
    let mut bytes = whole.take_snapshot().unwrap().bytes;
    let mut found = Vec::new();
    for worker in 0..3 {
        let mut part = store(worker, 3);
        part.restore(&bytes).unwrap();
        assert!((100..250).contains(&part.len()));
        found.extend(drained(&mut part));
    }
    found.sort();
    assert_eq!(found, drained(&mut whole));

    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    assert_eq!(store(0, 1).restore(&bytes).unwrap_err().kind(), ErrorKind::Checkpoint);
}

#[test]
fn timers_that_were_never_written_so_are_refused() {
    let mut bytes = Vec::new();
    let pair = |at| (TimeDomain::Event, Timestamp::from_millis(at));
    vec![pair(2), pair(1)].encode(&mut bytes);
    assert!(KeyTimers::decode(&mut &bytes[..]).is_err());
    assert!(TimeDomain::decode(&mut &[2][..]).is_err());
}
