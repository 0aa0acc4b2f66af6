//! The proof that a commit is allowed, and the only way to put another committable in the place of one.
//!
//! Must not know what committables are made of, nor where manifests are kept.

use crate::api::sink::Committable;
use crate::error::{DataLoss, Error, ErrorKind, Result};
use crate::id::Epoch;
use std::sync::Arc;

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

/// A committable that a durable manifest lists, with the permit to commit it.
#[derive(Clone, Debug)]
pub struct Published {
    committable: Committable,
    permit: Arc<CommitPermit>,
}

impl Published {
    /// What the manifest lists.
    #[must_use]
    pub fn committable(&self) -> &Committable {
        &self.committable
    }

    /// The proof that the manifest is durable.
    #[must_use]
    pub fn permit(&self) -> &CommitPermit {
        &self.permit
    }
}

/// Publishes the restored manifest once more, with other committables.
pub(crate) trait Republish {
    /// Makes a manifest durable that differs from the newest one in these committables alone.
    fn republish(&mut self, committables: &[Committable]) -> Result<CommitPermit>;
}

/// What a participant may do to the restored manifest while it settles what that lists: replace a
/// committable that can no longer be committed. The manifest is durable in its new form *before* there
/// is a [`Published`] of the replacement, so it cannot be committed too early; and the one replaced is
/// given up by its owner, so it cannot be committed any more.
pub struct Recovery<'a> {
    manifest: Box<dyn Republish + 'a>,
    /// What the newest form of the manifest lists, of all participants.
    listed: Vec<Committable>,
    permit: Arc<CommitPermit>,
    accept_data_loss: bool,
    accept_repeats: bool,
}

impl<'a> Recovery<'a> {
    pub(crate) fn new(
        manifest: impl Republish + 'a,
        listed: Vec<Committable>,
        permit: CommitPermit,
        accept_data_loss: bool,
    ) -> Self {
        let permit = Arc::new(permit);
        Self { manifest: Box::new(manifest), listed, permit, accept_data_loss, accept_repeats: false }
    }

    /// The job was told to go on also if output appears a second time.
    pub(crate) fn accepting_repeats(self, accept_repeats: bool) -> Self {
        Self { accept_repeats, ..self }
    }

    /// What a participant has to settle, oldest first.
    pub(crate) fn published(&self, participant: &str) -> Vec<Published> {
        let mine = self.listed.iter().filter(|committable| committable.participant == participant);
        let mut mine: Vec<Published> = mine
            .map(|committable| Published { committable: committable.clone(), permit: self.permit.clone() })
            .collect();
        mine.sort_by_key(|published| published.committable.epoch);
        mine
    }

    /// What the newest form of the manifest lists, of all participants.
    #[must_use]
    pub fn listed(&self) -> &[Committable] {
        &self.listed
    }

    /// Publishes the manifest again with a committable of these bytes in the place of `old`.
    ///
    /// # Errors
    /// [`ErrorKind::Superseded`] when another attempt has taken over: drop the replacement, commit
    /// nothing more. [`ErrorKind::Store`] when the store failed; then the manifest may list either,
    /// and the next attempt finds out.
    pub fn replace(&mut self, old: Published, bytes: Vec<u8>) -> Result<Published> {
        let new = Committable { bytes, ..old.committable.clone() };
        let permit = self.publish(&old, Some(new.clone()))?;
        Ok(Published { committable: new, permit })
    }

    /// Publishes the manifest again without `old`, nothing of which can be committed any more.
    ///
    /// # Errors
    /// [`ErrorKind::DataLoss`] unless the job was told to go on in this case; else as [`Self::replace`].
    pub fn give_up(&mut self, old: Published, loss: DataLoss) -> Result<()> {
        self.accept(loss)?;
        self.publish(&old, None).map(|_| ())
    }

    /// Whether the job was told to go on in this case; asked before what is left is written for nothing.
    ///
    /// # Errors
    /// [`ErrorKind::DataLoss`] if not.
    pub fn may_lose(&self, loss: DataLoss) -> Result<()> {
        if self.accept_data_loss { Ok(()) } else { Err(loss.into()) }
    }

    /// Records that part of a committable is lost, before the rest of it [replaces](Self::replace) it.
    ///
    /// # Errors
    /// [`ErrorKind::DataLoss`] unless the job was told to go on in this case.
    pub fn accept(&mut self, loss: DataLoss) -> Result<()> {
        self.may_lose(loss.clone())?;
        tracing::error!(%loss, "output that a checkpoint promised is lost; going on, as accepting data loss was asked for");
        Ok(())
    }

    /// Whether to go on though somebody has written as a later attempt of this job, which this checkpoint store does
    /// not know of: it is a copy that was left behind, and what was written since is written again.
    ///
    /// # Errors
    /// [`ErrorKind::Checkpoint`] unless the job was told to.
    pub fn may_repeat(&self, later: &str) -> Result<()> {
        if self.accept_repeats {
            tracing::warn!(later, "this checkpoint store is an old copy; going on, as accepting repeats was asked for");
            return Ok(());
        }
        let message = format!(
            "this checkpoint store is an old copy: a later attempt of this job, which is not in it, has written as \
             {later:?}, and its output would appear a second time. Start from the newest copy of the store, or with \
             --accept-repeats to go on all the same"
        );
        Err(Error::new(ErrorKind::Checkpoint, message))
    }

    fn publish(&mut self, old: &Published, new: Option<Committable>) -> Result<Arc<CommitPermit>> {
        let at = self.listed.iter().position(|listed| *listed == old.committable).ok_or_else(|| {
            Error::new(ErrorKind::Internal, "a committable was to be replaced that the manifest does not list")
        })?;
        let mut listed = self.listed.clone();
        listed.splice(at..=at, new);
        let permit = Arc::new(self.manifest.republish(&listed)?);
        self.listed = listed;
        Ok(permit)
    }
}

impl std::fmt::Debug for Recovery<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recovery").field("listed", &self.listed).field("permit", &self.permit).finish_non_exhaustive()
    }
}
