use super::*;
use crate::ErrorKind;
use crate::api::key::Key;
use crate::id::{KEY_GROUPS, groups_of_worker, key_group, worker_of_group};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ops::Range;

type Model = BTreeMap<u16, (u64, String)>;
type Table = StateTable<u16, (u64, String)>;

const THIRD: usize = 3;

/// A hash in the group range; every few keys share one, or lie side by side.
fn hash_in(groups: &Range<u32>, key: u16) -> u64 {
    let base = u64::from(groups.start) << 49;
    let span = u128::from(groups.end - groups.start) << 49;
    let mixed = match key % 4 {
        0 => u64::MAX,
        1 => u64::from(key / 64).wrapping_mul(0x9E37_79B9_7F4A_7C15),
        _ => key.frozen_hash(),
    };
    base + ((u128::from(mixed) * span) >> 64) as u64
}

fn change(table: &mut Table, key: u16, by: u64) {
    let slot = table.entry(hash_in(table.groups(), key), &key);
    let (held, state) = table.get_mut(slot);
    assert_eq!(*held, key);
    state.0 += by;
    state.1 = format!("{}", state.0);
}

fn contents(table: &Table) -> Model {
    let all: Model = table.iter().map(|(_, key, state)| (*key, state.clone())).collect();
    assert_eq!(all.len(), table.len());
    all
}

fn restored<'a>(snapshots: impl IntoIterator<Item = &'a Vec<u8>>, groups: Range<u32>) -> Model {
    let mut table = Table::new(groups);
    snapshots.into_iter().for_each(|bytes| table.restore(bytes).unwrap());
    contents(&table)
}

fn snapshot(table: &mut Table) -> Vec<u8> {
    table.begin_snapshot(SnapshotKind::Full);
    while !table.snapshot_slice(7) {}
    table.take_snapshot().unwrap().bytes
}

#[derive(Clone, Debug)]
enum Step {
    Change(u16, u64),
    Forget(u16),
    Find(u16),
    Begin(SnapshotKind),
    Slice(usize),
}

fn steps(keys: u16) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        10 => (0..keys, 1..9_u64).prop_map(|(key, by)| Step::Change(key, by)),
        4 => (0..keys).prop_map(Step::Forget),
        1 => (0..keys).prop_map(Step::Find),
        1 => prop_oneof![Just(SnapshotKind::Full), Just(SnapshotKind::Changes)].prop_map(Step::Begin),
        4 => (1..200_usize).prop_map(Step::Slice),
    ];
    prop::collection::vec(step, 0..600)
}

fn run(groups: Range<u32>, steps: Vec<Step>) {
    let mut table = Table::new(groups.clone());
    let mut model = Model::new();
    let mut running = None;
    // The last full snapshot and those of changes since.
    let mut chain = Vec::new();
    for step in steps {
        match step {
            Step::Change(key, by) => {
                change(&mut table, key, by);
                let state = model.entry(key).or_default();
                *state = (state.0 + by, format!("{}", state.0 + by));
            }
            Step::Forget(key) => {
                let slot = table.entry(hash_in(&groups, key), &key);
                table.forget(slot);
                model.remove(&key);
            }
            Step::Find(key) => assert_eq!(table.find(hash_in(&groups, key), &key), model.get(&key)),
            // Also over a running one, which is abandoned.
            Step::Begin(kind) => {
                table.begin_snapshot(kind);
                running = Some(model.clone());
            }
            Step::Slice(slots) => {
                if table.snapshot_slice(slots)
                    && let Some(expected) = running.take()
                {
                    let taken = table.take_snapshot().unwrap();
                    if taken.kind == SnapshotKind::Full {
                        assert_eq!(taken.entries as usize, expected.len());
                        table.recycle(chain.drain(..).next().unwrap_or_default());
                    }
                    chain.push(taken.bytes);
                    assert_eq!(restored(&chain, groups.clone()), expected);
                }
            }
        }
        assert_eq!(table.len(), model.len());
    }
    assert_eq!(contents(&table), model);
}

