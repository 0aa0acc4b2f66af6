//! Randomness: the one place that makes any. Only names are random, never behaviour.

use uuid::Uuid;

/// A new random uuid.
#[expect(clippy::disallowed_methods, reason = "the one place that makes randomness")]
pub(crate) fn uuid() -> Uuid {
    Uuid::new_v4()
}
