//! The timers of one operator on one worker, by key and in the order of their times.
//!
//! What is set is kept twice. The table by key answers whether a timer is set already, and is what
//! snapshots hold: so timers are read by key group, and a snapshot of them stops nothing, for the
//! same reasons as that of any [state](super::table). The queue by time says which is next; it is
//! made anew from the table on restore.
//!
//! Must not know: watermarks, clocks, or what a timer does.

use super::snapshot::{SnapshotBytes, SnapshotKind};
use super::table::StateTable;
use crate::api::context::TimeDomain;
use crate::api::key::Key;
use crate::api::state::{Schema, State};
use crate::codec::damaged;
use crate::error::Result;
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::ops::Range;

/// A key's timers in ascending order, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct KeyTimers(Vec<(TimeDomain, Timestamp)>);

impl State for TimeDomain {
    fn schema() -> Schema {
        Schema::Leaf("TimeDomain".into())
    }
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Event => 0,
            Self::Processing => 1,
        });
    }
    fn decode(bytes: &mut &[u8]) -> Result<Self> {
        match <u8 as State>::decode(bytes)? {
            0 => Ok(Self::Event),
            1 => Ok(Self::Processing),
            other => Err(damaged(format_args!("a timer of the unknown time domain {other}"))),
        }
    }
}

impl State for KeyTimers {
    fn schema() -> Schema {
        Vec::<(TimeDomain, Timestamp)>::schema()
    }
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
    fn decode(bytes: &mut &[u8]) -> Result<Self> {
        let timers = Vec::<(TimeDomain, Timestamp)>::decode(bytes)?;
        // What is looked up by bisection must be sorted.
        if timers.is_sorted_by(|a, b| a < b) { Ok(Self(timers)) } else { Err(damaged("timers out of order")) }
    }
}

/// Timers by time, then key; with the key's hash.
type Queue<O> = BTreeMap<(Timestamp, O), u64>;

/// The timers of the keys in a range of key groups.
pub struct TimerStore<K: Key + ?Sized> {
    by_key: StateTable<K, KeyTimers>,
    event: Queue<K::Owned>,
    processing: Queue<K::Owned>,
}

impl<K: Key + ?Sized> TimerStore<K> {
    /// No timers yet, of keys in these key groups.
    #[must_use]
    pub fn new(groups: Range<u32>) -> Self {
        Self { by_key: StateTable::new(groups), event: Queue::new(), processing: Queue::new() }
    }

    /// How many timers are set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.event.len() + self.processing.len()
    }

    /// Whether no timer is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    fn queue(&mut self, domain: TimeDomain) -> &mut Queue<K::Owned> {
        match domain {
            TimeDomain::Event => &mut self.event,
            TimeDomain::Processing => &mut self.processing,
        }
    }

    fn is_set(&self, domain: TimeDomain, at: Timestamp, hash: u64, key: &K) -> bool {
        self.by_key.find(hash, key).is_some_and(|timers| timers.0.binary_search(&(domain, at)).is_ok())
    }

    /// Sets a timer, once however often it is set; nothing is allocated if it is set already.
    pub fn set(&mut self, domain: TimeDomain, at: Timestamp, hash: u64, key: &K) {
        if self.is_set(domain, at, hash, key) {
            return;
        }
        let slot = self.by_key.entry(hash, key);
        let timers = &mut self.by_key.get_mut(slot).1.0;
        let place = timers.partition_point(|timer| *timer < (domain, at));
        timers.insert(place, (domain, at));
        self.queue(domain).insert((at, key.to_owned()), hash);
    }

    /// Deletes a timer, if it is set.
    pub fn delete(&mut self, domain: TimeDomain, at: Timestamp, hash: u64, key: &K) {
        if self.is_set(domain, at, hash, key) {
            self.queue(domain).remove(&(at, key.to_owned()));
            self.unset(domain, at, hash, key);
        }
    }

    fn unset(&mut self, domain: TimeDomain, at: Timestamp, hash: u64, key: &K) {
        let slot = self.by_key.entry(hash, key);
        let timers = &mut self.by_key.get_mut(slot).1.0;
        timers.retain(|timer| *timer != (domain, at));
        if timers.is_empty() {
            self.by_key.forget(slot);
        }
    }

    /// A key's timers, in ascending order of domains and then times.
    #[must_use]
    pub fn of(&self, hash: u64, key: &K) -> &[(TimeDomain, Timestamp)] {
        self.by_key.find(hash, key).map_or(&[], |timers| &timers.0)
    }

    /// All timers of a domain in the order in which they fire, with their keys.
    pub fn iter(&self, domain: TimeDomain) -> impl ExactSizeIterator<Item = (Timestamp, &K::Owned)> {
        let queue = match domain {
            TimeDomain::Event => &self.event,
            TimeDomain::Processing => &self.processing,
        };
        queue.keys().map(|(at, key)| (*at, key))
    }

    /// The time of the next timer.
    #[must_use]
    pub fn next(&self, domain: TimeDomain) -> Option<Timestamp> {
        self.iter(domain).next().map(|(at, _)| at)
    }

    /// Takes out the next timer whose time is `now` or before, in the order of times and then of
    /// keys, with its key's hash.
    pub fn pop_due(&mut self, domain: TimeDomain, now: Timestamp) -> Option<(Timestamp, u64, K::Owned)> {
        use std::borrow::Borrow;
        if self.next(domain)? > now {
            return None;
        }
        let ((at, key), hash) = self.queue(domain).pop_first()?;
        self.unset(domain, at, hash, key.borrow());
        Some((at, hash, key))
    }

    /// As [`StateTable::begin_snapshot`].
    pub fn begin_snapshot(&mut self, kind: SnapshotKind) {
        self.by_key.begin_snapshot(kind);
    }

    /// As [`StateTable::snapshot_slice`].
    pub fn snapshot_slice(&mut self, max_slots: usize) -> bool {
        self.by_key.snapshot_slice(max_slots)
    }

    /// As [`StateTable::take_snapshot`].
    ///
    /// # Errors
    /// As there.
    pub fn take_snapshot(&mut self) -> Result<SnapshotBytes> {
        self.by_key.take_snapshot()
    }

    /// As [`StateTable::abandon_snapshot`].
    pub fn abandon_snapshot(&mut self) {
        self.by_key.abandon_snapshot();
    }

    /// As [`StateTable::recycle`].
    pub fn recycle(&mut self, bytes: Vec<u8>) {
        self.by_key.recycle(bytes);
    }

    /// Adds the timers of a snapshot that belong to this store's key groups.
    ///
    /// # Errors
    /// As [`StateTable::restore`].
    pub fn restore(&mut self, bytes: &[u8]) -> Result<()> {
        self.by_key.restore(bytes)?;
        let timers = |domain: TimeDomain| {
            let of = move |timer: &&(TimeDomain, Timestamp)| timer.0 == domain;
            self.by_key.iter().flat_map(move |(hash, key, timers)| {
                timers.0.iter().filter(of).map(move |(_, at)| ((*at, key.clone()), hash))
            })
        };
        (self.event, self.processing) = (timers(TimeDomain::Event).collect(), timers(TimeDomain::Processing).collect());
        Ok(())
    }
}

#[cfg(test)]
mod tests;