proptest! {
    #[test]
    fn a_snapshot_is_the_state_at_its_beginning(steps in steps(40)) {
        run(0..KEY_GROUPS, steps);
    }

    #[test]
    fn also_for_a_worker_that_owns_a_third_of_the_groups(steps in steps(300), worker in 0..THIRD) {
        run(groups_of_worker(worker, THIRD), steps);
    }

    #[test]
    fn also_for_a_single_group(steps in steps(100)) {
        run(7..8, steps);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(read_groups(&bytes, &(0..KEY_GROUPS), |_, _, _| Ok(())).is_err());
    }
}

#[test]
fn a_snapshot_spreads_over_any_number_of_workers() {
    let mut all = Model::new();
    let snapshots: Vec<Vec<u8>> = (0..THIRD)
        .map(|worker| {
            let mut table = StateTable::<u16, (u64, String)>::new(groups_of_worker(worker, THIRD));
            for key in (0..20_000_u16).filter(|key| worker_of_group(key_group(key.frozen_hash()), THIRD) == worker) {
                let slot = table.entry(key.frozen_hash(), &key);
                *table.get_mut(slot).1 = (u64::from(key), "x".repeat(usize::from(key % 50)));
            }
            all.extend(contents(&table));
            snapshot(&mut table)
        })
        .collect();
    assert_eq!(all.len(), 20_000);
    for workers in [1, 2, 5] {
        let mut found = Model::new();
        for worker in 0..workers {
            let mut table = Table::new(groups_of_worker(worker, workers));
            snapshots.iter().for_each(|bytes| table.restore(bytes).unwrap());
            let part = contents(&table);
            assert!(part.keys().all(|key| table.find(key.frozen_hash(), key).is_some()));
            found.extend(part);
        }
        assert_eq!(found, all);
    }
}

#[test]
fn a_reader_skips_the_blocks_of_others() {
    let mut table = StateTable::<u64, u64>::new(0..KEY_GROUPS);
    for key in 0..50_000_u64 {
        let slot = table.entry(key.frozen_hash(), &key);
        *table.get_mut(slot).1 = key;
    }
    table.begin_snapshot(SnapshotKind::Full);
    while !table.snapshot_slice(1000) {}
    let bytes = table.take_snapshot().unwrap().bytes;
    let (_, tenth) = count_groups(&bytes, &(0..KEY_GROUPS / 10)).unwrap();
    assert!((5_000..9_000).contains(&tenth), "{tenth}");
}

#[test]
fn what_has_not_changed_is_not_written_again() {
    let mut table = Table::new(0..KEY_GROUPS);
    (0..1000).for_each(|key| change(&mut table, key, 1));
    let mut kinds = Vec::new();
    for kind in
        [SnapshotKind::Full, SnapshotKind::Changes, SnapshotKind::Changes, SnapshotKind::Full, SnapshotKind::Changes]
    {
        table.begin_snapshot(kind);
        while !table.snapshot_slice(100) {}
        let taken = table.take_snapshot().unwrap();
        kinds.push((taken.kind, taken.entries));
        (0..10).for_each(|key| change(&mut table, key, 1));
        let slot = table.entry(hash_in(&(0..KEY_GROUPS), 9), &9);
        table.forget(slot);
    }
    // Changes are known from when they were first asked for.
    let (full, changes) = (SnapshotKind::Full, SnapshotKind::Changes);
    assert_eq!(kinds, [(full, 1000), (full, 999), (changes, 10), (full, 999), (changes, 10)]);
}

#[test]
fn a_damaged_snapshot_is_refused_wherever_the_damage_is() {
    let mut table = Table::new(0..KEY_GROUPS);
    for key in 0..12 {
        change(&mut table, key, u64::from(key));
    }
    table.begin_snapshot(SnapshotKind::Changes);
    change(&mut table, 3, 1);
    while !table.snapshot_slice(5) {}
    let mut bytes = table.take_snapshot().unwrap().bytes;
    let refused = |bytes: &[u8]| {
        let error = Table::new(0..KEY_GROUPS).restore(bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Checkpoint, "{error}");
        let _ = count_groups(bytes, &(5..6));
    };
    for len in 0..bytes.len() {
        refused(&bytes[..len]);
    }
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        refused(&bytes);
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    assert_eq!(restored([&bytes], 0..KEY_GROUPS).len(), 12);
    bytes.push(0);
    refused(&bytes);
}

