//! Mutations of byte strings, from a seed.

use std::path::PathBuf;

/// Numbers at which lengths and counts go wrong.
const EDGES: [u64; 9] = [0, 1, 0x7f, 0x80, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, i64::MAX as u64, u64::MAX];

/// Splitmix64.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    /// One of the seeds, changed in one to four places.
    pub fn mutation(&mut self, seeds: &[(PathBuf, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = seeds[self.below(seeds.len())].1.clone();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            let other = &seeds[self.below(seeds.len())].1;
            self.change(&mut bytes, at, other);
        }
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, at: usize, other: &[u8]) {
        let edge = EDGES[self.below(EDGES.len())];
        let length = 1 + self.below(8);
        let end = (at + length).min(bytes.len());
        match self.below(8) {
            _ if bytes.is_empty() => bytes.push(self.next() as u8),
            0 => bytes[at] ^= 1 << self.below(8),
            1 => bytes[at] = self.next() as u8,
            2 => bytes.truncate(at),
            // A number of two, four or eight bytes.
            3 => {
                let width = [2, 4, 8][self.below(3)];
                for (place, byte) in bytes[at..].iter_mut().zip(&edge.to_be_bytes()[8 - width..]) {
                    *place = *byte;
                }
            }
            // One in base 128, as compact lengths are.
            4 => {
                let varint = std::iter::repeat_n(0xff, self.below(9)).chain([0x0f]);
                drop(bytes.splice(at..at + 1, varint));
            }
            5 => drop(bytes.drain(at..end)),
            6 => {
                let again = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, again));
            }
            _ => {
                let from = self.below(other.len());
                let part = other[from..].iter().copied().take(64);
                drop(bytes.splice(at..end, part));
            }
        }
    }
}
