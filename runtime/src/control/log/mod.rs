//! The checkpoint log: one sequence of slots, each made by exactly one attempt.
//!
//! ```text
//! 1 claim A   2 manifest 1   3 manifest 2   4 claim B   5 manifest 3   …
//! ```
//!
//! An attempt claims the next slot before it touches anything outside, and publishes each checkpoint
//! in the slot after its last one. So a predecessor that still lives finds its next slot taken, and
//! stops; what it had published before that is what the new attempt goes on from. All of the
//! exactly-once protocol rests on this order, and this is the only place that makes
//! [`CommitPermit`]s. Must not know what checkpoints are for, nor read a clock.

mod base;
mod place;
mod republish;
mod retain;
mod takeover;
#[cfg(test)]
mod tests;

pub use takeover::Own;

use place::{Placed, place, read_back};
use takeover::superseded;

use super::manifest::{Abandoned, Claim, Cut, Manifest, Slot, Unreadable};
use super::permit::CommitPermit;
use super::store::CheckpointStore;
use crate::error::{Error, ErrorKind, Result};
use crate::id::Epoch;
use crate::planted::{Bug, planted};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use uuid::Uuid;

/// How often a claim follows a log that grows under it.
const CLAIM_RACES_MAX: usize = 100;

/// The log of a store, not claimed yet.
pub struct CheckpointLog {
    store: Arc<dyn CheckpointStore>,
}

/// Who claims the job, and how it goes on.
#[derive(Clone, Debug)]
pub struct ClaimRequest {
    /// The new attempt's uuid: random, never used before.
    pub attempt: Uuid,
    /// Who it is, for people: host, process id, program.
    pub info: String,
    /// Which checkpoint to go on from.
    pub restore: RestoreFrom,
    /// Milliseconds since 1970.
    pub now_ms: u64,
}

/// Which checkpoint an attempt goes on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreFrom {
    /// The newest one; that of an earlier choice by hand, until something newer was published.
    Newest,
    /// The one in this slot. Only for a process's first attempt: later ones go on from the newest.
    Slot {
        /// The slot's number.
        slot: u64,
        /// Also when something newer was published, whose output will then appear a second time.
        accept_repeats: bool,
    },
}

/// A claimed log, and where to go on from.
pub struct Claimed {
    /// The log: this attempt may publish.
    pub log: ClaimedLog,
    /// The checkpoint to restore; `None` at a job's first start.
    pub restored: Option<Manifest>,
    /// The number of the first checkpoint that this attempt will take.
    pub next_epoch: Epoch,
    /// Under this claim, whatever the restored checkpoint lists may be committed.
    pub permit: CommitPermit,
}

/// What became of a publication.
#[derive(Debug)]
pub enum Publication {
    /// The manifest is durable: what it lists may be committed, and must be.
    Published(CommitPermit),
    /// Another attempt has taken over. Commit nothing more.
    Superseded(Error),
}

/// The log of an attempt that has claimed it.
pub struct ClaimedLog {
    store: Arc<dyn CheckpointStore>,
    attempt: Uuid,
    claimed: u64,
    /// The last slot that this attempt made.
    last: u64,
    /// The epoch this attempt goes on from.
    restored: Option<Epoch>,
    /// The last epoch published, by this attempt or before it.
    epoch: Option<Epoch>,
    /// This attempt has published.
    published: bool,
    /// It was superseded or gave up: it publishes nothing more.
    ended: bool,
}

impl CheckpointLog {
    /// The log of a store.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when the store is another job's.
    pub fn open(store: Arc<dyn CheckpointStore>, job: &str) -> Result<Self> {
        if store.identity().job == job {
            return Ok(Self { store });
        }
        let message = format!(
            "{} is of {}, not of job `{job}`; give each job a store of its own",
            store.describe(),
            store.identity()
        );
        Err(Error::new(ErrorKind::Config, message))
    }

    /// The checkpoint that a claim would go on from now. Changes nothing, and holds for this moment only.
    ///
    /// # Errors
    /// As [`CheckpointLog::claim`].
    pub fn look(&self, restore: RestoreFrom) -> Result<Option<Manifest>> {
        Ok(base::choose(&read_slots(&*self.store)?, restore)?.map(|base| base.manifest))
    }

