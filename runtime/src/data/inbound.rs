//! The channels of a chain's head: whose turn it is, who is held, what the control events of all of
//! them come to.

use super::align::{Alignment, Outcome};
use super::event::{Barrier, Control};
use crate::error::Result;
use crate::time::watermark::{Change, InputWatermarks};

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

    /// What a channel's control event means for the operator; `None` while others are waited for.
    pub fn control(&mut self, channel: usize, control: Control) -> Result<Option<Control>> {
        let change = match control {
            Control::Watermark(watermark) => self.watermarks.advance(channel, watermark),
            Control::Idle => self.watermarks.idle(channel),
            Control::Barrier(barrier) => {
                self.barrier = Some(barrier);
                let outcome = self.alignment.barrier(channel, barrier.epoch)?;
                return Ok(if outcome == Outcome::Complete { self.barrier.take().map(Control::Barrier) } else { None });
            }
        };
        Ok(change.map(|change| match change {
            Change::Watermark(watermark) => Control::Watermark(watermark),
            Change::Idle => Control::Idle,
        }))
    }
}
