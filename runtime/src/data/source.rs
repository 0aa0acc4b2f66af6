//! A source's share on one worker: poll, stamp, inject barriers.

use super::build::{Stage, Step};
use super::event::{Barrier, Control};
use super::inbound::controls;
use super::push::Next;
use super::report::{Report, Reporter};
use crate::api::batch::Batch;
use crate::api::source::{EventTime, Polled, Source, SourceReader, SplitPosition};
use crate::control::manifest::CheckpointKind;
use crate::error::{Error, ErrorKind, Result};
use crate::id::Epoch;
use crate::metrics::NodeMetrics;
use crate::planted::{Bug, planted};
use crate::time::Timestamp;
use crate::time::watermark::SplitWatermarks;
use std::sync::Arc;
use std::time::Duration;

/// The time between two watermarks of a busy source, and between two flushes. Each makes exchanges send
/// what they collect, so one per batch would make all batches small.
pub(super) const FLUSH_EVERY: Duration = Duration::from_millis(20);

pub(crate) struct SourceStage<S: Source> {
    node: usize,
    id: String,
    reader: S::Reader,
    time: Option<(EventTime<S::Record>, SplitWatermarks)>,
    flush_due: Timestamp,
    batch: Batch<S::Record>,
    out: Next<S::Record>,
    /// Barriers that are asked for and not sent yet.
    barriers: Vec<Barrier>,
    /// What was reported at the last barrier, until it is committed.
    reported: Option<(Epoch, Vec<SplitPosition>)>,
    ended: bool,
    /// After the barrier of a suspend or the end nothing more is read.
    stopped: bool,
    lag: i64,
    /// Of the reader, as it was counted last.
    left_out: u64,
    reporter: Reporter,
    metrics: Arc<Vec<NodeMetrics>>,
}

/// Whether it is time to flush; sets the next time. A clock that was set back does not stop it.
pub(super) fn is_due(due: &mut Timestamp, now: Timestamp) -> bool {
    let time_has_come = *due <= now || *due > now + FLUSH_EVERY;
    if time_has_come {
        *due = now + FLUSH_EVERY;
    }
    time_has_come
}

/// Makes splits known before their first record, so that none is overtaken, and lets those that have
/// ended no longer hold the watermark back.
fn register(splits: &mut SplitWatermarks, positions: &[SplitPosition], now: Timestamp) {
    splits.add_splits(positions.len(), now);
    for (split, _) in positions.iter().enumerate().filter(|(_, position)| position.finished) {
        splits.end_split(split, now);
    }
}

impl<S: Source> SourceStage<S> {
    pub fn new(
        node: usize,
        id: &str,
        reader: S::Reader,
        (time, now): (Option<EventTime<S::Record>>, Timestamp),
        out: Next<S::Record>,
        reporter: Reporter,
        metrics: Arc<Vec<NodeMetrics>>,
    ) -> Self {
        let time = time.map(|time| {
            let mut splits = SplitWatermarks::new(time.max_lateness, time.idle_after);
            register(&mut splits, &reader.positions(), now);
            (time, splits)
        });
        let (barriers, batch) = (Vec::new(), Batch::default());
        let id = id.to_owned();
        Self {
            node,
            id,
            reader,
            time,
            flush_due: now,
            batch,
            out,
            barriers,
            reported: None,
            ended: false,
            stopped: false,
            lag: 0,
            left_out: 0,
            reporter,
            metrics,
        }
    }

    fn pass(&mut self, barrier: Barrier, now: Timestamp) -> Result<()> {
        if planted(Bug::OffsetsAfterSnapshot) && !self.ended {
            self.out.control(Control::Barrier(barrier))?;
            self.reader.poll(&mut self.batch)?;
            self.out.batch(&mut self.batch)?;
            let positions = self.reader.positions();
            self.reporter.send(Report::Source { node: self.node, epoch: barrier.epoch, positions, ended: false });
            return Ok(());
        }
        let positions = self.reader.positions();
        if let Some((_, splits)) = &mut self.time {
            register(splits, &positions, now);
        }
        self.reported = Some((barrier.epoch, positions.clone()));
        self.stopped |= matches!(barrier.kind, CheckpointKind::Suspend | CheckpointKind::End);
        self.reporter.send(Report::Source { node: self.node, epoch: barrier.epoch, positions, ended: self.ended });
        self.out.control(Control::Barrier(barrier))
    }

    /// Gives the batch's records their event times.
    fn stamp(&mut self, split: usize, now: Timestamp) {
        let Some((time, splits)) = &mut self.time else { return };
        let mut latest = Timestamp::MIN;
        for (record, at) in self.batch.records.iter().zip(&mut self.batch.times) {
            *at = (time.extract)(record);
            latest = latest.max(*at);
        }
        splits.observe(split, latest, now);
    }

    fn send_watermark(&mut self, now: Timestamp) -> Result<()> {
        let Some((_, splits)) = &mut self.time else { return Ok(()) };
        controls(splits.advance(now)).try_for_each(|control| self.out.control(control))
    }

    fn end(&mut self) -> Result<()> {
        self.ended = true;
        self.measure();
        self.out.control(Control::Watermark(Timestamp::MAX))?;
        self.reporter.send(Report::Ended { node: self.node });
        Ok(())
    }

    fn measure(&mut self) {
        let left_out = self.reader.left_out();
        self.metrics[self.node].left_out(left_out.saturating_sub(self.left_out));
        self.left_out = left_out;
        if let Some(lag) = self.reader.lag() {
            let lag = i64::try_from(lag).unwrap_or(i64::MAX);
            self.metrics[self.node].lag_changed(lag - self.lag);
            self.lag = lag;
        }
    }
}

impl<S: Source> Stage for SourceStage<S> {
    fn step(&mut self, now: Timestamp) -> Result<Step> {
        for barrier in std::mem::take(&mut self.barriers) {
            self.measure();
            self.pass(barrier, now)?;
        }
        let ready = self.out.ready()?;
        if !ready || self.ended || self.stopped {
            return Ok(Step::Idle { wake_at: Timestamp::MAX });
        }
        let polled =
            self.reader.poll(&mut self.batch).map_err(|error| error.at(format_args!("source `{}`", self.id)))?;
        if !matches!(polled, Polled::Records { .. }) && !self.batch.is_empty() {
            // Its positions would count records that nobody was given.
            let message =
                "the reader put records into the batch and did not return `Polled::Records`; correct the reader";
            return Err(Error::new(ErrorKind::Internal, message).at(format_args!("source `{}`", self.id)));
        }
        match polled {
            Polled::Records { split } => {
                self.stamp(split, now);
                self.metrics[self.node].received(self.batch.len() as u64);
                self.metrics[self.node].emitted(self.batch.len() as u64);
                self.out.batch(&mut self.batch)?;
                self.batch.clear();
                if is_due(&mut self.flush_due, now) {
                    self.out.flush()?;
                    self.send_watermark(now)?;
                }
                Ok(Step::Worked)
            }
            Polled::Pending { retry_after } => {
                self.out.flush()?;
                self.send_watermark(now)?;
                // At least a millisecond: timestamps have no finer grain, and zero would spin.
                Ok(Step::Idle { wake_at: now + retry_after.max(Duration::from_millis(1)) })
            }
            Polled::End => {
                self.end()?;
                Ok(Step::Worked)
            }
        }
    }

    fn inject(&mut self, barrier: Barrier) {
        self.barriers.push(barrier);
    }

    fn committed(&mut self, epoch: Epoch) {
        if let Some((_, positions)) = self.reported.take_if(|(reported, _)| *reported == epoch) {
            self.reader.committed(&positions);
        }
    }
}
