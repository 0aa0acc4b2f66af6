//! The keyed state of one operator on one worker: a flat open-addressing table whose slots follow
//! the hash, with snapshots that never stop the flow of records.
//!
//! A slot's position rises with the hash, so **a key group is a range of slots**: a snapshot, which
//! goes through the slots in order, is sorted by key group for nothing, and so is a rehash.
//!
//! How snapshots are made is in [`saving`]; here is only what they ask of every change: an entry that
//! changes for the first time since a snapshot began is stamped, and saved if need be.
//!
//! Must not know: batches, barriers, or what a state means.

use crate::api::key::Key;
use crate::api::state::State;
use crate::id::key_group;
use std::borrow::Borrow;
use std::ops::Range;

mod saving;

/// The bits of a hash below its key group.
const GROUP_SHIFT: u32 = 49;
const MIN_CAPACITY: usize = 64;
/// Slots beyond the last position, so that probing never wraps around, which would put the last key
/// groups before the first. Long enough that it practically never has to be lengthened.
const TAIL: usize = 256;
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
    /// The number of snapshots begun, plus one.
    interval: u32,
    /// The next slot that the running snapshot scans.
    cursor: usize,
    saving: saving::Saving<K::Owned>,
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
            saving: saving::Saving::default(),
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
        if let Slot::Held { hash, key, .. } = std::mem::replace(&mut self.slots[slot], Slot::Gone) {
            self.saving.forgotten(hash, key);
        }
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
    fn insert(&mut self, hash: u64, key: K::Owned, state: S, mut at: usize) -> usize {
        assert!(self.groups.contains(&key_group(hash)), "a key reached the worker that owns its key group");
        let reused = matches!(self.slots.get(at), Some(Slot::Gone));
        if !reused && self.used >= limit(self.capacity) {
            // Mostly keys that were dropped: the same size, without them, is enough.
            let factor = if self.len * 2 > self.used { 2 } else { 1 };
            self.rebuild(self.capacity * factor);
            at = self.vacant(hash);
        }
        self.lengthen(at);
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

    /// Makes sure that there is a slot at the end of a probe.
    fn lengthen(&mut self, at: usize) {
        if at >= self.slots.len() {
            // Exactly: doubling is for the capacity, not for the tail.
            self.slots.reserve_exact(TAIL);
            self.slots.resize_with(at + TAIL, || Slot::Empty);
        }
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
                self.lengthen(at);
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
}

/// How many slots may be in use: beyond five eighths linear probing gets slow.
fn limit(capacity: usize) -> usize {
    capacity / 8 * 5
}
