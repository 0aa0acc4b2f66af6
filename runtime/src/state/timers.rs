//! placeholder
use crate::api::context::TimeDomain;
use crate::api::key::Key;
use crate::error::Result;
use crate::time::Timestamp;
use std::collections::BTreeSet;
use std::ops::Range;
pub struct TimerStore<K: Key + ?Sized> { set: [BTreeSet<(Timestamp, K::Owned, u64)>; 2] }
impl<K: Key + ?Sized> TimerStore<K> {
    pub fn new() -> Self { Self { set: [BTreeSet::new(), BTreeSet::new()] } }
    pub fn set(&mut self, d: TimeDomain, at: Timestamp, hash: u64, key: &K::Owned) { self.set[d as usize].insert((at, key.clone(), hash)); }
    pub fn delete(&mut self, d: TimeDomain, at: Timestamp, hash: u64, key: &K::Owned) { self.set[d as usize].remove(&(at, key.clone(), hash)); }
    pub fn pop_due(&mut self, d: TimeDomain, until: Timestamp) -> Option<(Timestamp, u64, K::Owned)> {
        if self.set[d as usize].first()?.0 > until { return None }
        self.set[d as usize].pop_first().map(|(t, k, h)| (t, h, k))
    }
    pub fn next(&self, d: TimeDomain) -> Option<Timestamp> { self.set[d as usize].first().map(|t| t.0) }
    pub fn snapshot(&self) -> Vec<u8> { Vec::new() }
    pub fn restore(&mut self, _b: &[u8], _g: Range<u32>) -> Result<()> { Ok(()) }
}
