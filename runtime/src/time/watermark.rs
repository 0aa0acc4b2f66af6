//! placeholder
use crate::time::Timestamp;
use std::time::Duration;
pub(crate) enum Change { Watermark(Timestamp), Idle }
pub(crate) struct InputWatermarks { at: Vec<Timestamp>, now: Timestamp }
impl InputWatermarks {
    pub fn new(n: usize) -> Self { Self { at: vec![Timestamp::MIN; n], now: Timestamp::MIN } }
    pub fn advance(&mut self, c: usize, w: Timestamp) -> Option<Change> {
        self.at[c] = w;
        let m = *self.at.iter().min()?;
        (m > self.now).then(|| { self.now = m; Change::Watermark(m) })
    }
    pub fn idle(&mut self, _c: usize) -> Option<Change> { None }
}
pub(crate) struct SplitWatermarks { lateness: Duration, max: Timestamp, sent: Timestamp }
impl SplitWatermarks {
    pub fn new(lateness: Duration, _idle: Option<Duration>) -> Self { Self { lateness, max: Timestamp::MIN, sent: Timestamp::MIN } }
    pub fn observe(&mut self, _split: usize, t: Timestamp, _now: Timestamp) { self.max = self.max.max(t); }
    pub fn advance(&mut self, _now: Timestamp) -> Option<Change> {
        let w = self.max - self.lateness;
        (w > self.sent).then(|| { self.sent = w; Change::Watermark(w) })
    }
}
