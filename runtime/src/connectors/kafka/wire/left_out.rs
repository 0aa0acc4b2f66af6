//! Batches that a broker does not take again, as the topic's settings have changed since they were written: why, and
//! what to change so that it does.

use super::network::code_text;
use std::collections::BTreeMap;

/// MESSAGE_TOO_LARGE, RECORD_LIST_TOO_LARGE, INVALID_TIMESTAMP, INVALID_RECORD.
const TOO_LARGE: i16 = 10;
const LIST_TOO_LARGE: i16 = 18;
const TIMESTAMP: i16 = 32;
const RECORD: i16 = 87;

/// Whether an answer to Produce says that this batch is not for this topic: it was not stored, and others may be.
pub(super) fn is_about_batch(code: i16) -> bool {
    matches!(code, TOO_LARGE | LIST_TOO_LARGE | TIMESTAMP | RECORD)
}

/// What was left out of a partition, by the brokers' error codes.
#[derive(Debug, Default)]
pub(super) struct LeftOut(BTreeMap<i16, Refused>);

#[derive(Debug)]
struct Refused {
    batches: u64,
    /// Where the first of them is in the log.
    first: i64,
    /// What the broker said of that one.
    said: String,
    bytes_max: usize,
}

impl LeftOut {
    pub fn add(&mut self, code: i16, first: i64, bytes: usize, said: &str) {
        let refused = self.0.entry(code).or_insert_with(|| {
            let said = if said.is_empty() { String::new() } else { format!(": {said}") };
            Refused { batches: 0, first, said, bytes_max: 0 }
        });
        refused.batches += 1;
        refused.bytes_max = refused.bytes_max.max(bytes);
    }

    /// Why something was left out, for people; `None` if nothing was.
    pub fn reason(&self) -> Option<String> {
        let reasons: Vec<String> = self.0.iter().map(|(code, refused)| refused.reason(*code)).collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }
}

impl Refused {
    fn reason(&self, code: i16) -> String {
        let Self { batches, first, said, bytes_max } = self;
        let advice = match code {
            TOO_LARGE => format!("raise max.message.bytes of the topic to {bytes_max} or more"),
            LIST_TOO_LARGE => format!("raise segment.bytes of the topic to {bytes_max} or more"),
            TIMESTAMP => {
                "raise message.timestamp.before.max.ms of the topic, or message.timestamp.after.max.ms".to_owned()
            }
            _ => "if the topic is compacted, which needs a key for each record, take compact out of its cleanup.policy"
                .to_owned(),
        };
        let of = if *batches == 1 { "a batch".to_owned() } else { format!("{batches} batches, the first") };
        format!(
            "the broker refuses {of} at offset {first}, {} as the topic's settings are now{said}; {advice}, and start again",
            code_text(code)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_to_change_for_all_that_was_refused() {
        let mut left_out = LeftOut::default();
        assert_eq!(left_out.reason(), None);
        left_out.add(TOO_LARGE, 7, 2_000, "");
        left_out.add(TOO_LARGE, 9, 5_000, "");
        left_out.add(TOO_LARGE, 11, 3_000, "");
        left_out.add(TIMESTAMP, 8, 100, "out of range");
        let reason = left_out.reason().unwrap();
        let (size, time) = reason.split_once("start again; ").unwrap();
        assert!(size.contains("3 batches, the first at offset 7") && size.contains("max.message.bytes"), "{reason}");
        assert!(size.contains("to 5000 or more"), "what all of them need: {reason}");
        assert!(time.contains("a batch at offset 8") && time.contains("(32)"), "{reason}");
        assert!(time.contains(": out of range") && time.contains("message.timestamp.before.max.ms"), "{reason}");
    }

    #[test]
    fn what_is_wrong_with_the_producer_is_not_about_a_batch() {
        assert!([10, 18, 32, 87].into_iter().all(is_about_batch));
        // CORRUPT_MESSAGE, TOPIC_AUTHORIZATION_FAILED, OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_PRODUCER_EPOCH, fenced.
        assert!(![0, 2, 29, 45, 47, 90].into_iter().any(is_about_batch));
    }
}
