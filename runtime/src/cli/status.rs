//! What the status line and the summary say. Pure: from readings to text.

use super::numbers::{bytes, count, short, time};
use crate::progress::{Outcome, Progress, Summary};
use std::collections::VecDeque;
use std::time::Duration;

/// The rate is that of the last so much time: long enough to be calm, short enough to show a stall.
const RATE_OVER: Duration = Duration::from_secs(3);

/// Records per second, over the newest readings.
#[derive(Debug, Default)]
pub(super) struct Rate {
    /// (when, total), oldest first.
    readings: VecDeque<(Duration, u64)>,
}

impl Rate {
    /// Takes in a reading and returns the rate; `None` before there are two.
    pub fn read(&mut self, at: Duration, total: u64) -> Option<f64> {
        self.readings.push_back((at, total));
        while self.readings.len() > 2 && at.saturating_sub(self.readings[1].0) >= RATE_OVER {
            self.readings.pop_front();
        }
        let (since, before) = *self.readings.front()?;
        let seconds = at.saturating_sub(since).as_secs_f64();
        (seconds > 0.0).then(|| total.saturating_sub(before) as f64 / seconds)
    }
}

/// The one line that is redrawn while a job runs.
pub(super) fn line(job: &str, progress: &Progress, rate: Option<f64>) -> String {
    let mut parts = vec![format!("{job} {}", time(progress.elapsed))];
    let rate = rate.map_or_else(String::new, |rate| format!(", {}/s", short(rate)));
    parts.push(format!("{} read{rate}", count(progress.sources_read)));
    if let Some(lag) = progress.lag {
        parts.push(format!("{} behind", count(lag)));
    }
    if progress.left_out > 0 {
        parts.push(format!("{} left out", count(progress.left_out)));
    }
    parts.push(match &progress.last_checkpoint {
        None => "no checkpoint yet".to_owned(),
        Some(last) => format!(
            "checkpoint {} {} ago (took {}, {})",
            last.epoch,
            time(last.ended_ago),
            time(last.took),
            bytes(last.bytes)
        ),
    });
    if progress.failed_attempts > 0 {
        parts.push(format!("attempt {}", progress.attempt));
    }
    parts.join(" | ")
}

/// What is said at the end.
pub(super) fn summary(job: &str, summary: &Summary) -> String {
    let seconds = summary.elapsed.as_secs_f64();
    let rate =
        if seconds > 0.0 { format!(" ({}/s)", short(summary.records_read as f64 / seconds)) } else { String::new() };
    let ended = match summary.outcome {
        Outcome::Ended => "has ended: all input is processed and committed".to_owned(),
        Outcome::Suspended => match summary.last_epoch {
            Some(epoch) => format!("is suspended after checkpoint {epoch}: the next start goes on from there"),
            None => "is suspended before its first checkpoint: the next start begins anew".to_owned(),
        },
    };
    let left_out = match summary.records_left_out {
        0 => String::new(),
        records => format!(", {} left out", count(records)),
    };
    format!(
        "{job} {ended}\n  {} records read{rate}, {} written{left_out}, in {}; {} in {}",
        count(summary.records_read),
        count(summary.records_written),
        time(summary.elapsed),
        plural(summary.checkpoints, "checkpoint"),
        plural(u64::from(summary.attempts), "attempt"),
    )
}

fn plural(number: u64, noun: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{} {noun}{s}", count(number))
}