    /// Takes the job over. From here on no earlier attempt can publish.
    ///
    /// `own` is what this process has done here before: it must not take the job back from an attempt that has
    /// taken it over since. The claim becomes part of it, also one whose fate is unknown.
    ///
    /// # Errors
    /// [`ErrorKind::Checkpoint`] when the newest checkpoint cannot be read (an older one is never
    /// taken silently), [`ErrorKind::Config`] when the chosen one cannot be used,
    /// [`ErrorKind::Superseded`] when another attempt has taken over from `own`, and when others keep claiming,
    /// [`ErrorKind::Store`].
    pub fn claim(self, request: &ClaimRequest, own: &mut Option<Own>) -> Result<Claimed> {
        if let Some(own) = own {
            own.tries(request.attempt);
        }
        for _ in 0..CLAIM_RACES_MAX {
            let found = read_slots(&*self.store)?;
            if let Some(by) = own.as_ref().and_then(|own| own.taken_over(&found)) {
                return Err(superseded(&by));
            }
            let base = base::choose(&found, request.restore)?;
            let slot = found.last().map_or(1, |(newest, _)| newest + 1);
            let claim = Slot::Claim(Claim {
                identity: self.store.identity().clone(),
                attempt: request.attempt,
                restored_slot: base.as_ref().map(|base| base.slot),
                restored_epoch: base.as_ref().map(|base| base.manifest.cut.epoch),
                chosen: base.as_ref().is_some_and(|base| base.chosen),
                claimed_ms: request.now_ms,
                info: request.info.clone(),
            });
            // What was read stays true: slots are never changed, and had another one been made, the
            // claim would not be in the slot that follows. It is durable, too: the claim's fsync of
            // the folder covers it.
            if planted(Bug::NoClaim) {
                let mut claimed = self.claimed(request.attempt, slot, base, base::next_epoch(&found));
                claimed.log.last = slot - 1;
                return Ok(claimed);
            }
            if let Placed::Lost { .. } = place(&*self.store, slot, &claim.encode()?)? {
                continue;
            }
            *own = Some(Own::claimed(&*self.store, slot, request.attempt));
            return Ok(self.claimed(request.attempt, slot, base, base::next_epoch(&found)));
        }
        Err(Error::new(
            ErrorKind::Superseded,
            format!(
                "other attempts keep making slots in {}; find and stop the other processes that run this job",
                self.store.describe()
            ),
        ))
    }

    fn claimed(self, attempt: Uuid, slot: u64, base: Option<base::Base>, next_epoch: Epoch) -> Claimed {
        let restored = base.map(|base| base.manifest);
        let epoch = restored.as_ref().map(|restored| restored.cut.epoch);
        let log = ClaimedLog {
            store: self.store,
            attempt,
            claimed: slot,
            last: slot,
            restored: epoch,
            epoch,
            published: false,
            ended: false,
        };
        let permit = CommitPermit::published(epoch.unwrap_or_default());
        Claimed { log, restored, next_epoch, permit }
    }
}

