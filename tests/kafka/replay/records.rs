//! Records with everything that a record can have, made from their number.

use staunch_tests::kafka::Record;

/// Whose record it is, as a header.
const SOURCE: &str = "source";

/// The records of one writer, from `first` on. Keys and values that are absent, empty and ordinary; header
/// values that are absent and empty, names that come twice; times that go back and forth.
pub fn records(source: &str, first: u64, count: u64, now_ms: i64) -> impl Iterator<Item = Record> {
    let source = source.as_bytes().to_vec();
    (first..first + count).map(move |number| {
        let random = scramble(number);
        let mut headers =
            vec![(SOURCE.to_owned(), Some(source.clone())), ("number".to_owned(), Some(number.to_be_bytes().to_vec()))];
        match number % 5 {
            0 => headers.push(("absent".to_owned(), None)),
            1 => headers.extend([("twice".to_owned(), Some(vec![1])), ("twice".to_owned(), Some(vec![]))]),
            _ => {}
        }
        Record {
            offset: 0,
            timestamp: now_ms - (random % 100_000) as i64,
            key: sometimes(number, 13, format!("key-{}", random % 10_000)),
            value: sometimes(
                number,
                17,
                format!("{{\"n\":{number},\"x\":\"{:1$x}\"}}", random, (random % 90) as usize),
            ),
            headers,
        }
    })
}

/// Absent now and then, and empty now and then.
fn sometimes(number: u64, period: u64, text: String) -> Option<Vec<u8>> {
    match number % (2 * period) {
        0 => None,
        at if at == period => Some(Vec::new()),
        _ => Some(text.into_bytes()),
    }
}

/// Splitmix64.
fn scramble(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Which of `partitions` the record with this number goes to.
pub fn partition(number: u64, partitions: i32) -> i32 {
    (scramble(number) >> 33) as i32 % partitions
}

pub fn is_of(record: &Record, source: &str) -> bool {
    record.headers.iter().any(|(name, value)| name == SOURCE && value.as_deref() == Some(source.as_bytes()))
}
