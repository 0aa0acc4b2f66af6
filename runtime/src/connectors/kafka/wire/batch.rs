//! The header of a record batch, format 2.

#![warn(clippy::disallowed_methods, reason = "no clock and no thread reaches what only decides or decodes")]

use crate::transaction::BatchHeader;

/// The bytes of a header.
pub(super) const HEADER: usize = 61;

/// The headers of the batches in a Fetch answer; a cut-off tail is left out. `None` for an older format.
pub(super) fn headers(mut bytes: &[u8]) -> Option<Vec<BatchHeader>> {
    let mut headers = Vec::new();
    while let Some(header) = bytes.get(..HEADER) {
        if header[16] != 2 {
            return None;
        }
        let int64 = |at: usize| header[at..at + 8].try_into().map(i64::from_be_bytes).ok();
        let int32 = |at: usize| header[at..at + 4].try_into().map(i32::from_be_bytes).ok();
        let int16 = |at: usize| header[at..at + 2].try_into().map(i16::from_be_bytes).ok();
        let first = int64(0)?;
        headers.push(BatchHeader {
            first,
            last: first.saturating_add(i64::from(int32(23)?)),
            control: int16(21)? & 0x20 != 0,
            producer_id: int64(43)?,
            producer_epoch: int16(51)?,
        });
        let length = 12 + usize::try_from(int32(8)?).ok()?;
        bytes = bytes.get(length.max(HEADER)..).unwrap_or_default();
    }
    Some(headers)
}

/// Reads bytes as the headers of a Fetch answer. For tests that throw anything at it: must neither panic nor
/// need more memory than a small multiple of the bytes.
#[must_use]
pub fn read_headers(bytes: &[u8]) -> Option<usize> {
    headers(bytes).map(|headers| headers.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(first: i64, count: i32, attributes: i16, producer: i64) -> Vec<u8> {
        let mut bytes = vec![0; HEADER + 5];
        let length = (bytes.len() - 12) as i32;
        bytes[..8].copy_from_slice(&first.to_be_bytes());
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        bytes[16] = 2;
        bytes[21..23].copy_from_slice(&attributes.to_be_bytes());
        bytes[23..27].copy_from_slice(&(count - 1).to_be_bytes());
        bytes[43..51].copy_from_slice(&producer.to_be_bytes());
        bytes[51..53].copy_from_slice(&3i16.to_be_bytes());
        bytes
    }

    #[test]
    fn reads_each_header_and_leaves_a_cut_off_tail() {
        let mut bytes = batch(10, 5, 0x10, 7);
        bytes.extend(batch(15, 1, 0x30, 8));
        bytes.extend(&batch(16, 1, 0, 9)[..30]);
        let read = headers(&bytes).unwrap();
        let expected = BatchHeader { first: 10, last: 14, control: false, producer_id: 7, producer_epoch: 3 };
        assert_eq!(read[0], expected);
        assert_eq!((read.len(), read[1].control, read[1].producer_id), (2, true, 8));
    }

    #[test]
    fn an_old_format_is_not_guessed_at() {
        let mut bytes = batch(0, 1, 0, 0);
        bytes[16] = 1;
        assert_eq!(headers(&bytes), None);
        assert_eq!(headers(&[]), Some(vec![]));
    }
}