impl ClaimedLog {
    /// The slot this attempt claimed: its number among all attempts of the store.
    #[must_use]
    pub fn attempt(&self) -> u64 {
        self.claimed
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn CheckpointStore> {
        &self.store
    }

    /// Makes a checkpoint durable. Also publishes a restored checkpoint anew, when its committables
    /// had to be replaced.
    ///
    /// # Errors
    /// [`ErrorKind::Store`] when the store failed: then nothing was published, or the next claim will
    /// find what was; either way this attempt is over. [`ErrorKind::Internal`] when the cut is not
    /// what may come next.
    pub fn publish(&mut self, cut: Cut, now_ms: u64) -> Result<Publication> {
        self.check(&cut)?;
        self.place_manifest(cut, now_ms)
    }

    fn place_manifest(&mut self, cut: Cut, now_ms: u64) -> Result<Publication> {
        let epoch = cut.epoch;
        if let Some(blob) = self.missing_blob(&cut)? {
            return self.blob_is_missing(epoch, &blob);
        }
        let identity = self.store.identity().clone();
        let manifest = Slot::Manifest(Manifest { identity, attempt: self.attempt, published_ms: now_ms, cut });
        let bytes = manifest.encode()?;
        let slot = self.last + 1;
        match place(&*self.store, slot, &bytes) {
            Ok(Placed::Ours) => Ok(self.published(epoch)),
            Ok(Placed::Lost { .. }) if planted(Bug::SupersededCommits) => Ok(self.published(epoch)),
            Ok(Placed::Lost { by, .. }) => Ok(self.superseded(&by)),
            Err(error) if planted(Bug::LostAnswerIsFailure) => Err(error),
            Err(error) => self.give_up(slot, epoch, &bytes, now_ms, error),
        }
    }

    /// The publication's fate is unknown: takes its slot, so that it cannot land later, or finds that
    /// it did land (FLINK-22494).
    fn give_up(&mut self, slot: u64, epoch: Epoch, bytes: &[u8], now_ms: u64, error: Error) -> Result<Publication> {
        let abandoned = Slot::Abandoned(Abandoned {
            identity: self.store.identity().clone(),
            attempt: self.attempt,
            epoch,
            abandoned_ms: now_ms,
            reason: error.to_string(),
        });
        self.ended = true;
        if planted(Bug::NothingAbandoned) && !matches!(read_back(&*self.store, slot, bytes), Ok(Some(Placed::Ours))) {
            return Err(error);
        }
        match place(&*self.store, slot, &abandoned.encode()?) {
            Ok(Placed::Ours) => {
                let message = format!(
                    "checkpoint {epoch} could not be written to {} and was given up; the job goes on from the one before",
                    self.store.describe()
                );
                Err(Error::new(ErrorKind::Store, message).caused_by(error))
            }
            // What took the slot is looked at once: a second look could fail, and leave what is known in doubt.
            Ok(Placed::Lost { there, .. }) if there.as_deref() == Some(bytes) => {
                self.ended = false;
                Ok(self.published(epoch))
            }
            Ok(Placed::Lost { by, .. }) => Ok(self.superseded(&by)),
            Err(_) => {
                let message = format!(
                    "checkpoint {epoch} could not be written to {}, and whether it was is unknown; the next attempt will find out",
                    self.store.describe()
                );
                Err(Error::new(ErrorKind::Store, message).caused_by(error))
            }
        }
    }

    /// Why something of the restored checkpoint could not be read: a younger attempt's retention may have
    /// deleted it meanwhile.
    pub(crate) fn why(&self, error: Error) -> Error {
        match self.store.list().ok().as_ref().and_then(|slots| slots.last()) {
            Some(newest) if *newest > self.last => {
                superseded(&format!("the log has grown to slot {newest}")).caused_by(error)
            }
            _ => error,
        }
    }

    fn published(&mut self, epoch: Epoch) -> Publication {
        self.last += 1;
        self.epoch = Some(epoch);
        self.published = true;
        Publication::Published(CommitPermit::published(epoch))
    }

    fn superseded(&mut self, by: &str) -> Publication {
        self.ended = true;
        Publication::Superseded(superseded(by))
    }

    /// What must hold of a cut before its manifest may exist.
    fn check(&self, cut: &Cut) -> Result<()> {
        let refuse = |reason: String| Err(Error::new(ErrorKind::Internal, reason));
        if self.ended {
            return refuse("an attempt that has ended must not publish; please report this".to_owned());
        }
        // The restored checkpoint may be published anew, before the first one of this attempt's own.
        if Some(cut.epoch) <= self.epoch && Some(cut.epoch) != self.restored.filter(|_| self.epoch == self.restored) {
            return refuse(format!("checkpoint {} is not the next one; please report this", cut.epoch));
        }
        Ok(())
    }

    /// A blob that the cut names and that is not in the store.
    fn missing_blob(&self, cut: &Cut) -> Result<Option<String>> {
        let blobs: BTreeSet<String> = self.store.list_blobs()?.into_iter().collect();
        Ok(cut.parts().find(|part| !blobs.contains(&part.blob)).map(|part| part.blob.clone()))
    }

    /// What is not published must not name what is not there. A younger attempt's retention deletes
    /// what an older one has not published; without one it is a bug.
    fn blob_is_missing(&mut self, epoch: Epoch, blob: &str) -> Result<Publication> {
        match self.store.list()?.last() {
            Some(newest) if *newest > self.last => Ok(self.superseded(&format!("the log has grown to slot {newest}"))),
            _ => Err(Error::new(
                ErrorKind::Internal,
                format!(
                    "checkpoint {epoch} names the state blob `{blob}`, which is not in the store; please report this"
                ),
            )),
        }
    }
}

/// A slot's number and content.
type Found = (u64, Result<Slot, Unreadable>);

/// All slots, rising.
fn read_slots(store: &dyn CheckpointStore) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for slot in store.list()? {
        // `None`: a living attempt's retention deleted it since it was listed. It was an old one.
        if let Some(bytes) = store.read(slot)? {
            found.push((slot, Slot::decode(&bytes, store.identity())));
        }
    }
    Ok(found)
}

impl fmt::Debug for ClaimedLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClaimedLog")
            .field("store", &self.store.describe())
            .field("attempt", &self.attempt)
            .field("claimed", &self.claimed)
            .field("last", &self.last)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}
