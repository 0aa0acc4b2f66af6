//! Whole record batches, format 2: taken apart, checked, and given to another producer. Pure, and
//! suspicious of every number: a broker's disk may have been damaged.
//!
//! The layout is that of Apache Kafka's `DefaultRecordBatch` (KIP-98).

#![warn(clippy::disallowed_methods, reason = "no clock and no thread reaches what only decides or decodes")]

use super::batch::HEADER;
use crate::transaction::{BatchHeader, Producer};
use bytes::{Bytes, BytesMut};

const LENGTH: usize = 8;
const LEADER_EPOCH: usize = 12;
const MAGIC: usize = 16;
const CHECKSUM: usize = 17;
/// The first byte that the checksum covers.
const CHECKED: usize = 21;
const LAST_DELTA: usize = 23;
const PRODUCER_ID: usize = 43;
const PRODUCER_EPOCH: usize = 51;
const SEQUENCE: usize = 53;
const COUNT: usize = 57;

/// Attributes: the broker's time instead of the writer's; a base timestamp that compaction has put there.
/// A producer may send neither.
const APPEND_TIME: u16 = 0x08;
const DELETE_HORIZON: u16 = 0x40;
/// Attributes: whether and how it is compressed.
const CODEC: u16 = 0x07;
const CONTROL: u16 = 0x20;

/// A batch as it lies in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub header: BatchHeader,
    /// How many records it still has.
    pub count: i32,
    bytes: Bytes,
}

/// The bytes are no record batches of format 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoBatches;

/// The batches of a Fetch answer; a cut-off tail is left out.
pub(super) fn batches(mut bytes: Bytes) -> Result<Vec<Batch>, NoBatches> {
    let mut batches = Vec::new();
    while bytes.len() >= HEADER {
        if bytes[MAGIC] != 2 {
            return Err(NoBatches);
        }
        let length = usize::try_from(int32(&bytes, LENGTH)).map_err(|_| NoBatches)?.saturating_add(LEADER_EPOCH);
        if length < HEADER {
            return Err(NoBatches);
        }
        if length > bytes.len() {
            break;
        }
        batches.push(Batch::of(bytes.split_to(length)));
    }
    Ok(batches)
}

impl Batch {
    fn of(bytes: Bytes) -> Self {
        let first = int64(&bytes, 0);
        let header = BatchHeader {
            first,
            last: first.saturating_add(i64::from(int32(&bytes, LAST_DELTA))),
            control: attributes(&bytes) & CONTROL != 0,
            producer_id: int64(&bytes, PRODUCER_ID),
            producer_epoch: i16::from_be_bytes([bytes[PRODUCER_EPOCH], bytes[PRODUCER_EPOCH + 1]]),
        };
        Self { header, count: int32(&bytes, COUNT), bytes }
    }

    /// How many bytes a broker counts.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Whether its bytes are those that were written.
    pub fn is_intact(&self) -> bool {
        crc32c::crc32c(&self.bytes[CHECKED..]) == int32(&self.bytes, CHECKSUM) as u32
    }

    /// Whether no record of it was removed: another batch cannot be sent by a producer.
    pub fn is_complete(&self) -> bool {
        self.count > 0 && i64::from(self.count) == i64::from(int32(&self.bytes, LAST_DELTA)) + 1
    }

    /// The same records as another producer sends them: only the header is rewritten, with its checksum.
    pub fn restamped(&self, producer: Producer, sequence: i32) -> Bytes {
        let mut bytes = BytesMut::from(&self.bytes[..]);
        bytes[..LENGTH].copy_from_slice(&0i64.to_be_bytes());
        bytes[LEADER_EPOCH..MAGIC].copy_from_slice(&(-1i32).to_be_bytes());
        let attributes = attributes(&bytes) & !(APPEND_TIME | DELETE_HORIZON);
        bytes[CHECKED..LAST_DELTA].copy_from_slice(&attributes.to_be_bytes());
        bytes[PRODUCER_ID..PRODUCER_EPOCH].copy_from_slice(&producer.id.to_be_bytes());
        bytes[PRODUCER_EPOCH..SEQUENCE].copy_from_slice(&producer.epoch.to_be_bytes());
        bytes[SEQUENCE..COUNT].copy_from_slice(&sequence.to_be_bytes());
        let checksum = crc32c::crc32c(&bytes[CHECKED..]);
        bytes[CHECKSUM..CHECKED].copy_from_slice(&checksum.to_be_bytes());
        bytes.freeze()
    }

    /// Whether a control batch holds a commit marker (or an abort marker); `None` for anything else.
    pub fn marker(&self) -> Option<bool> {
        if !self.header.control || attributes(&self.bytes) & CODEC != 0 {
            return None;
        }
        let mut rest = &self.bytes[HEADER..];
        varint(&mut rest)?; // the record's length
        rest = rest.get(1..)?; // its attributes
        varint(&mut rest)?; // time
        varint(&mut rest)?; // offset
        let key = usize::try_from(varint(&mut rest)?).ok().and_then(|length| rest.get(..length))?;
        match key {
            [_, _, 0, 0, ..] => Some(false),
            [_, _, 0, 1, ..] => Some(true),
            _ => None,
        }
    }
}

/// The sequence number after so many records; it wraps around to 0.
pub(super) fn next_sequence(sequence: i32, records: i32) -> i32 {
    let next = i64::from(sequence) + i64::from(records);
    let past = next - (i64::from(i32::MAX) + 1);
    i32::try_from(if past >= 0 { past } else { next }).unwrap_or(0)
}

fn attributes(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[CHECKED], bytes[CHECKED + 1]])
}

fn int32(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn int64(bytes: &[u8], at: usize) -> i64 {
    (i64::from(int32(bytes, at)) << 32) | i64::from(int32(bytes, at + 4) as u32)
}

/// A zigzag number of up to ten bytes.
fn varint(bytes: &mut &[u8]) -> Option<i64> {
    let mut value = 0u64;
    for shift in (0..70).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            return Some((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    None
}

/// Reads bytes as the records of a Fetch answer and does with each batch what replay and fate do. For
/// tests that throw anything at it: must neither panic nor need more memory than a small multiple of the bytes.
///
/// # Errors
/// Why they are no such records.
pub fn read_records(bytes: &[u8]) -> Result<usize, String> {
    let batches = batches(Bytes::copy_from_slice(bytes)).map_err(|NoBatches| "no record batches".to_owned())?;
    for batch in &batches {
        let again = batch.restamped(Producer { id: 1, epoch: 1 }, 0);
        let again = Batch::of(again);
        assert!(again.is_intact() && again.count == batch.count && again.marker() == batch.marker());
        let _ = (batch.is_intact(), batch.is_complete());
    }
    Ok(batches.len())
}

#[cfg(test)]
mod tests;
