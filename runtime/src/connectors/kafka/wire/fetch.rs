//! Reading on in a log: chunks of batches, where the log begins, and the marker of a transaction.

use super::network::{Network, Trouble, text, trouble};
use super::records::{self, Batch, NoBatches};
use crate::error::{Error, ErrorKind, Result};
use crate::transaction::Marker;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
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

impl Network {
    /// Reads from an offset on, whatever is committed or not.
    pub async fn chunk(&mut self, topic: &str, partition: i32, offset: i64, deadline: Instant) -> Result<Chunk> {
        self.until(deadline, &format!("reading {topic}/{partition} at offset {offset}"), async |network| {
            let leader = network.leader(topic, partition, deadline).await?;
            let wanted = FetchPartition::default()
                .with_partition(partition)
                .with_current_leader_epoch(-1)
                .with_fetch_offset(offset)
                .with_last_fetched_epoch(-1)
                .with_log_start_offset(-1)
                .with_partition_max_bytes(CHUNK_BYTES);
            let wanted = FetchTopic::default().with_topic(TopicName(text(topic))).with_partitions(vec![wanted]);
            let request = FetchRequest::default()
                .with_replica_id(BrokerId(-1))
                .with_max_wait_ms(WAIT_MS)
                .with_min_bytes(1)
                .with_max_bytes(CHUNK_BYTES)
                .with_session_epoch(-1)
                .with_topics(vec![wanted]);
            let answer = network.ask(&leader, request, 12..=12, deadline).await?.1;
            let Some(found) = answer.responses.into_iter().flat_map(|topic| topic.partitions).next() else {
                return Err(trouble(answer.error_code, "Fetch"));
            };
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
            at = last.header.last + 1;
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
