//! How a record becomes bytes and back (to be written in full).

use crate::api::metadata::Origin;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;

/// How records become bytes and back.
pub trait Format: Send + Sync + 'static {
    /// The record.
    type Record: Send + 'static;

    /// Reads a record.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    fn decode(bytes: &[u8]) -> Result<Self::Record, String>;

    /// Appends a record.
    ///
    /// # Errors
    /// Why it cannot be written.
    fn encode(record: &Self::Record, out: &mut Vec<u8>) -> Result<(), String>;

    /// Tells a record where it was read, if it has a place for that.
    #[allow(unused_variables)]
    fn locate(record: &mut Self::Record, origin: impl FnOnce() -> Origin) {}
}

/// JSON.
pub struct Json<T>(PhantomData<fn() -> T>);

impl<T: Serialize + DeserializeOwned + Send + 'static> Format for Json<T> {
    type Record = T;

    fn decode(bytes: &[u8]) -> Result<T, String> {
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }

    fn encode(record: &T, out: &mut Vec<u8>) -> Result<(), String> {
        serde_json::to_writer(out, record).map_err(|error| error.to_string())
    }
}

/// UTF-8 text.
pub struct Text;

impl Format for Text {
    type Record = String;

    fn decode(bytes: &[u8]) -> Result<String, String> {
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|error| error.to_string())
    }

    fn encode(record: &String, out: &mut Vec<u8>) -> Result<(), String> {
        out.extend_from_slice(record.as_bytes());
        Ok(())
    }
}

/// What to do with a record that cannot be decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnBadRecord {
    /// Fail the job.
    #[default]
    Stop,
    /// Count it and go on.
    Skip,
}
