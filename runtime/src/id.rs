//! The small numbers that name things: checkpoints, slots, key groups, workers.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;

/// The number of a checkpoint. Rises by one with each checkpoint that is triggered, over all attempts of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many key groups there are. Part of the checkpoint format: independent of the number of
/// workers, so that state can be spread anew over any number of them.
pub const KEY_GROUPS: u32 = 32_768;

/// The key group of a frozen key hash: its highest 15 bits.
#[must_use]
#[inline]
pub fn key_group(hash: u64) -> u32 {
    (hash >> 49) as u32
}

/// The lowest hash of a key group.
#[must_use]
pub fn first_hash(group: u32) -> u64 {
    u64::from(group) << 49
}

/// The worker that owns a key group, of `workers`. Ranges are contiguous and of nearly equal size.
#[must_use]
#[inline]
pub fn worker_of_group(group: u32, workers: usize) -> usize {
    (u64::from(group) * workers as u64 / u64::from(KEY_GROUPS)) as usize
}

/// The key groups that a worker owns, the inverse of [`worker_of_group`].
#[must_use]
pub fn groups_of_worker(worker: usize, workers: usize) -> Range<u32> {
    let first = |worker: usize| (worker as u64 * u64::from(KEY_GROUPS)).div_ceil(workers as u64) as u32;
    first(worker)..first(worker + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_belongs_to_the_worker_whose_range_holds_it() {
        for workers in [1, 2, 3, 7, 64] {
            let mut next = 0;
            for worker in 0..workers {
                let range = groups_of_worker(worker, workers);
                assert_eq!(range.start, next);
                assert!(range.clone().all(|group| worker_of_group(group, workers) == worker));
                next = range.end;
            }
            assert_eq!(next, KEY_GROUPS);
        }
    }
}
