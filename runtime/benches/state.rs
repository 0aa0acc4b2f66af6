//! Updates per second of the keyed state table, at few and many keys, with and without a running
//! snapshot, and what fetching slots ahead brings.
//!
//! `cargo bench -p staunch --bench state`

use divan::Bencher;
use divan::counter::ItemsCount;
use staunch::state::{SnapshotKind, StateTable};
use staunch::{KEY_GROUPS, Key};

const BATCH: usize = 1_024;
const BATCHES: usize = 256;
const AHEAD: usize = 32;
const KEYS: [u64; 2] = [1_000, 1_000_000];

type Table = StateTable<u64, (u64, u64)>;

fn filled(keys: u64) -> Table {
    let mut table = Table::new(0..KEY_GROUPS);
    for key in 0..keys {
        table.entry(key.frozen_hash(), &key);
    }
    table
}

/// Keys and hashes as an exchange would hand them on.
fn records(keys: u64) -> Vec<(u64, u64)> {
    let mut seed = 0x2545_F491_4F6C_DD1D_u64;
    (0..BATCH * BATCHES)
        .map(|_| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let key = seed % keys;
            (key, key.frozen_hash())
        })
        .collect()
}

fn update(table: &mut Table, batch: &[(u64, u64)]) {
    for &(key, hash) in batch {
        let slot = table.entry(hash, &key);
        let (_, state) = table.get_mut(slot);
        *state = (state.0 + 1, state.1.wrapping_add(hash));
    }
}

#[divan::bench(args = KEYS)]
fn plain(bencher: Bencher<'_, '_>, keys: u64) {
    let (mut table, records) = (filled(keys), records(keys));
    bencher.counter(ItemsCount::new(records.len())).bench_local(|| {
        records.chunks(BATCH).for_each(|batch| update(&mut table, batch));
    });
}

#[divan::bench(args = KEYS)]
fn warmed(bencher: Bencher<'_, '_>, keys: u64) {
    let (mut table, records) = (filled(keys), records(keys));
    bencher.counter(ItemsCount::new(records.len())).bench_local(|| {
        for few in records.chunks(AHEAD) {
            table.warm(&std::array::from_fn::<u64, AHEAD, _>(|at| few[at].1));
            update(&mut table, few);
        }
    });
}

/// A snapshot begins with each run and is sliced so that it ends within it.
#[divan::bench(args = KEYS)]
fn with_snapshot(bencher: Bencher<'_, '_>, keys: u64) {
    let (mut table, records) = (filled(keys), records(keys));
    let slots = (keys as usize * 4).max(64) / BATCHES + 1;
    bencher.counter(ItemsCount::new(records.len())).bench_local(|| {
        table.begin_snapshot(SnapshotKind::Full);
        for batch in records.chunks(BATCH) {
            table.snapshot_slice(slots);
            update(&mut table, batch);
        }
        while !table.snapshot_slice(slots) {}
        if let Ok(snapshot) = table.take_snapshot() {
            table.recycle(snapshot.bytes);
        }
    });
}

/// The same where only one key in a hundred changes, and only changes are written.
#[divan::bench(args = KEYS)]
fn with_snapshot_of_changes(bencher: Bencher<'_, '_>, keys: u64) {
    let (mut table, records) = (filled(keys), records(keys / 100));
    let slots = (keys as usize * 4).max(64) / BATCHES + 1;
    bencher.counter(ItemsCount::new(records.len())).bench_local(|| {
        table.begin_snapshot(SnapshotKind::Changes);
        for batch in records.chunks(BATCH) {
            table.snapshot_slice(slots);
            update(&mut table, batch);
        }
        while !table.snapshot_slice(slots) {}
        if let Ok(snapshot) = table.take_snapshot() {
            table.recycle(snapshot.bytes);
        }
    });
}

#[divan::bench(args = KEYS)]
fn restore(bencher: Bencher<'_, '_>, keys: u64) {
    let mut table = filled(keys);
    table.begin_snapshot(SnapshotKind::Full);
    while !table.snapshot_slice(usize::MAX) {}
    let bytes = table.take_snapshot().map(|snapshot| snapshot.bytes).unwrap_or_default();
    bencher.counter(ItemsCount::new(keys)).bench_local(|| {
        let mut table = Table::new(0..KEY_GROUPS);
        let restored = table.restore(&bytes);
        assert!(restored.is_ok());
        table
    });
}

fn main() {
    divan::main();
}
