//! Reads the batches that one producer session has written to a range of a log.

#![expect(clippy::disallowed_methods, reason = "deadlines of real brokers, threads of real clients")]

use super::fetch::Chunk;
use super::network::Network;
use super::records::Batch;
use crate::error::{Error, ErrorKind, Result};
use crate::transaction::{Counted, SessionRange};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The pause before a new leader is asked again.
const PAUSE: Duration = Duration::from_millis(20);

/// Hands out batches that are as they were written, one after the other.
pub(super) struct SessionReader<'a> {
    range: &'a SessionRange<'a>,
    /// How long nothing may move on.
    within: Duration,
    /// The next offset to be read.
    at: i64,
    read: VecDeque<Batch>,
    /// Where a batch was damaged when it was read first.
    damaged: Option<i64>,
    /// When the leader showed something last.
    shown: Instant,
    /// The first reason why something was left out.
    pub left_out: Option<String>,
}

impl<'a> SessionReader<'a> {
    pub fn new(range: &'a SessionRange<'a>, within: Duration) -> Self {
        Self {
            range,
            within,
            at: range.first,
            read: VecDeque::new(),
            damaged: None,
            shown: Instant::now(),
            left_out: None,
        }
    }

    pub async fn next(&mut self, network: &mut Network) -> Result<Option<Batch>> {
        loop {
            while let Some(batch) = self.read.pop_front() {
                if let Some(batch) = self.sieve(batch) {
                    return Ok(Some(batch));
                }
            }
            if self.at > self.range.last || !self.fill(network).await? {
                return Ok(None);
            }
        }
    }

    /// Reads on; `false` where the log ends.
    async fn fill(&mut self, network: &mut Network) -> Result<bool> {
        let &SessionRange { topic, partition, .. } = self.range;
        let deadline = Instant::now() + self.within;
        let (batches, high_watermark) = match network.chunk(topic, partition, self.at, deadline).await? {
            Chunk::Batches { batches, high_watermark } => (batches, high_watermark),
            Chunk::OutOfRange => {
                let (start, at) = (network.log_start(topic, partition, deadline).await?, self.at);
                if start <= at {
                    self.leave_out(|| format!("{topic}/{partition} does not have offset {at}"));
                    return Ok(false);
                }
                self.leave_out(|| format!("the log begins at offset {start} now"));
                self.at = start;
                return Ok(true);
            }
        };
        if !batches.is_empty() {
            self.shown = Instant::now();
            self.read = batches.into();
            return Ok(true);
        }
        // A new leader, which does not show all that it has before its followers have fetched; or what it has
        // elsewhere comes slowly.
        if self.shown.elapsed() < self.within {
            network.cancellation.check()?;
            tokio::time::sleep(PAUSE).await;
            return Ok(true);
        }
        if self.at < high_watermark {
            let at = self.at;
            self.leave_out(|| format!("the log ends at offset {at} now"));
            return Ok(false);
        }
        let message = format!("{topic}/{partition} shows nothing from offset {high_watermark} on: are followers up?");
        Err(Error::new(ErrorKind::Sink, message))
    }

    /// Whether it is a batch of the session that can be written again; notes it if it cannot.
    fn sieve(&mut self, batch: Batch) -> Option<Batch> {
        let (header, from) = (batch.header, self.range.from);
        if header.first > self.range.last {
            self.read.clear();
            self.at = header.first;
            return None;
        }
        let first = header.first;
        let is_ours = !header.control && header.producer_id == from.id && header.producer_epoch == from.epoch;
        if is_ours && !batch.is_intact() && self.damaged != Some(first) {
            // Perhaps only on its way: it is read once more.
            self.damaged = Some(first);
            self.read.clear();
            self.at = first;
            return None;
        }
        self.at = header.last.saturating_add(1);
        if !is_ours {
            return None;
        }
        if !batch.is_intact() {
            self.leave_out(|| format!("the batch at offset {first} is damaged: its checksum is wrong"));
            return None;
        }
        if !batch.is_complete() {
            self.leave_out(|| format!("the batch at offset {first} was compacted"));
            return None;
        }
        Some(batch)
    }

    fn leave_out(&mut self, why: impl FnOnce() -> String) {
        self.left_out.get_or_insert_with(why);
    }
}

impl Network {
    /// Counts what could be written again; `within` is how long nothing may move on.
    pub async fn count(&mut self, range: &SessionRange<'_>, within: Duration) -> Result<Counted> {
        let mut reader = SessionReader::new(range, within);
        let mut records = 0;
        while let Some(batch) = reader.next(self).await? {
            records += u64::try_from(batch.count).unwrap_or(0);
        }
        Ok(Counted { records, left_out: reader.left_out })
    }
}
