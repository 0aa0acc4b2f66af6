//! How far event time has come: at a source, over its splits; at an operator, over its inputs.
//!
//! A watermark `t` says that no record with the time `t`, or an earlier one, is expected any more.
//! Combined watermarks never fall. What is idle is left out; once everything is idle, the greatest
//! watermark counts, so that the outcome does not depend on the order in which inputs fell silent
//! (as in Flink's `StatusWatermarkValve`).
//!
//! Pure: `now` is passed in. Must not know: records, channels, or who asks.

use super::Timestamp;
use std::time::Duration;

/// What changed, in the order in which it is to be sent on: activity, watermark, idleness.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// No longer idle.
    pub(crate) active: bool,
    /// The watermark has risen to this.
    pub(crate) watermark: Option<Timestamp>,
    /// Idle from now on.
    pub(crate) idle: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Activity {
    Active,
    Idle,
    Ended,
}

#[derive(Clone, Copy, Debug)]
struct Input {
    watermark: Timestamp,
    activity: Activity,
}

impl Input {
    const NEW: Self = Self { watermark: Timestamp::MIN, activity: Activity::Active };

    fn enter(&mut self, activity: Activity) {
        if self.activity != Activity::Ended {
            self.activity = activity;
        }
    }
}

/// The watermark of all inputs together and whether they are idle; `None` if all have ended.
fn combined(inputs: &[Input]) -> Option<(Timestamp, bool)> {
    let of = |activity| inputs.iter().filter(move |input| input.activity == activity).map(|input| input.watermark);
    match of(Activity::Active).min() {
        Some(least) => Some((least, false)),
        None => of(Activity::Idle).max().map(|greatest| (greatest, true)),
    }
}

/// What was said last, so that only changes are said.
#[derive(Debug)]
struct Said {
    watermark: Timestamp,
    idle: bool,
}

impl Said {
    const NOTHING: Self = Self { watermark: Timestamp::MIN, idle: false };

    fn update(&mut self, watermark: Timestamp, idle: bool) -> Progress {
        let progress = Progress {
            active: self.idle && !idle,
            watermark: (watermark > self.watermark).then_some(watermark),
            idle: idle && !self.idle,
        };
        *self = Self { watermark: self.watermark.max(watermark), idle };
        progress
    }
}

/// The combined watermark of an operator's input channels. An ended channel counts as the end of
/// time, an idle one does not count.
#[derive(Debug)]
pub(crate) struct InputWatermarks {
    inputs: Vec<Input>,
    said: Said,
}

impl InputWatermarks {
    /// So many channels, all active.
    pub(crate) fn new(channels: usize) -> Self {
        Self { inputs: vec![Input::NEW; channels], said: Said::NOTHING }
    }

    /// Goes on from a checkpoint's watermark: what was said before the restart is not taken back, though
    /// the channels start anew and what they bring first may be late.
    pub(crate) fn go_on_from(&mut self, at: Timestamp) {
        self.said.watermark = self.said.watermark.max(at);
    }

    /// A channel's watermark has come; one lower than before changes nothing.
    #[must_use]
    pub(crate) fn watermark(&mut self, channel: usize, at: Timestamp) -> Progress {
        self.change(channel, |input| input.watermark = input.watermark.max(at))
    }

    /// A channel has fallen silent.
    #[must_use]
    pub(crate) fn idle(&mut self, channel: usize) -> Progress {
        self.change(channel, |input| input.enter(Activity::Idle))
    }

    /// A channel has records again.
    #[must_use]
    pub(crate) fn active(&mut self, channel: usize) -> Progress {
        self.change(channel, |input| input.enter(Activity::Active))
    }

    /// A channel has ended.
    #[must_use]
    pub(crate) fn end(&mut self, channel: usize) -> Progress {
        self.change(channel, |input| input.enter(Activity::Ended))
    }

    fn change(&mut self, channel: usize, change: impl FnOnce(&mut Input)) -> Progress {
        if let Some(input) = self.inputs.get_mut(channel) {
            change(input);
        }
        let (watermark, idle) = combined(&self.inputs).unwrap_or((Timestamp::MAX, false));
        self.said.update(watermark, idle)
    }
}

/// Makes the watermarks of one source on one worker: each split's stays behind its greatest time,
/// and the split that is furthest back decides.
///
/// Without any split, or when all have ended, the source is idle: the end of time is for the source
/// itself to announce, once no further split can appear.
#[derive(Debug)]
pub(crate) struct SplitWatermarks {
    splits: Vec<Input>,
    /// When each split last had a record, or was added.
    heard: Vec<Timestamp>,
    behind: Duration,
    idle_after: Option<Duration>,
    said: Said,
}

impl SplitWatermarks {
    /// No split yet; the two settings of [`EventTime`](crate::api::source::EventTime).
    pub(crate) fn new(max_lateness: Duration, idle_after: Option<Duration>) -> Self {
        Self {
            splits: Vec::new(),
            heard: Vec::new(),
            // Another record with the greatest time may come, and is not late.
            behind: max_lateness.saturating_add(Duration::from_millis(1)),
            idle_after,
            said: Said::NOTHING,
        }
    }

    /// Makes splits known, so that those without records hold the watermark back too.
    pub(crate) fn add_splits(&mut self, count: usize, now: Timestamp) {
        if self.splits.len() < count {
            self.splits.resize(count, Input::NEW);
            self.heard.resize(count, now);
        }
    }

    /// A split had records, the latest of this time ([`Timestamp::MIN`] for none).
    pub(crate) fn observe(&mut self, split: usize, greatest: Timestamp, now: Timestamp) {
        self.add_splits(split + 1, now);
        self.heard[split] = now;
        let input = &mut self.splits[split];
        input.watermark = input.watermark.max(greatest - self.behind);
        input.enter(Activity::Active);
    }

    /// A split was read to its end.
    pub(crate) fn end_split(&mut self, split: usize, now: Timestamp) {
        self.add_splits(split + 1, now);
        self.splits[split].enter(Activity::Ended);
    }

    /// What has changed since the last call. To be called after each batch, and from time to time.
    #[must_use]
    pub(crate) fn advance(&mut self, now: Timestamp) -> Progress {
        if let Some(silence) = self.idle_after {
            for (split, heard) in self.splits.iter_mut().zip(&self.heard) {
                if *heard + silence <= now {
                    split.enter(Activity::Idle);
                }
            }
        }
        let (watermark, idle) = combined(&self.splits).unwrap_or((self.said.watermark, true));
        self.said.update(watermark, idle)
    }
}

#[cfg(test)]
mod tests;
