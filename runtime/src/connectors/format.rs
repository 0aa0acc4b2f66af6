//! How bytes become records and records become bytes: the same formats for every connector.
//!
//! A format is a type, not a value, so that decoding is resolved at compile time and can borrow
//! straight from the connector's buffer. It must not know where the bytes come from.

use crate::api::metadata::{Metadata, Origin};
use crate::api::output::Failed;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::marker::PhantomData;

/// Decodes and encodes one kind of record.
pub trait Format: Send + Sync + 'static {
    /// What the bytes mean.
    type Record: Send + 'static;

    /// Reads a record. A Kafka tombstone (a message without value) is given as no bytes.
    ///
    /// # Errors
    /// One line on what is wrong with the bytes; where they are is added by the connector.
    fn decode(bytes: &[u8]) -> Result<Self::Record, String>;

    /// Appends the record's bytes to `out`.
    ///
    /// # Errors
    /// One line on why this record has no form as bytes.
    fn encode(record: &Self::Record, out: &mut Vec<u8>) -> Result<(), String>;

    /// Tells a record where it was read and what was beside it, if it has a place for that.
    #[allow(unused_variables)]
    fn locate(record: &mut Self::Record, metadata: impl FnOnce() -> Metadata) {}
}

/// JSON, by serde.
pub struct Json<T>(PhantomData<fn() -> T>);

impl<T: Serialize + DeserializeOwned + Send + 'static> Format for Json<T> {
    type Record = T;

    fn decode(bytes: &[u8]) -> Result<T, String> {
        serde_json::from_slice(bytes).map_err(|error| format!("not the expected JSON: {error}"))
    }

    fn encode(record: &T, out: &mut Vec<u8>) -> Result<(), String> {
        serde_json::to_writer(out, record).map_err(|error| format!("cannot be written as JSON: {error}"))
    }
}

/// UTF-8 text.
pub struct Text;

impl Format for Text {
    type Record = String;

    fn decode(bytes: &[u8]) -> Result<String, String> {
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|error| format!("not UTF-8: {error}"))
    }

    fn encode(record: &String, out: &mut Vec<u8>) -> Result<(), String> {
        out.extend_from_slice(record.as_bytes());
        Ok(())
    }
}

/// The bytes as they are.
pub struct Raw;

impl Format for Raw {
    type Record = Vec<u8>;

    fn decode(bytes: &[u8]) -> Result<Vec<u8>, String> {
        Ok(bytes.to_vec())
    }

    fn encode(record: &Vec<u8>, out: &mut Vec<u8>) -> Result<(), String> {
        out.extend_from_slice(record);
        Ok(())
    }
}

/// Format `F`, except that undecodable input becomes a record too: an operator decides what to do
/// with it, for instance to write it to a dead-letter topic, instead of the job stopping.
pub struct Try<F>(PhantomData<fn() -> F>);

/// Input that could not be decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undecodable {
    /// The input, untouched.
    pub bytes: Vec<u8>,
    /// What is wrong with it.
    pub error: String,
    /// Where it was read.
    pub origin: Origin,
    /// Its key, if it had one.
    pub key: Option<Vec<u8>>,
    /// Its headers, in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl fmt::Display for Undecodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Origin { source, partition, offset } = &self.origin;
        write!(f, "{} bytes at {source}/{partition} offset {offset}: {}", self.bytes.len(), self.error)
    }
}

impl std::error::Error for Undecodable {}

impl<F: Format> Format for Try<F> {
    type Record = Result<F::Record, Undecodable>;

    fn decode(bytes: &[u8]) -> Result<Self::Record, String> {
        Ok(F::decode(bytes).map_err(|error| Undecodable { bytes: bytes.to_vec(), error, ..Undecodable::default() }))
    }

    /// What was undecodable is written as it was read.
    fn encode(record: &Self::Record, out: &mut Vec<u8>) -> Result<(), String> {
        match record {
            Ok(record) => F::encode(record, out),
            Err(undecodable) => Raw::encode(&undecodable.bytes, out),
        }
    }

