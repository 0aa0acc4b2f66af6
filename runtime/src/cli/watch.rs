//! Shows a running job's progress: a live line on a terminal, else a log line now and then.

use super::live::Live;
use super::status::{self, Rate};
use crate::progress::{Observer, Progress};
use std::time::Duration;

/// A log line is for looking back, so there are few.
const LOG_EVERY: Duration = Duration::from_secs(10);
/// Fast enough to look alive, slow enough to be read.
const DRAW_EVERY: Duration = Duration::from_millis(250);

pub(super) struct Watch {
    job: String,
    live: Live,
    every: Duration,
    /// When to show something again, since the job's start.
    next: Duration,
    rate: Rate,
}

impl Watch {
    pub fn new(job: &str, live: Live) -> Self {
        let every = if live.is_terminal() { DRAW_EVERY } else { LOG_EVERY };
        // The first log line comes after a while, the first drawing at once.
        let next = if live.is_terminal() { Duration::ZERO } else { every };
        Self { job: job.to_owned(), live, every, next, rate: Rate::default() }
    }
}

impl Observer for Watch {
    fn progress(&mut self, progress: &Progress) {
        let rate = self.rate.read(progress.elapsed, progress.sources_read);
        if progress.elapsed < self.next {
            return;
        }
        self.next = progress.elapsed + self.every;
        if self.live.is_terminal() {
            self.live.draw(status::line(&self.job, progress, rate));
        } else {
            log(&self.job, progress, rate);
        }
    }
}

fn log(job: &str, progress: &Progress, rate: Option<f64>) {
    let last = progress.last_checkpoint.as_ref();
    tracing::info!(
        job,
        attempt = progress.attempt,
        records_read = progress.sources_read,
        records_per_s = rate.map(f64::round),
        lag = progress.lag,
        left_out = progress.left_out,
        checkpoints = progress.checkpoints,
        checkpoint = last.map(|last| last.epoch.0),
        checkpoint_age_ms = last.map(|last| millis(last.ended_ago)),
        checkpoint_took_ms = last.map(|last| millis(last.took)),
        checkpoint_bytes = last.map(|last| last.bytes),
        failed_attempts = progress.failed_attempts,
        "progress"
    );
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
