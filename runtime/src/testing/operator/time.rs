//! Event time by input, the clock, and timers.

use super::{OperatorHarness, check};
use crate::api::context::TimeDomain;
use crate::api::key::Key;
use crate::api::operator::{Operator, Timers};
use crate::data::event::Control;
use crate::data::outputs::Wired;
use crate::error::{Error, ErrorKind, Result};
use crate::state::TimerStore;
use crate::time::Timestamp;
use std::collections::VecDeque;
use std::time::Duration;

/// After so many steps, each of many timers, an operator is taken for one whose timers never end.
const FIRING_STEPS_MAX: usize = 1_000;
/// How many timers a story names.
const TIMERS_TOLD_MAX: usize = 8;

impl<O, K> OperatorHarness<O, K>
where
    O: Operator<Outputs: Wired> + Timers<K>,
    K: Key + ?Sized,
{
    /// Advances the watermark of all inputs: event-time timers up to it fire. [`Timestamp::MAX`] is the end of
    /// all input.
    ///
    /// # Panics
    /// If the watermark of an input goes backwards.
    #[track_caller]
    pub fn watermark(&mut self, to: Timestamp) -> &mut Self {
        self.core();
        self.assert_rises(0..self.ports.len(), to);
        self.step(format!("watermark {to}"), |harness| {
            (0..harness.ports.len()).try_for_each(|input| harness.control(input, Control::Watermark(to)))
        })
    }

    /// Advances the watermark of input `INPUT` alone; the operator's is the least of all inputs'.
    ///
    /// # Panics
    /// If it goes backwards.
    #[track_caller]
    pub fn input_watermark<const INPUT: usize>(&mut self, to: Timestamp) -> &mut Self {
        self.core();
        self.assert_rises(INPUT..INPUT + 1, to);
        self.step(format!("watermark of `{}` {to}", O::INPUTS[INPUT]), |harness| {
            harness.control(INPUT, Control::Watermark(to))
        })
    }

    /// Input `INPUT` is idle: the operator's watermark does not wait for it until its next record.
    #[track_caller]
    pub fn input_idle<const INPUT: usize>(&mut self) -> &mut Self {
        self.step(format!("`{}` is idle", O::INPUTS[INPUT]), |harness| harness.control(INPUT, Control::Idle))
    }

    /// A record wakes an input that was idle.
    pub(super) fn wake_input(&mut self, input: usize) -> Result<()> {
        self.control(input, Control::Active)
    }

    #[track_caller]
    fn assert_rises(&self, inputs: std::ops::Range<usize>, to: Timestamp) {
        for input in inputs {
            let (before, name) = (self.watermarks[input], O::INPUTS[input]);
            assert!(to >= before, "a watermark never goes backwards: {to} after {before}, input `{name}`");
        }
    }

    /// What a control event of one input means for the operator: the rules are those of a job.
    fn control(&mut self, input: usize, control: Control) -> Result<()> {
        self.try_core()?;
        if let Control::Watermark(to) = control {
            self.watermarks[input] = to;
        }
        let mut effects = VecDeque::new();
        self.inbound.control(input, control, &mut effects)?;
        for effect in effects {
            if let Control::Watermark(to) = effect {
                self.until_done(|harness| harness.try_core()?.advance(to))?;
            }
        }
        Ok(())
    }

    /// Sets the clock: processing-time timers up to it fire.
    #[track_caller]
    pub fn processing_time(&mut self, to: Timestamp) -> &mut Self {
        self.step(format!("clock {to}"), |harness| {
            harness.now.set(to);
            harness.until_done(|harness| harness.try_core()?.fire(TimeDomain::Processing, to))
        })
    }

    /// Advances the clock by this much; it starts at 0. Processing-time timers up to then fire.
    #[track_caller]
    pub fn advance(&mut self, by: Duration) -> &mut Self {
        self.processing_time(self.now.get() + by)
    }

    fn until_done(&mut self, mut step: impl FnMut(&mut Self) -> Result<bool>) -> Result<()> {
        for _ in 0..FIRING_STEPS_MAX {
            if step(self)? {
                return Ok(());
            }
        }
        let message = "timers set timers without end; set each later than the one that fires, or under a condition";
        Err(Error::new(ErrorKind::Operator, message))
    }

    /// The operator's watermark: the least of all inputs' that are not idle.
    #[track_caller]
    pub fn current_watermark(&mut self) -> Timestamp {
        self.core().watermark
    }

    /// The event-time timers of a key that are set, in ascending order.
    #[track_caller]
    pub fn timers(&mut self, key: &K) -> Vec<Timestamp> {
        self.timers_of(TimeDomain::Event, key)
    }

    /// The processing-time timers of a key that are set, in ascending order.
    #[track_caller]
    pub fn processing_timers(&mut self, key: &K) -> Vec<Timestamp> {
        self.timers_of(TimeDomain::Processing, key)
    }

    #[track_caller]
    fn timers_of(&mut self, domain: TimeDomain, key: &K) -> Vec<Timestamp> {
        check(self.check_owner(key));
        let timers = self.core().timers.of(key.frozen_hash(), key);
        timers.iter().filter(|(of, _)| *of == domain).map(|(_, at)| *at).collect()
    }

    /// How many event-time timers are set, of all keys.
    #[track_caller]
    pub fn timer_count(&mut self) -> usize {
        self.core().timers.iter(TimeDomain::Event).len()
    }

    /// How many processing-time timers are set, of all keys.
    #[track_caller]
    pub fn processing_timer_count(&mut self) -> usize {
        self.core().timers.iter(TimeDomain::Processing).len()
    }

    /// When the next event-time timer fires: `h.watermark(at)` then fires it.
    #[track_caller]
    pub fn next_timer(&mut self) -> Option<Timestamp> {
        self.core().timers.next(TimeDomain::Event)
    }

    /// When the next processing-time timer fires.
    #[track_caller]
    pub fn next_processing_timer(&mut self) -> Option<Timestamp> {
        self.core().timers.next(TimeDomain::Processing)
    }
}

/// The timers that fire next, for a story.
pub(super) fn timers_told<K: Key + ?Sized>(timers: &TimerStore<K>) -> String {
    let mut text = String::new();
    for (domain, name) in [(TimeDomain::Event, "event-time"), (TimeDomain::Processing, "processing-time")] {
        let all = timers.iter(domain);
        let more = all.len().saturating_sub(TIMERS_TOLD_MAX);
        let mut told: Vec<_> = all.take(TIMERS_TOLD_MAX).map(|(at, key)| format!("key {key:?} at {at}")).collect();
        if more > 0 {
            told.push(format!("{more} more"));
        }
        if !told.is_empty() {
            text.push_str(&format!("\n  {name} timers: {}", told.join(", ")));
        }
    }
    text
}
