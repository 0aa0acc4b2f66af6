//! Reading a log: one batch, chunks of batches, where the log begins, and the marker of a transaction.

#![expect(clippy::disallowed_methods, reason = "deadlines of real brokers, threads of real clients")]

use super::batch;
use super::network::{Network, Trouble, text, trouble};
use super::records::{self, Batch, NoBatches};
use crate::error::{Error, ErrorKind, Result};
use crate::transaction::{Marker, Peek};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{BrokerId, FetchRequest, ListOffsetsRequest, TopicName};
use std::time::Instant;

/// How much is read at once; a single batch may be more.
const CHUNK_BYTES: i32 = 4 << 20;
/// How long a broker may wait for more records.
const WAIT_MS: i32 = 500;
/// Stands for the first offset in ListOffsets.
const EARLIEST: i64 = -2;
/// OFFSET_OUT_OF_RANGE.
const OUT_OF_RANGE: i16 = 1;

/// What a log holds from an offset on.
pub(super) enum Chunk {
    /// Batches, the first of which covers the offset or comes next.
    Batches {
        batches: Vec<Batch>,
        /// Behind the last record that is shown at all. Without batches: the log ends at the offset only if
        /// this is behind it; else its leader may be too new to show more.
        high_watermark: i64,
    },
    /// The log does not have that offset (any more).
    OutOfRange,
}

/// How a log is read.
#[derive(Clone, Copy)]
struct Reading {
    /// A single batch may be more.
    max_bytes: i32,
    /// How long a broker may wait for records.
    wait_ms: i32,
    /// Only what is decided is shown.
    committed: bool,
}

impl Network {
    /// What a log has at an offset. Always one partition in a request: of further ones the lists of aborted
    /// transactions are incomplete.
    async fn fetch(
        &mut self,
        (topic, partition): (&str, i32),
        offset: i64,
        how: Reading,
        deadline: Instant,
    ) -> Result<PartitionData, Trouble> {
        let leader = self.leader(topic, partition, deadline).await?;
        let wanted = FetchPartition::default()
            .with_partition(partition)
            .with_current_leader_epoch(-1)
            .with_fetch_offset(offset)
            .with_last_fetched_epoch(-1)
            .with_log_start_offset(-1)
            .with_partition_max_bytes(how.max_bytes);
        let wanted = FetchTopic::default().with_topic(TopicName(text(topic))).with_partitions(vec![wanted]);
        let request = FetchRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_max_wait_ms(how.wait_ms)
            .with_min_bytes(1)
            .with_max_bytes(how.max_bytes)
            .with_isolation_level(i8::from(how.committed))
            .with_session_epoch(-1)
            .with_topics(vec![wanted]);
        let answer = self.ask(&leader, request, 12..=12, deadline).await?.1;
        let found = answer.responses.into_iter().flat_map(|topic| topic.partitions).next();
        found.ok_or_else(|| trouble(answer.error_code, "Fetch"))
    }

    /// The one batch at an offset, and what its broker says beside it.
    pub async fn peek(
        &mut self,
        topic: &str,
        partition: i32,
        offset: i64,
        committed: bool,
        deadline: Instant,
    ) -> Result<Peek> {
        let how = Reading { max_bytes: 1, wait_ms: 0, committed };
        self.until(deadline, &format!("looking at {topic}/{partition} offset {offset}"), async |network| {
            // Asked again and again while somebody waits for what it will say.
            network.cancellation.check().map_err(Trouble::Final)?;
            let found = network.fetch((topic, partition), offset, how, deadline).await?;
            // Any other says nothing of the log: that a right is missing, or that the broker has trouble of its own.
            if ![0, OUT_OF_RANGE].contains(&found.error_code) {
                return Err(trouble(found.error_code, "Fetch"));
            }
            let records = found.records.unwrap_or_default();
            let headers = batch::headers(&records).ok_or_else(|| {
                Trouble::Final(Error::new(ErrorKind::Sink, "the log is in a format before Kafka 0.11"))
            })?;
            let aborted = found.aborted_transactions.unwrap_or_default();
            Ok(Peek {
                code: found.error_code,
                high_watermark: found.high_watermark,
                batch: headers.into_iter().find(|header| header.last >= offset),
                aborted: aborted.iter().map(|aborted| (aborted.producer_id.0, aborted.first_offset)).collect(),
            })
        })
        .await
    }

