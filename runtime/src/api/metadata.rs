//! Where a record came from.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The position of a record in its source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// The topic, the file, or the source's id.
    pub source: Arc<str>,
    /// The Kafka partition; 0 for sources without partitions.
    pub partition: i32,
    /// The offset in the partition, or the byte offset in the file.
    pub offset: i64,
}

/// What a source knows about a record beside its value. It exists only in pipelines where an
/// operator asks for it with `#[metadata]`; the origin alone also where an operator can fail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Where the record was read.
    pub origin: Origin,
    /// The key's bytes (Kafka).
    pub key: Option<Arc<[u8]>>,
    /// The headers (Kafka), in their order; names may repeat.
    pub headers: Arc<[(String, Option<Vec<u8>>)]>,
}

/// Of a record of which nothing but its origin is known.
impl From<Origin> for Metadata {
    fn from(origin: Origin) -> Self {
        Self { origin, ..Self::default() }
    }
}
