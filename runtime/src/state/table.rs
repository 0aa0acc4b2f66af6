//! The keyed state of one operator on one worker: a flat open-addressing table whose slots follow
//! the hash, with snapshots that never stop the flow of records.
//!
//! A slot's position rises with the hash, so **a key group is a range of slots**: a snapshot, which
//! goes through the slots in order, is sorted by key group for nothing, and so is a rehash.
//!
//! A snapshot holds each entry as it was at [`StateTable::begin_snapshot`]. That call only starts a
//! cursor; [`StateTable::snapshot_slice`] moves it over a bounded number of slots between batches.
//! Each entry carries the number of the *interval* (between two snapshots) in which it last changed.
//! An entry that is about to change for the first time in an interval and still lies ahead of the
//! cursor is saved first; an entry that the cursor meets with the running interval's number was
//! saved that way, or is new. So both the flow and the scan decide by one comparison.
//!
//! Must not know: batches, barriers, or what a state means.

use super::snapshot::{Saved, SnapshotBytes, SnapshotWriter, count_groups, read_groups};
use crate::api::key::Key;
use crate::api::state::State;
use crate::codec::damaged;
use crate::error::{Error, ErrorKind, Result};
use crate::id::key_group;
use std::borrow::Borrow;
use std::ops::Range;

/// The bits of a hash below its key group.
const GROUP_SHIFT: u32 = 49;
const MIN_CAPACITY: usize = 64;
/// Slots beyond the last position, so that probing never wraps around, which would put the last key
/// groups before the first.
const TAIL: usize = 64;
/// A slice ends after so many bytes even if slots are left: states differ in size.
const SLICE_BYTES: usize = 1 << 20;
/// Tables below this size stay in the cache, where fetching ahead only costs.
const WARM_BYTES: usize = 1 << 20;
/// The cursor while no snapshot is running: no slot lies ahead of it.
const IDLE: usize = usize::MAX;

enum Slot<O, S> {
    Empty,
    /// Held an entry; probing goes on behind it.
    Gone,
    Held {
        hash: u64,
        /// The interval of the last change.
        stamp: u32,
        key: O,
        state: S,
    },
}

/// A table of states by key, for a contiguous range of key groups.
pub struct StateTable<K: Key + ?Sized, S> {
    slots: Vec<Slot<K::Owned, S>>,
    groups: Range<u32>,
    /// The least hash of the groups.
    base: u64,
    /// `(capacity << 64) / hashes in the groups`: a multiplication gives a hash's position.
    factor: u64,
    capacity: usize,
    /// Slots that are not empty.
    used: usize,
    len: usize,
    interval: u32,
    cursor: usize,
    /// A snapshot was completed and not yet taken.
    complete: bool,
    writer: SnapshotWriter,
}

impl<K: Key + ?Sized, S: State + Default> StateTable<K, S> {
    /// An empty table for these key groups.
    #[must_use]
    pub fn new(groups: Range<u32>) -> Self {
        let mut table = Self {
            slots: Vec::new(),
            base: u64::from(groups.start) << GROUP_SHIFT,
            groups,
            factor: 0,
            capacity: 0,
            used: 0,
            len: 0,
            interval: 1,
            cursor: IDLE,
            complete: false,
            writer: SnapshotWriter::default(),
        };
        table.set_capacity(MIN_CAPACITY);
        table
    }

    /// The key groups whose keys it holds.
    #[must_use]
    pub fn groups(&self) -> &Range<u32> {
        &self.groups
    }

    /// The number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline(always)]
    fn position(&self, hash: u64) -> usize {
        debug_assert!(self.groups.contains(&key_group(hash)), "a key of another worker's key group");
        ((u128::from(hash.wrapping_sub(self.base)) * u128::from(self.factor)) >> 64) as usize
    }

    /// The slot of a key that is about to change; a new key starts from the default. The slot is
    /// valid until the next call of `entry`.
    #[inline]
    pub fn entry(&mut self, hash: u64, key: &K) -> usize {
        let mut at = self.position(hash);
        let mut free = None;
        loop {
            match self.slots.get(at) {
                Some(Slot::Held { hash: held, key: other, stamp, .. }) => {
                    if *held == hash && other.borrow() == key {
                        if *stamp != self.interval {
                            self.first_change(at);
                        }
                        return at;
                    }
                }
                Some(Slot::Gone) => free = free.or(Some(at)),
                Some(Slot::Empty) | None => return self.insert(hash, key.to_owned(), S::default(), free.unwrap_or(at)),
            }
            at += 1;
        }
    }

