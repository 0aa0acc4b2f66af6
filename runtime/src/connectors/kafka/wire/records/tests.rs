//! Batches as `kafka-protocol` writes them.

use super::*;
use kafka_protocol::records::{Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType};

fn record(offset: i64, control: bool, key: &[u8]) -> Record {
    Record {
        transactional: true,
        control,
        delete_horizon: false,
        partition_leader_epoch: 4,
        producer_id: 7,
        producer_epoch: 2,
        timestamp_type: TimestampType::Creation,
        offset,
        sequence: offset as i32,
        timestamp: 1_700_000_000_000 + offset,
        key: Some(Bytes::copy_from_slice(key)),
        value: Some(Bytes::from_static(b"value")),
        headers: Default::default(),
    }
}

fn encoded(records: &[Record]) -> Bytes {
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut bytes, records, &options).unwrap();
    bytes.freeze()
}

fn three() -> Vec<Record> {
    (10..13).map(|offset| record(offset, false, b"key")).collect()
}

#[test]
fn another_producer_writes_the_same_records() {
    let read = batches(encoded(&three())).unwrap();
    let [batch] = read.as_slice() else { panic!("{read:?}") };
    let session = Producer { id: 7, epoch: 2 };
    assert_eq!((batch.header.first, batch.header.last, batch.count), (10, 12, 3));
    assert!(batch.header.is_data_of(session, 12) && batch.is_intact() && batch.is_complete());
    assert_eq!(batch.marker(), None);
    let again = Batch::of(batch.restamped(Producer { id: 99, epoch: 5 }, 30));
    assert!(again.is_intact() && again.is_complete());
    assert_eq!((again.header.first, again.header.producer_id, again.header.producer_epoch), (0, 99, 5));
    assert_eq!(int32(&again.bytes, SEQUENCE), 30);
    assert_eq!(again.bytes[HEADER..], batch.bytes[HEADER..], "records are not touched");
}

#[test]
fn the_brokers_own_attributes_are_not_sent() {
    let mut bytes = BytesMut::from(&encoded(&three())[..]);
    bytes[CHECKED + 1] |= 0x48;
    let again = batches(bytes.freeze()).unwrap()[0].restamped(Producer { id: 1, epoch: 0 }, 0);
    assert_eq!(attributes(&again), 0x10, "transactional");
}

#[test]
fn damage_and_holes_are_seen() {
    let whole = encoded(&three());
    for at in [CHECKED, COUNT, HEADER, whole.len() - 1] {
        let mut bytes = BytesMut::from(&whole[..]);
        bytes[at] ^= 1;
        assert!(!batches(bytes.freeze()).unwrap()[0].is_intact(), "byte {at}");
    }
    let mut bytes = BytesMut::from(&whole[..]);
    bytes[COUNT + 3] = 2;
    assert!(!batches(bytes.freeze()).unwrap()[0].is_complete());
}

#[test]
fn markers_are_told_apart() {
    for (kind, committed) in [(1, Some(true)), (0, Some(false)), (2, None)] {
        let batch = encoded(&[record(5, true, &[0, 0, 0, kind])]);
        assert_eq!(batches(batch).unwrap()[0].marker(), committed);
    }
}

#[test]
fn a_cut_off_tail_is_left_out_and_nonsense_refused() {
    let mut two = BytesMut::from(&encoded(&three())[..]);
    let one = two.len();
    two.extend(encoded(&[record(13, false, b"k")]));
    for length in 0..two.len() {
        let read = batches(two.clone().freeze().slice(..length)).unwrap();
        assert_eq!(read.len(), usize::from(length >= one), "{length} bytes");
    }
    for (at, byte) in [(MAGIC, 1), (LENGTH, 0xff), (LENGTH + 3, 3)] {
        let mut bytes = BytesMut::from(&encoded(&three())[..]);
        bytes[at] = byte;
        bytes[LENGTH + 2] = if at == LENGTH + 3 { 0 } else { bytes[LENGTH + 2] };
        assert_eq!(batches(bytes.freeze()), Err(NoBatches), "byte {at}");
    }
}

#[test]
fn sequences_wrap_around_to_zero() {
    assert_eq!(next_sequence(5, 3), 8);
    assert_eq!(next_sequence(i32::MAX - 1, 1), i32::MAX);
    assert_eq!(next_sequence(i32::MAX, 1), 0);
    assert_eq!(next_sequence(i32::MAX - 1, 5), 3);
}
