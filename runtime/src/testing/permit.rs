//! Permits without a checkpoint, to drive the two-phase protocol by hand.

use crate::control::permit::CommitPermit;
use crate::id::Epoch;

/// A permit as if the manifest of this epoch had just become durable.
#[must_use]
pub fn permit(epoch: Epoch) -> CommitPermit {
    CommitPermit::published(epoch)
}
