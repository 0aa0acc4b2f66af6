//! Bytes inside JSON, so that a person can read them where they are text.
//!
//! Used with `#[serde(with = …)]`. Knows nothing of manifests.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Readable {
    Text(String),
    Hex(String),
}

/// Writes bytes as text where they are UTF-8, else as hexadecimal.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Readable::Text(text.to_owned()).serialize(to),
        Err(_) => Readable::Hex(bytes.iter().map(|byte| format!("{byte:02x}")).collect()).serialize(to),
    }
}

/// Reads what [`serialize`] wrote.
///
/// # Errors
/// Those of the deserializer, and text that is not hexadecimal where it should be.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    match Readable::deserialize(from)? {
        Readable::Text(text) => Ok(text.into_bytes()),
        Readable::Hex(hex) => (0..hex.len())
            .step_by(2)
            .map(|at| hex.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
            .collect::<Option<_>>()
            .ok_or_else(|| serde::de::Error::custom("not hexadecimal")),
    }
}
