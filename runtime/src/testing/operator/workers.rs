//! Snapshots, and harnesses that start from them: one, or each of several workers' own share.

use super::snapshot::Head;
use super::{OperatorHarness, Snapshot, check};
use crate::api::key::Key;
use crate::api::operator::{Operator, Timers};
use crate::control::manifest::StateLayout;
use crate::data::outputs::Wired;
use crate::error::{Error, ErrorKind, Result};
use crate::id::groups_of_worker;
use crate::time::Timestamp;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// What an operator is restored from when it is opened.
#[derive(Default)]
pub(super) struct Restore {
    pub parts: Vec<Arc<Vec<u8>>>,
    pub watermark: Timestamp,
}

impl<O, K> OperatorHarness<O, K>
where
    O: Operator<Outputs: Wired> + Timers<K>,
    K: Key + ?Sized,
{
    fn layout() -> StateLayout {
        StateLayout::new(K::type_name(), O::schema(), O::EVENT, O::PROCESSING)
    }

    /// State, timers and watermark as a checkpoint would hold them.
    #[must_use]
    #[track_caller]
    pub fn snapshot(&mut self) -> Snapshot<O> {
        let groups = groups_of_worker(self.worker, self.workers);
        let core = self.core();
        core.begin_snapshot();
        while !core.snapshot_slice(usize::MAX) {}
        let state = check(core.take_snapshot(core.watermark));
        let (operator, watermark, keys) = (O::ID.to_owned(), state.watermark, state.entries);
        let head = Head { operator, layout: Self::layout(), groups, watermark, keys };
        check(Snapshot::new(&head, &state.bytes))
    }

    /// A harness like this one that starts from a snapshot, as after a crash: what was emitted and not taken is
    /// gone. One of several workers gets its own share of the snapshot.
    ///
    /// # Errors
    /// When the bytes are not a snapshot of this operator, or its state has another shape than the operator's,
    /// with what differs.
    pub fn try_restore(self, snapshot: &Snapshot<O>) -> Result<Self> {
        let (worker, workers) = (self.worker, self.workers);
        self.restored(std::slice::from_ref(snapshot), worker, workers)
    }

    /// As [`try_restore`](Self::try_restore), panicking with the error.
    #[must_use]
    #[track_caller]
    pub fn restore(self, snapshot: &Snapshot<O>) -> Self {
        check(self.try_restore(snapshot))
    }

    /// As [`restore`](Self::restore), from a file that [`Snapshot::keep`] or [`Snapshot::save`] wrote.
    #[must_use]
    #[track_caller]
    pub fn restore_file(self, path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        let restored = Snapshot::load(path).and_then(|snapshot| {
            self.try_restore(&snapshot).map_err(|error| error.at(format_args!("snapshot `{}`", path.display())))
        });
        check(restored)
    }

    /// A harness that holds what worker `worker` of `workers` would, from the snapshots of all workers of
    /// a job that ran with another number of them.
    ///
    /// # Errors
    /// As [`try_restore`](Self::try_restore); when a snapshot is missing that holds some of its keys.
    pub fn restore_share(self, snapshots: &[Snapshot<O>], worker: usize, workers: usize) -> Result<Self> {
        self.restored(snapshots, worker, workers)
    }

    /// The harnesses of all workers of a job that goes on with so many of them, from the snapshots of all
    /// workers that there were before. Each takes the records of the keys that it [owns](Self::owns).
    ///
    /// # Panics
    /// As [`restore_share`](Self::restore_share) fails; if there are to be no workers.
    #[must_use]
    #[track_caller]
    pub fn restore_workers(self, snapshots: &[Snapshot<O>], workers: usize) -> Vec<Self> {
        assert!(workers > 0, "a job has at least one worker");
        (0..workers).map(|worker| check(self.restored(snapshots, worker, workers))).collect()
    }

    /// The harnesses of so many workers, none of which has state yet.
    ///
    /// # Panics
    /// If there are to be none.
    #[must_use]
    #[track_caller]
    pub fn workers(self, workers: usize) -> Vec<Self> {
        assert!(workers > 0, "a job has at least one worker");
        (0..workers).map(|worker| self.fresh(worker, workers)).collect()
    }

    fn fresh(&self, worker: usize, workers: usize) -> Self {
        Self::with(self.ports.clone(), self.parts.clone(), self.now.get(), (worker, workers))
    }

    fn restored(&self, snapshots: &[Snapshot<O>], worker: usize, workers: usize) -> Result<Self> {
        if worker >= workers {
            return Err(Error::new(ErrorKind::Config, format!("of {workers} workers there is no number {worker}")));
        }
        let mine = groups_of_worker(worker, workers);
        let (mut restore, mut found, mut keys) = (Restore::default(), Vec::new(), 0);
        let mut watermark: Option<Timestamp> = None;
        for snapshot in snapshots {
            let (head, state) = snapshot.parts()?;
            check_fits(O::ID, &Self::layout(), &head)?;
            if overlap(&head.groups, &mine) {
                restore.parts.push(Arc::new(state.to_vec()));
                // As at a job's start: among workers that promised different things, the weakest holds for all.
                watermark = Some(watermark.map_or(head.watermark, |other| other.min(head.watermark)));
                keys += head.keys;
                found.push(head.groups);
            }
        }
        check_complete(found, &mine)?;
        restore.watermark = watermark.unwrap_or_default();
        let mut harness = self.fresh(worker, workers);
        harness.restore = restore;
        harness.story.begin(format!("restore, snapshots {}, keys {keys}", snapshots.len()));
        // A snapshot that does not decode has to show here, not at the next record.
        harness.try_core()?;
        harness.story.end(&[], &[]);
        Ok(harness)
    }
}

fn check_fits(operator: &str, layout: &StateLayout, head: &Head) -> Result<()> {
    if head.operator != operator {
        let message = format!("the snapshot is one of operator `{}`, not of `{operator}`", head.operator);
        return Err(Error::new(ErrorKind::State, message));
    }
    if layout.reads(&head.layout) {
        return Ok(());
    }
    let differences: String =
        layout.differences(&head.layout).iter().map(|difference| format!("\n  - {difference}")).collect();
    Err(Error::new(
        ErrorKind::State,
        format!(
            "the state of operator `{operator}` has another shape than in the snapshot, so a job could not go on from \
             its checkpoints:{differences}\n  snapshot: {}\n  program:  {}",
            head.layout.text, layout.text
        ),
    ))
}

/// What a worker needs must be in the snapshots, or keys would silently start anew.
fn check_complete(mut found: Vec<Range<u32>>, mine: &Range<u32>) -> Result<()> {
    found.sort_by_key(|groups| groups.start);
    let covered = found
        .iter()
        .fold(mine.start, |covered, groups| if groups.start <= covered { covered.max(groups.end) } else { covered });
    if covered >= mine.end {
        return Ok(());
    }
    let message = format!(
        "no snapshot holds the key groups from {covered} on, of {}..{}; give those of all workers of one checkpoint",
        mine.start, mine.end
    );
    Err(Error::new(ErrorKind::State, message))
}

fn overlap(left: &Range<u32>, right: &Range<u32>) -> bool {
    left.start.max(right.start) < left.end.min(right.end)
}
