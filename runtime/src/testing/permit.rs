//! Permits and recoveries without a checkpoint store, to drive the two-phase protocol by hand.

use crate::api::sink::{Committable, TwoPhaseCommit};
use crate::control::permit::{CommitPermit, Recovery, Republish};
use crate::error::Result;
use crate::id::Epoch;

/// A permit as if the manifest of this epoch had just become durable.
#[must_use]
pub fn permit(epoch: Epoch) -> CommitPermit {
    CommitPermit::published(epoch)
}

/// A manifest that is durable in a new form once a function says so.
struct By<F>(Epoch, F);

impl<F: FnMut(&[Committable]) -> Result<()>> Republish for By<F> {
    fn republish(&mut self, committables: &[Committable]) -> Result<CommitPermit> {
        self.1(committables)?;
        Ok(permit(self.0))
    }
}

/// A recovery from the manifest of this epoch, which lists `committables`; afterwards
/// [`Recovery::listed`] tells what it was published with last.
#[must_use]
pub fn recovery(epoch: Epoch, committables: &[Committable], accept_data_loss: bool) -> Recovery<'static> {
    Recovery::new(By(epoch, |_: &[Committable]| Ok(())), committables.to_vec(), permit(epoch), accept_data_loss)
}

/// Has a participant recover from the manifest of this epoch, which lists these committables of its
/// own; returns what the manifest lists afterwards.
///
/// # Errors
/// What [`TwoPhaseCommit::recover`] says.
pub fn recover(
    participant: &mut impl TwoPhaseCommit,
    epoch: Epoch,
    committables: &[Committable],
) -> Result<Vec<Committable>> {
    recover_by(participant, epoch, committables, false, |_| Ok(()))
}

/// The same; `publish` makes the manifest durable in another form, or says why it cannot.
///
/// # Errors
/// What [`TwoPhaseCommit::recover`] says.
pub fn recover_by(
    participant: &mut impl TwoPhaseCommit,
    epoch: Epoch,
    committables: &[Committable],
    accept_data_loss: bool,
    publish: impl FnMut(&[Committable]) -> Result<()>,
) -> Result<Vec<Committable>> {
    let mut recovery = Recovery::new(By(epoch, publish), committables.to_vec(), permit(epoch), accept_data_loss);
    let name = committables.first().map_or("", |committable| &committable.participant);
    participant.recover(recovery.published(name), &mut recovery)?;
    Ok(recovery.listed().to_vec())
}
