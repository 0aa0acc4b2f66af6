//! The whole state of the model: the checkpoint log, the clusters, the attempts, what is in flight.

use crate::attempt::Attempt;
use crate::cluster::{Cluster, Fate, Name};
use crate::{Faults, SINKS};

/// What a checkpoint promised, by sink.
pub type Listed = [Option<Name>; SINKS];

/// A slot of the checkpoint log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slot {
    Claim,
    Manifest(Manifest),
    Abandoned,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Manifest {
    /// The attempt, as its uuid would tell.
    pub attempt: u8,
    /// How many epochs are done: each worker's position.
    pub epochs: u8,
    pub listed: Listed,
}

/// A commit whose answer was lost, and which a connection still delivers once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Delayed {
    pub sink: usize,
    pub id: u8,
    pub session: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub log: Vec<Slot>,
    /// A write to the log that has timed out and may still land, at this slot.
    pub late: Option<(usize, Slot)>,
    pub clusters: [Cluster; SINKS],
    pub current: Attempt,
    /// The predecessor, which was taken for dead.
    pub zombie: Option<Attempt>,
    pub delayed: Option<Delayed>,
    /// An attempt has reached the end.
    pub finished: bool,
    /// What may still go wrong.
    pub left: Faults,
}

impl World {
    pub fn new(faults: Faults) -> Self {
        Self {
            log: Vec::new(),
            late: None,
            clusters: Default::default(),
            current: Attempt::new(0),
            zombie: None,
            delayed: None,
            finished: false,
            left: faults,
        }
    }

    pub fn newest(&self) -> Option<&Manifest> {
        self.log.iter().rev().find_map(|slot| match slot {
            Slot::Manifest(manifest) => Some(manifest),
            _ => None,
        })
    }

    /// Creates a slot; false if there is one.
    pub fn create(&mut self, at: usize, slot: Slot) -> bool {
        let free = self.log.len() == at;
        if free {
            self.log.push(slot);
        }
        if let Slot::Manifest(manifest) = slot
            && free
        {
            for (cluster, name) in self.clusters.iter_mut().zip(manifest.listed) {
                let txn = name.and_then(|name| cluster.txns.get_mut(usize::from(name.start)));
                txn.into_iter().for_each(|txn| txn.listed = true);
            }
        }
        free
    }

    /// I2: what readers see was listed in a durable manifest.
    pub fn only_listed_is_committed(&self) -> bool {
        let mut txns = self.clusters.iter().flat_map(|cluster| &cluster.txns);
        txns.all(|txn| txn.fate != Fate::Committed || txn.listed || txn.foreign)
    }

    /// I4, I5: no process with the right to abort anything aborts what the newest manifest lists.
    pub fn listed_is_never_aborted(&self) -> bool {
        self.newest().is_none_or(|manifest| {
            (0..SINKS).all(|sink| {
                let txn = manifest.listed[sink].map(|name| self.clusters[sink].txns[usize::from(name.start)]);
                txn.is_none_or(|txn| txn.fate != Fate::Aborted)
            })
        })
    }
}