#[test]
fn a_snapshot_of_other_types_is_refused() {
    let mut table = StateTable::<str, u32>::new(0..KEY_GROUPS);
    let slot = table.entry("a".frozen_hash(), "a");
    *table.get_mut(slot).1 = 5;
    table.begin_snapshot(SnapshotKind::Full);
    assert!(table.snapshot_slice(usize::MAX));
    let bytes = table.take_snapshot().unwrap().bytes;
    let groups = 0..KEY_GROUPS;
    assert!(StateTable::<str, u64>::new(groups.clone()).restore(&bytes).is_err());
    assert!(StateTable::<str, u16>::new(groups.clone()).restore(&bytes).is_err());
    assert!(StateTable::<u64, u32>::new(groups.clone()).restore(&bytes).is_err());
    let mut twice = StateTable::<str, u32>::new(groups);
    twice.restore(&bytes).unwrap();
    assert_eq!(twice.find("a".frozen_hash(), "a"), Some(&5));
    assert!(twice.restore(&bytes).unwrap_err().to_string().contains("two states"));
}

#[test]
fn a_snapshot_is_taken_once_and_only_when_complete() {
    let mut table = Table::new(0..KEY_GROUPS);
    assert!(table.take_snapshot().is_err());
    table.begin_snapshot(SnapshotKind::Full);
    assert!(table.take_snapshot().is_err());
    while !table.snapshot_slice(1) {}
    assert_eq!(table.take_snapshot().unwrap().entries, 0);
    assert!(table.take_snapshot().is_err());
    table.begin_snapshot(SnapshotKind::Full);
    table.abandon_snapshot();
    assert!(table.snapshot_slice(1));
    assert!(table.take_snapshot().is_err());
}

#[test]
fn keys_that_come_and_go_do_not_grow_the_table() {
    let mut table = StateTable::<u64, u64>::new(0..KEY_GROUPS);
    for key in 0..100_000_u64 {
        let slot = table.entry(key.frozen_hash(), &key);
        *table.get_mut(slot).1 = key;
        if let Some(old) = key.checked_sub(30) {
            let slot = table.entry(old.frozen_hash(), &old);
            table.forget(slot);
        }
    }
    assert_eq!(table.len(), 30);
    table.begin_snapshot(SnapshotKind::Full);
    assert!(table.snapshot_slice(2 * 64 + 256), "doubled more than once for 30 keys");
}

#[test]
fn a_slice_is_bounded_by_bytes_too() {
    let mut table = StateTable::<u64, Vec<u8>>::new(0..KEY_GROUPS);
    for key in 0..8_u64 {
        let slot = table.entry(key.frozen_hash(), &key);
        table.get_mut(slot).1.resize(1 << 20, 1);
    }
    table.begin_snapshot(SnapshotKind::Full);
    let slices = (0..).take_while(|_| !table.snapshot_slice(usize::MAX)).count();
    assert!((7..=8).contains(&slices), "{slices}");
}

#[test]
fn a_state_that_cannot_be_written_fails_the_snapshot() {
    #[derive(Clone, Default)]
    struct Unwritable;
    impl serde::Serialize for Unwritable {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no"))
        }
    }
    impl crate::State for Unwritable {
        fn schema() -> crate::api::state::Schema {
            crate::api::state_opaque::opaque_schema::<Self>()
        }
        fn encode(&self, out: &mut Vec<u8>) {
            crate::api::state_opaque::encode_opaque(self, out);
        }
        fn decode(_: &mut &[u8]) -> crate::Result<Self> {
            Ok(Self)
        }
    }
    let mut table = StateTable::<u8, Unwritable>::new(0..KEY_GROUPS);
    table.entry(1_u8.frozen_hash(), &1);
    table.begin_snapshot(SnapshotKind::Full);
    while !table.snapshot_slice(1000) {}
    assert_eq!(table.take_snapshot().unwrap_err().kind(), ErrorKind::State);
}