    /// The key and its state in a slot that [`StateTable::entry`] returned.
    ///
    /// # Panics
    /// When the slot is from before a later `entry` or `forget`.
    #[inline]
    pub fn get_mut(&mut self, slot: usize) -> (&K::Owned, &mut S) {
        match &mut self.slots[slot] {
            Slot::Held { key, state, .. } => (key, state),
            _ => unreachable!("a slot is used before anything else is asked of the table"),
        }
    }

    /// The state of a key, without the intention to change it.
    #[must_use]
    #[inline]
    pub fn find(&self, hash: u64, key: &K) -> Option<&S> {
        let from = self.position(hash);
        for slot in self.slots.get(from..)? {
            match slot {
                Slot::Held { hash: held, key: other, state, .. } if *held == hash && other.borrow() == key => {
                    return Some(state);
                }
                Slot::Empty => return None,
                _ => {}
            }
        }
        None
    }

    /// Drops the entry in a slot that [`StateTable::entry`] returned.
    pub fn forget(&mut self, slot: usize) {
        let Some(Slot::Held { stamp, .. }) = self.slots.get(slot) else { return };
        if *stamp != self.interval {
            self.first_change(slot);
        }
        self.slots[slot] = Slot::Gone;
        self.len -= 1;
        // Before an empty slot nobody needs to probe on: keys that come and go leave nothing behind.
        if !matches!(self.slots.get(slot + 1), None | Some(Slot::Empty)) {
            return;
        }
        for slot in self.slots[..=slot].iter_mut().rev() {
            if !matches!(slot, Slot::Gone) {
                break;
            }
            *slot = Slot::Empty;
            self.used -= 1;
        }
    }

