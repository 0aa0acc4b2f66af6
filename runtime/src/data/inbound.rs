//! The channels of a chain's head: whose turn it is, who is held, what the control events of all of
//! them come to.

use super::align::{Aligned, Alignment};
use super::event::{Barrier, Control};
use crate::error::Result;
use crate::planted::{Bug, planted};
use crate::time::Timestamp;
use crate::time::watermark::{InputWatermarks, Progress};
use std::collections::VecDeque;

pub(crate) struct Inbound {
    /// By channel: its input, and its number within the input.
    channels: Vec<(usize, usize)>,
    turn: usize,
    alignment: Alignment,
    watermarks: InputWatermarks,
    barrier: Option<Barrier>,
}

impl Inbound {
    pub fn new(channels: Vec<(usize, usize)>, aligned: bool) -> Self {
        let alignment = Alignment::new(channels.len(), aligned);
        let watermarks = InputWatermarks::new(channels.len());
        Self { channels, turn: 0, alignment, watermarks, barrier: None }
    }

    /// Goes on from the watermark of a checkpoint.
    pub fn go_on_from(&mut self, watermark: Timestamp) {
        self.watermarks.go_on_from(watermark);
    }

    pub fn len(&self) -> usize {
        self.channels.len()
    }

    /// The next channel, in turn, that is not held: its number, input, and number within the input.
    pub fn next_open(&mut self) -> Option<(usize, usize, usize)> {
        for _ in 0..self.channels.len() {
            let channel = self.turn;
            self.turn = (self.turn + 1) % self.channels.len();
            if !self.alignment.is_held(channel) {
                let (port, at) = self.channels[channel];
                return Some((channel, port, at));
            }
        }
        None
    }

    /// What a channel's control event means for the operator: nothing while others are waited for.
    pub fn control(&mut self, channel: usize, control: Control, out: &mut VecDeque<Control>) -> Result<()> {
        let progress = match control {
            Control::Watermark(_) if planted(Bug::LostWatermark) && self.barrier.is_some() => return Ok(()),
            // The end of a source share: whether others are idle, it no longer counts.
            Control::Watermark(Timestamp::MAX) => self.watermarks.end(channel),
            Control::Watermark(watermark) => self.watermarks.watermark(channel, watermark),
            Control::Idle => self.watermarks.idle(channel),
            Control::Active => self.watermarks.active(channel),
            Control::Barrier(barrier) => {
                self.barrier = Some(barrier);
                let aligned = self.alignment.step(channel, barrier.epoch)?;
                if matches!(aligned, Aligned::Complete(_)) {
                    out.extend(self.barrier.take().map(Control::Barrier));
                }
                return Ok(());
            }
        };
        out.extend(controls(progress));
        Ok(())
    }
}

/// Progress as control events, in the order in which they are sent on.
pub(crate) fn controls(progress: Progress) -> impl Iterator<Item = Control> {
    let active = progress.active.then_some(Control::Active);
    let idle = progress.idle.then_some(Control::Idle);
    active.into_iter().chain(progress.watermark.map(Control::Watermark)).chain(idle)
}