    /// Reads from an offset on, whatever is committed or not.
    pub async fn chunk(&mut self, topic: &str, partition: i32, offset: i64, deadline: Instant) -> Result<Chunk> {
        let how = Reading { max_bytes: CHUNK_BYTES, wait_ms: WAIT_MS, committed: false };
        self.until(deadline, &format!("reading {topic}/{partition} at offset {offset}"), async |network| {
            let found = network.fetch((topic, partition), offset, how, deadline).await?;
            match found.error_code {
                0 => {}
                OUT_OF_RANGE => return Ok(Chunk::OutOfRange),
                code => return Err(trouble(code, "Fetch")),
            }
            let batches = records::batches(found.records.unwrap_or_default()).map_err(|NoBatches| {
                let message = "the log is damaged, or in a format before Kafka 0.11";
                Trouble::Final(Error::new(ErrorKind::Sink, message))
            })?;
            let batches = batches.into_iter().filter(|batch| batch.header.last >= offset).collect();
            Ok(Chunk::Batches { batches, high_watermark: found.high_watermark })
        })
        .await
    }

    /// The first offset that a log still has.
    pub async fn log_start(&mut self, topic: &str, partition: i32, deadline: Instant) -> Result<i64> {
        self.until(deadline, &format!("asking where {topic}/{partition} begins"), async |network| {
            let leader = network.leader(topic, partition, deadline).await?;
            let wanted = ListOffsetsPartition::default()
                .with_partition_index(partition)
                .with_current_leader_epoch(-1)
                .with_timestamp(EARLIEST);
            let wanted = ListOffsetsTopic::default().with_name(TopicName(text(topic))).with_partitions(vec![wanted]);
            let request = ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![wanted]);
            let answer = network.ask(&leader, request, 6..=7, deadline).await?.1;
            let found = answer.topics.into_iter().flat_map(|topic| topic.partitions).next();
            let found = found.ok_or_else(|| Trouble::Passing("an empty answer".to_owned()))?;
            if found.error_code == 0 { Ok(found.offset) } else { Err(trouble(found.error_code, "ListOffsets")) }
        })
        .await
    }

    /// Reads on to the first control batch of a producer. Each read has its own time, all together have `deadline`.
    pub async fn find_marker(
        &mut self,
        topic: &str,
        partition: i32,
        from: i64,
        producer_id: i64,
        deadline: Instant,
    ) -> Result<Marker> {
        let mut at = from;
        loop {
            let batches = match self.chunk(topic, partition, at, deadline).await? {
                Chunk::Batches { batches, .. } => batches,
                // Exactly the log's end is in range.
                Chunk::OutOfRange => return Ok(Marker::Unreadable(format!("offset {at} is out of range"))),
            };
            let Some(last) = batches.last() else { return Ok(Marker::NotYet) };
            at = last.header.last.saturating_add(1);
            if let Some(batch) = batches.iter().find(|batch| batch.header.producer_id == producer_id) {
                return Ok(match batch.marker() {
                    Some(committed) => Marker::Found { committed, epoch: batch.header.producer_epoch },
                    None if batch.header.control => Marker::Unreadable("it is of an unknown kind".to_owned()),
                    None => Marker::Overwritten,
                });
            }
            if Instant::now() >= deadline {
                return Ok(Marker::Unreadable(format!("it was not found up to offset {at} in time")));
            }
        }
    }
}