    /// All entries, by slots: hash, key, state.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &K::Owned, &S)> {
        self.slots.iter().filter_map(|slot| match slot {
            Slot::Held { hash, key, state, .. } => Some((*hash, key, state)),
            _ => None,
        })
    }

    /// Fetches the slots of a few keys (16 to 32) into the cache, all at once, before they are asked
    /// for one by one: from a million keys on, a table's cost is waiting for memory.
    #[inline]
    pub fn warm(&self, hashes: &[u64]) {
        if self.slots.len() * size_of::<Slot<K::Owned, S>>() < WARM_BYTES {
            return;
        }
        let held = |hash: &&u64| matches!(self.slots.get(self.position(**hash)), Some(Slot::Held { .. }));
        std::hint::black_box(hashes.iter().filter(held).count());
    }

    #[inline(never)]
    fn first_change(&mut self, at: usize) {
        if let Some(Slot::Held { hash, stamp, key, state }) = self.slots.get_mut(at) {
            if at >= self.cursor {
                self.writer.add(Saved::Early, *hash, |out| (*key).borrow().encode(out), |out| state.encode(out));
            }
            *stamp = self.interval;
        }
    }

    #[inline(never)]
    fn insert(&mut self, hash: u64, key: K::Owned, state: S, mut at: usize) -> usize {
        assert!(self.groups.contains(&key_group(hash)), "a key reached the worker that owns its key group");
        let reused = matches!(self.slots.get(at), Some(Slot::Gone));
        if !reused && self.used >= limit(self.capacity) {
            // Mostly keys that were dropped: the same size, without them, is enough.
            let factor = if self.len * 2 > self.used { 2 } else { 1 };
            self.rebuild(self.capacity * factor);
            at = self.vacant(hash);
        }
        if at >= self.slots.len() {
            self.slots.resize_with(at + TAIL, || Slot::Empty);
        }
        self.slots[at] = Slot::Held { hash, stamp: self.interval, key, state };
        self.used += usize::from(!reused);
        self.len += 1;
        at
    }

    fn vacant(&self, hash: u64) -> usize {
        let from = self.position(hash);
        let taken = self.slots[from..].iter().take_while(|slot| matches!(slot, Slot::Held { .. })).count();
        from + taken
    }

    fn set_capacity(&mut self, capacity: usize) {
        let hashes = (u128::from(self.groups.end.saturating_sub(self.groups.start)) << GROUP_SHIFT).max(1);
        self.factor = u64::try_from(((capacity as u128) << 64) / hashes).unwrap_or(u64::MAX);
        self.capacity = capacity;
        self.slots = Vec::new();
        self.slots.resize_with(capacity + TAIL, || Slot::Empty);
    }

    /// Moves all entries into a table of this capacity, in order.
    #[cold]
    fn rebuild(&mut self, capacity: usize) {
        // The cursor means nothing in another table.
        while !self.snapshot_slice(usize::MAX) {}
        let old = std::mem::take(&mut self.slots);
        self.set_capacity(capacity);
        for slot in old {
            if let Slot::Held { hash, .. } = &slot {
                let at = self.vacant(*hash);
                if at >= self.slots.len() {
                    self.slots.resize_with(at + TAIL, || Slot::Empty);
                }
                self.slots[at] = slot;
            }
        }
        self.used = self.len;
    }

    /// Makes room for so many keys in all.
    pub fn reserve(&mut self, keys: usize) {
        if keys > limit(self.capacity) {
            self.rebuild(keys.saturating_mul(8) / 5 + 1);
        }
    }

    /// Starts a snapshot of the entries as they are now; a constant amount of work. One that is not
    /// complete, or was not taken, is abandoned.
    pub fn begin_snapshot(&mut self) {
        if self.interval == u32::MAX {
            self.restamp();
        }
        self.interval += 1;
        self.cursor = 0;
        self.complete = false;
        self.writer.begin(self.len, 16 + size_of::<K::Owned>() + size_of::<S>());
    }

    /// Numbers start anew, once in four billion snapshots.
    #[cold]
    fn restamp(&mut self) {
        self.interval = 1;
        for slot in &mut self.slots {
            if let Slot::Held { stamp, .. } = slot {
                *stamp = 0;
            }
        }
    }

    /// Writes the next part of the running snapshot: at most `max_slots` slots and about a megabyte.
    /// Returns whether it is complete (also when none is running).
    pub fn snapshot_slice(&mut self, max_slots: usize) -> bool {
        if self.cursor == IDLE {
            return true;
        }
        let end = self.cursor.saturating_add(max_slots).min(self.slots.len());
        let mut bytes = 0;
        for slot in &self.slots[self.cursor..end] {
            self.cursor += 1;
            if let Slot::Held { hash, stamp, key, state } = slot
                && *stamp != self.interval
            {
                bytes +=
                    self.writer.add(Saved::Scanned, *hash, |out| key.borrow().encode(out), |out| state.encode(out));
                if bytes >= SLICE_BYTES {
                    break;
                }
            }
        }
        if self.cursor < self.slots.len() {
            return false;
        }
        self.cursor = IDLE;
        self.complete = true;
        true
    }

    /// Hands out the snapshot that [`StateTable::snapshot_slice`] completed.
    ///
    /// # Errors
    /// [`ErrorKind::State`] when a state could not be encoded; `Internal` when no snapshot is complete.
    pub fn take_snapshot(&mut self) -> Result<SnapshotBytes> {
        if !std::mem::take(&mut self.complete) {
            return Err(Error::new(ErrorKind::Internal, "a snapshot was taken before it was complete"));
        }
        self.writer.finish()
    }

    /// Stops the running snapshot, if there is one.
    pub fn abandon_snapshot(&mut self) {
        self.cursor = IDLE;
        self.complete = false;
    }

    /// Gives back the memory of a snapshot that has been stored: fresh memory costs several times
    /// what the encoding costs.
    pub fn recycle(&mut self, bytes: Vec<u8>) {
        if self.cursor == IDLE && !self.complete {
            self.writer.recycle(bytes);
        }
    }

    /// Adds the entries of a snapshot that belong to this table's key groups.
    ///
    /// # Errors
    /// [`ErrorKind::Checkpoint`] when the snapshot is damaged or not of these types; the table is
    /// then not to be used.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<()> {
        let groups = self.groups.clone();
        let entries = usize::try_from(count_groups(bytes, &groups)?).unwrap_or(usize::MAX);
        self.reserve(self.len.saturating_add(entries));
        read_groups(bytes, &groups, |hash, key, mut state| {
            let key = K::decode(key)
                .ok_or_else(|| damaged(format_args!("not the bytes of a key of type {}", K::type_name())))?;
            let value = S::decode(&mut state)?;
            if !state.is_empty() {
                return Err(damaged(format_args!("{} bytes left over after the state of a key", state.len())));
            }
            if self.find(hash, key.borrow()).is_some() {
                return Err(damaged(format_args!("the key {key:?} has two states")));
            }
            let at = self.vacant(hash);
            self.insert(hash, key, value, at);
            Ok(())
        })
    }
}

/// How many slots may be in use: beyond five eighths linear probing gets slow.
fn limit(capacity: usize) -> usize {
    capacity / 8 * 5
}
