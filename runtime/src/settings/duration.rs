//! Durations as people write them: `250ms`, `10s`, `1h 30m`. Usable with `#[serde(with = …)]`.

use serde::{Deserialize, Deserializer, Serializer};
use std::time::Duration;

/// Reads a duration.
///
/// # Errors
/// What is wrong, with an example of what is right.
pub fn parse(text: &str) -> Result<Duration, String> {
    let trimmed = text.trim();
    if trimmed.is_empty() || trimmed.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err(format!("`{text}` has no unit; write a duration such as `250ms`, `10s` or `5m`"));
    }
    humantime::parse_duration(trimmed)
        .map_err(|error| format!("`{text}` is not a duration ({error}); write one such as `250ms`, `10s` or `5m`"))
}

/// Writes a duration so that [`parse`] reads it.
pub fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&humantime::format_duration(*duration))
}

/// Reads a duration from text.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    parse(&String::deserialize(from)?).map_err(serde::de::Error::custom)
}
