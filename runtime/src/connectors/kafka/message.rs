//! What of a record goes where in a Kafka message: topic, key, value, headers, timestamp, partition.
//!
//! Plain data and the user's functions. Must not know librdkafka, transactions or epochs.

#![warn(clippy::disallowed_methods, reason = "no clock and no thread reaches what only decides or decodes")]

use crate::time::Timestamp;
use std::sync::Arc;

/// What a sink does with a record that can be seen not to fit before it is given to Kafka: it cannot
/// be encoded, is larger than `message.max.bytes`, or names a topic or partition that does not exist
/// or may not be written to.
///
/// A record that only the *broker* refuses (without a key for a compacted topic, larger than the topic's
/// `max.message.bytes`) is another matter: what followed it is already under way, so the attempt
/// restarts from the last checkpoint, and with the same record again in the end the job stops. So an
/// exactly-once sink looks at the sizes when it starts: where its topic or that of its dead letters takes less
/// than `message.max.bytes` (1,000,000 unless set) and the head of a batch, `Skip` and `DeadLetter` are a
/// `Config` error that says which `.set("message.max.bytes", ..)` is small enough, and `Stop` is a warning.
/// Topics that records name themselves ([`topic_by`](super::KafkaSink::topic_by)) are not looked at: set it to
/// suit the smallest of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OnRefused {
    /// Stops the job, naming the reason.
    #[default]
    Stop,
    /// Leaves the record out, counts it, and warns from time to time.
    Skip,
    /// Writes it to this topic instead, in the same transaction: key, value and headers as they would
    /// have been, and the headers `staunch.refused.reason` and `staunch.refused.topic`. Of a value that
    /// is too large the first 64 KiB are kept, or as much as `message.max.bytes` has room for, and
    /// `staunch.refused.bytes` is its length.
    DeadLetter(String),
}

/// The headers of a message, in order; names may repeat (KIP-82).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    bytes: Vec<u8>,
    /// Where each name and each value ends in `bytes`; `None` for a value that is null.
    ends: Vec<(usize, Option<usize>)>,
}

impl Headers {
    /// Adds a header.
    pub fn add(&mut self, name: &str, value: impl AsRef<[u8]>) -> &mut Self {
        self.bytes.extend_from_slice(name.as_bytes());
        let name_end = self.bytes.len();
        self.bytes.extend_from_slice(value.as_ref());
        self.ends.push((name_end, Some(self.bytes.len())));
        self
    }

    /// Adds a header whose value is null.
    pub fn add_null(&mut self, name: &str) -> &mut Self {
        self.bytes.extend_from_slice(name.as_bytes());
        self.ends.push((self.bytes.len(), None));
        self
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// How many bytes the names and values have.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Names and values, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let mut start = 0;
        self.ends.iter().map(move |&(name_end, value_end)| {
            let (name, value) = (&self.bytes[start..name_end], value_end.map(|end| &self.bytes[name_end..end]));
            start = value_end.unwrap_or(name_end);
            (name, value)
        })
    }
}

/// A message ready to be sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outgoing<'a> {
    pub key: Option<&'a [u8]>,
    /// `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Milliseconds since 1970; `None` for the time of sending.
    pub timestamp_ms: Option<i64>,
    /// `None` leaves it to the partitioner.
    pub partition: Option<i32>,
    pub headers: &'a Headers,
}

/// Where a message is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To<S> {
    /// To the sink's own topic.
    Fixed,
    /// To the topic that the record names.
    Named(S),
}

/// A message that found no room.
pub(super) struct Kept {
    to: To<String>,
    /// Why it has no value that could be written.
    pub broken: Option<String>,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    timestamp_ms: Option<i64>,
    partition: Option<i32>,
    headers: Headers,
}

impl Kept {
    pub fn of(to: To<&str>, message: &Outgoing<'_>, broken: Option<String>) -> Self {
        let to = match to {
            To::Fixed => To::Fixed,
            To::Named(name) => To::Named(name.to_owned()),
        };
        Self {
            to,
            broken,
            key: message.key.map(<[u8]>::to_vec),
            value: message.value.map(<[u8]>::to_vec),
            timestamp_ms: message.timestamp_ms,
            partition: message.partition,
            headers: message.headers.clone(),
        }
    }

    pub fn to(&self) -> To<&str> {
        match &self.to {
            To::Fixed => To::Fixed,
            To::Named(name) => To::Named(name),
        }
    }

    pub fn message(&self) -> Outgoing<'_> {
        Outgoing {
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            timestamp_ms: self.timestamp_ms,
            partition: self.partition,
            headers: &self.headers,
        }
    }
}

type Of<T, R> = Arc<dyn Fn(&T) -> R + Send + Sync>;
type Fill<T, B, R = ()> = Arc<dyn Fn(&T, &mut B) -> R + Send + Sync>;

/// Which topic records go to.
pub(super) enum TopicOf<T> {
    Fixed(String),
    /// Appends the topic's name.
    Each(Fill<T, String>),
}

/// How a record becomes a message, except for its value, which is the format's.
pub(super) struct Shape<T> {
    pub topic: TopicOf<T>,
    /// Appends the key; false for a record without one.
    pub key: Option<Fill<T, Vec<u8>, bool>>,
    pub headers: Option<Fill<T, Headers>>,
    pub timestamp: Option<Of<T, Timestamp>>,
    pub partition: Option<Of<T, Option<i32>>>,
    pub tombstone: Option<Of<T, bool>>,
    pub on_refused: OnRefused,
}

impl<T> Shape<T> {
    pub fn new(topic: TopicOf<T>) -> Self {
        let on_refused = OnRefused::default();
        Self { topic, key: None, headers: None, timestamp: None, partition: None, tombstone: None, on_refused }
    }
}

impl<T> Clone for Shape<T> {
    fn clone(&self) -> Self {
        Self {
            topic: match &self.topic {
                TopicOf::Fixed(topic) => TopicOf::Fixed(topic.clone()),
                TopicOf::Each(topic) => TopicOf::Each(topic.clone()),
            },
            key: self.key.clone(),
            headers: self.headers.clone(),
            timestamp: self.timestamp.clone(),
            partition: self.partition.clone(),
            tombstone: self.tombstone.clone(),
            on_refused: self.on_refused.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_keep_order_repeated_names_and_the_difference_between_empty_and_null() {
        let mut headers = Headers::default();
        headers.add("a", "1").add_null("a").add("b", "").add("a", [0, 255]);
        let read: Vec<(&[u8], Option<&[u8]>)> = headers.iter().collect();
        assert_eq!(read, [(&b"a"[..], Some(&b"1"[..])), (b"a", None), (b"b", Some(b"")), (b"a", Some(&[0, 255])),]);
        headers.clear();
        assert_eq!((headers.len(), headers.iter().count()), (0, 0));
    }

    #[test]
    fn what_is_kept_is_the_message() {
        let mut headers = Headers::default();
        headers.add("h", "1");
        let message =
            Outgoing { key: Some(b"k"), value: None, timestamp_ms: Some(7), partition: Some(2), headers: &headers };
        let kept = Kept::of(To::Named("t"), &message, None);
        assert_eq!(kept.to(), To::Named("t"));
        let again = kept.message();
        assert_eq!(
            (again.key, again.value, again.timestamp_ms, again.partition),
            (Some(&b"k"[..]), None, Some(7), Some(2))
        );
        assert_eq!(again.headers, &headers);
    }
}
