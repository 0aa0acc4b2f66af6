//! The proof that a commit is allowed.

use crate::id::Epoch;

/// Proof that the manifest of an epoch is durable and that this attempt was the one to publish, or to
/// claim, it. Only the code that publishes can make one, so an early commit cannot be written.
#[derive(Debug)]
pub struct CommitPermit {
    epoch: Epoch,
}

impl CommitPermit {
    /// The epoch whose manifest is durable; everything it lists may be committed.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(crate) fn published(epoch: Epoch) -> Self {
        Self { epoch }
    }
}
