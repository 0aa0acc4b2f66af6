//! [`Rotation`]: which transaction an epoch's records go into, and when a producer may be used again.
//!
//! A transactional id that a manifest lists is used again only when a later manifest is durable: until
//! then its state at the coordinator is what recovery would ask for. Those that earlier attempts listed are
//! never used: each attempt has ids of its own. A producer whose commit had no
//! clean first answer is never given back, so it is never used again.

use crate::id::Epoch;
use crate::planted::{Bug, planted};
use std::collections::BTreeMap;

/// The producers of a process, by what they are used for. Pure; `P` is a handle.
#[derive(Debug)]
pub struct Rotation<P> {
    /// Transactions per epoch.
    shards: usize,
    /// Begun and empty.
    ready: Vec<P>,
    /// Taken by an epoch and shard, not prepared yet.
    taken: BTreeMap<(Epoch, usize), P>,
    /// The last epoch all of whose records were acknowledged.
    prepared: Option<Epoch>,
    /// Committed, with the newest manifest that lists it.
    cooling: Vec<(Epoch, P)>,
    /// May begin again.
    idle: Vec<P>,
    /// How many ids were used.
    next: u64,
}

/// A producer that is to be made ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted<P> {
    /// One that may begin again.
    Again(P),
    /// A new one, with the id of this number.
    New(u64),
}

/// A rotation behind the lock with which a participant and its writers share it.
pub trait SharedRotation<P> {
    /// Changes it, and wakes whoever waits for a change.
    fn with<R>(&self, change: impl FnOnce(&mut Rotation<P>) -> R) -> R;
}

impl<P: Clone> Rotation<P> {
    /// No producer yet.
    #[must_use]
    pub fn new(shards: usize) -> Self {
        let (taken, prepared, next) = (BTreeMap::new(), None, 0);
        Self { shards, ready: Vec::new(), taken, prepared, cooling: Vec::new(), idle: Vec::new(), next }
    }

    /// What is to be made ready now; it counts as being made.
    pub fn wanted(&mut self) -> Option<Wanted<P>> {
        if self.ready.len() >= self.shards {
            return None;
        }
        Some(match self.idle.pop() {
            Some(producer) => Wanted::Again(producer),
            None => {
                self.next += 1;
                Wanted::New(self.next - 1)
            }
        })
    }

    /// A producer has begun a transaction that nobody uses yet.
    pub fn ready(&mut self, producer: P) {
        self.ready.push(producer);
    }

    /// The producer of an epoch's shard, taken now if it has none; `None` while none is ready.
    pub fn take(&mut self, epoch: Epoch, shard: usize) -> Option<P> {
        if !self.taken.contains_key(&(epoch, shard)) {
            let producer = self.ready.pop()?;
            self.taken.insert((epoch, shard), producer);
        }
        self.taken(epoch, shard).cloned()
    }

    /// The producer that an epoch's shard has taken.
    #[must_use]
    pub fn taken(&self, epoch: Epoch, shard: usize) -> Option<&P> {
        self.taken.get(&(epoch, shard))
    }

    /// Some producer with a transaction.
    #[must_use]
    pub fn any(&self) -> Option<&P> {
        self.ready.first().or_else(|| self.taken.values().next())
    }

    /// Whether all of an epoch's records were acknowledged.
    #[must_use]
    pub fn is_prepared(&self, epoch: Epoch) -> bool {
        self.prepared >= Some(epoch)
    }

    /// The epoch is prepared. The producers of shards without records serve another epoch; the others
    /// belong to whoever prepared them.
    pub fn prepared(&mut self, epoch: Epoch, has_records: impl Fn(usize) -> bool) {
        for shard in 0..self.shards {
            if let Some(producer) = self.taken.remove(&(epoch, shard))
                && !has_records(shard)
            {
                self.ready.push(producer);
            }
        }
        self.prepared = self.prepared.max(Some(epoch));
    }

    /// What the manifest of this epoch lists is being committed, so it is durable: what only earlier
    /// manifests list is free. The committed producers wait for a later one.
    pub fn committed(&mut self, manifest: Epoch, producers: Vec<P>) {
        let cooling = std::mem::take(&mut self.cooling);
        let (earlier, same): (Vec<_>, Vec<_>) = cooling.into_iter().partition(|(listed_in, _)| *listed_in < manifest);
        self.idle.extend(earlier.into_iter().map(|(_, producer)| producer));
        self.cooling = same;
        if planted(Bug::IdReusedEarly) {
            return self.idle.extend(producers);
        }
        self.cooling.extend(producers.into_iter().map(|producer| (manifest, producer)));
    }

    /// A producer whose transaction was aborted before any manifest listed it.
    pub fn aborted(&mut self, producer: P) {
        self.idle.push(producer);
    }
}

#[cfg(test)]
mod tests;