    fn locate(record: &mut Self::Record, metadata: impl FnOnce() -> Metadata) {
        match record {
            Ok(record) => F::locate(record, metadata),
            Err(undecodable) => {
                let Metadata { origin, key, headers } = metadata();
                undecodable.origin = origin;
                undecodable.key = key.map(|key| key.to_vec());
                undecodable.headers = headers.to_vec();
            }
        }
    }
}

/// Format `F`, except that no bytes are `None`: the tombstones of a compacted Kafka topic. To write
/// some, see `KafkaSink::tombstone`.
pub struct Nullable<F>(PhantomData<fn() -> F>);

impl<F: Format> Format for Nullable<F> {
    type Record = Option<F::Record>;

    fn decode(bytes: &[u8]) -> Result<Self::Record, String> {
        if bytes.is_empty() { Ok(None) } else { F::decode(bytes).map(Some) }
    }

    /// `None` is written as no bytes.
    fn encode(record: &Self::Record, out: &mut Vec<u8>) -> Result<(), String> {
        record.as_ref().map_or(Ok(()), |record| F::encode(record, out))
    }

    fn locate(record: &mut Self::Record, metadata: impl FnOnce() -> Metadata) {
        if let Some(record) = record {
            F::locate(record, metadata);
        }
    }
}

/// Undecodable input as it was read, on its way to where such input is kept: the failures of an
/// operator that passes on what the format [`Try`] gave it. For writing only.
pub struct DeadLetters;

impl Format for DeadLetters {
    type Record = Failed<Undecodable>;

    fn decode(_: &[u8]) -> Result<Self::Record, String> {
        Err("dead letters are whatever they are: read them with the format Raw".to_owned())
    }

    fn encode(record: &Self::Record, out: &mut Vec<u8>) -> Result<(), String> {
        Raw::encode(&record.error.bytes, out)
    }
}

/// What a source does with a record that its format cannot decode. To keep such records, read with
/// the format [`Try`] instead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnBadRecord {
    /// Stops the job, naming the record.
    #[default]
    Stop,
    /// Leaves the record out, counts it, and warns from time to time.
    Skip,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded<F: Format>(record: &F::Record) -> Vec<u8> {
        let mut out = Vec::new();
        F::encode(record, &mut out).unwrap();
        out
    }

    #[test]
    fn formats_read_what_they_wrote() {
        assert_eq!(Json::<Vec<u32>>::decode(&encoded::<Json<Vec<u32>>>(&vec![1, 2])), Ok(vec![1, 2]));
        assert_eq!(Text::decode(&encoded::<Text>(&"ä".to_owned())), Ok("ä".to_owned()));
        assert_eq!(Raw::decode(&encoded::<Raw>(&vec![0, 255])), Ok(vec![0, 255]));
    }

    #[test]
    fn no_bytes_are_none_where_that_is_said() {
        assert_eq!(Nullable::<Json<u32>>::decode(b""), Ok(None));
        assert_eq!(Nullable::<Json<u32>>::decode(b"7"), Ok(Some(7)));
        assert!(Nullable::<Json<u32>>::decode(b"x").is_err());
        assert_eq!(encoded::<Nullable<Json<u32>>>(&Some(7)), b"7");
        assert_eq!(encoded::<Nullable<Json<u32>>>(&None), b"");
    }

    #[test]
    fn bad_bytes_are_an_error_or_with_try_a_record_that_knows_its_origin() {
        assert!(Text::decode(&[255]).unwrap_err().contains("UTF-8"));
        let mut record = Try::<Text>::decode(&[255]).unwrap();
        let origin = Origin { source: "orders".into(), partition: 3, offset: 17 };
        let headers = vec![("h".to_owned(), None)];
        let metadata =
            || Metadata { origin: origin.clone(), key: Some(b"k"[..].into()), headers: headers.clone().into() };
        Try::<Text>::locate(&mut record, metadata);
        let undecodable = record.clone().unwrap_err();
        assert_eq!((undecodable.bytes, undecodable.origin), (vec![255], origin));
        assert_eq!((undecodable.key, undecodable.headers), (Some(b"k".to_vec()), headers));
        assert_eq!(encoded::<Try<Text>>(&record), [255]);
    }
}
