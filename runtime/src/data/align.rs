//! placeholder
use crate::error::Result;
use crate::id::Epoch;
#[derive(PartialEq, Eq)]
pub(crate) enum Outcome { Waiting, Complete }
pub(crate) struct Alignment { got: Vec<bool>, aligned: bool }
impl Alignment {
    pub fn new(n: usize, aligned: bool) -> Self { Self { got: vec![false; n], aligned } }
    pub fn is_held(&self, c: usize) -> bool { self.aligned && self.got[c] }
    pub fn barrier(&mut self, c: usize, _e: Epoch) -> Result<Outcome> {
        self.got[c] = true;
        if self.got.iter().all(|g| *g) { self.got.fill(false); Ok(Outcome::Complete) } else { Ok(Outcome::Waiting) }
    }
}
