//! Randomness: the one place that makes any. Only names are random, never behaviour.

use uuid::Uuid;

/// A new random uuid.
pub(crate) fn uuid() -> Uuid {
    Uuid::new_v4()
}
