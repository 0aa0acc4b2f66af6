//! Snapshots of the table, made and restored.
//!
//! A snapshot holds each entry as it was at [`StateTable::begin_snapshot`]. That call only starts a
//! cursor; [`StateTable::snapshot_slice`] moves it over a bounded number of slots between batches.
//! Each entry carries the number of the *interval* (between two snapshots) in which it last changed.
//! An entry that is about to change for the first time in an interval and still lies ahead of the
//! cursor is saved first; an entry that the cursor meets with the running interval's number was
//! saved that way, or is new. So both the flow and the scan decide by one comparison.
//!
//! A snapshot of the *changes* since another writes only what the stamps show to have changed, and
//! the keys that were forgotten, which the table remembers from when it is first asked for changes.

use super::{IDLE, Slot, StateTable};
use crate::api::key::Key;
use crate::api::state::State;
use crate::codec::damaged;
use crate::error::{Error, ErrorKind, Result};
use crate::planted::{Bug, planted};
use crate::state::snapshot::{Saved, SnapshotBytes, SnapshotKind, SnapshotWriter, count_groups, read_groups};
use std::borrow::Borrow;

/// A slice ends after so many bytes even if slots are left: states differ in size.
const SLICE_BYTES: usize = 1 << 20;

/// What a table keeps for its snapshots.
pub(super) struct Saving<O> {
    writer: SnapshotWriter,
    /// A snapshot was completed and not yet taken.
    complete: bool,
    /// The running snapshot holds the entries stamped with this interval or a later one.
    since: u32,
    /// The interval that the last snapshot that was taken began, if changes since then are known.
    base: Option<u32>,
    /// Whether forgotten keys are remembered.
    remember: bool,
    /// The keys forgotten since the running snapshot began.
    forgotten: Vec<(u64, O)>,
    /// Those forgotten before, since the last snapshot that was taken.
    gone: Vec<(u64, O)>,
    /// How many of `gone` the running snapshot has written.
    gone_written: usize,
}

impl<O> Default for Saving<O> {
    fn default() -> Self {
        Self {
            writer: SnapshotWriter::default(),
            complete: false,
            since: 0,
            base: None,
            remember: false,
            forgotten: Vec::new(),
            gone: Vec::new(),
            gone_written: 0,
        }
    }
}

impl<O> Saving<O> {
    #[inline]
    pub(super) fn forgotten(&mut self, hash: u64, key: O) {
        if self.remember {
            self.forgotten.push((hash, key));
        }
    }
}

impl<K: Key + ?Sized, S: State + Default> StateTable<K, S> {
    /// Starts a snapshot of the entries as they are now; a constant amount of work. One that is not
    /// complete, or was not taken, is abandoned.
    ///
    /// A snapshot of the changes since the last one that was *taken* needs that one, and so on back to
    /// a full one. Where there is none, or changes had not been asked for before, it is a full one:
    /// [`SnapshotBytes::kind`] tells.
    pub fn begin_snapshot(&mut self, kind: SnapshotKind) {
        if self.interval == u32::MAX {
            self.restamp();
        }
        self.interval += 1;
        self.cursor = 0;
        let saving = &mut self.saving;
        saving.complete = false;
        saving.remember |= kind == SnapshotKind::Changes;
        if saving.gone.is_empty() {
            std::mem::swap(&mut saving.gone, &mut saving.forgotten);
        } else {
            // Only after a snapshot that was abandoned.
            saving.gone.append(&mut saving.forgotten);
        }
        let guess = 16 + size_of::<K::Owned>() + size_of::<S>();
        match saving.base.filter(|_| kind == SnapshotKind::Changes) {
            Some(base) => {
                (saving.since, saving.gone_written) = (base, 0);
                saving.writer.begin(None, guess);
            }
            None => {
                (saving.since, saving.gone_written) = (0, saving.gone.len());
                saving.writer.begin(Some(self.len), guess);
            }
        }
    }

    /// Numbers start anew, once in four billion snapshots.
    #[cold]
    fn restamp(&mut self) {
        self.interval = 1;
        self.saving.base = None;
        for slot in &mut self.slots {
            if let Slot::Held { stamp, .. } = slot {
                *stamp = 0;
            }
        }
    }

    /// An entry is about to change for the first time in this interval.
    #[inline(never)]
    pub(super) fn first_change(&mut self, at: usize) {
        if let Some(Slot::Held { hash, stamp, key, state }) = self.slots.get_mut(at) {
            if at >= self.cursor && *stamp >= self.saving.since && !planted(Bug::StateAfterBarrier) {
                let key = |out: &mut Vec<u8>| (*key).borrow().encode(out);
                self.saving.writer.add(Saved::Early, *hash, key, |out| state.encode(out));
            }
            *stamp = self.interval;
        }
    }

    /// Writes the next part of the running snapshot: at most `max_slots` slots and about a megabyte.
    /// Returns whether it is complete (also when none is running).
    pub fn snapshot_slice(&mut self, max_slots: usize) -> bool {
        if self.cursor == IDLE {
            return true;
        }
        let saving = &mut self.saving;
        let mut bytes = 0;
        for (hash, key) in saving.gone.iter().skip(saving.gone_written).take(max_slots) {
            bytes += saving.writer.add(Saved::Gone, *hash, |out| key.borrow().encode(out), |_| {});
            saving.gone_written += 1;
            if bytes >= SLICE_BYTES {
                return false;
            }
        }
        let (since, interval) = (saving.since, self.interval);
        let end = self.cursor.saturating_add(max_slots).min(self.slots.len());
        for slot in &self.slots[self.cursor..end] {
            self.cursor += 1;
            if let Slot::Held { hash, stamp, key, state } = slot
                && (since..interval).contains(stamp)
            {
                let key = |out: &mut Vec<u8>| key.borrow().encode(out);
                bytes += saving.writer.add(Saved::Scanned, *hash, key, |out| state.encode(out));
                if bytes >= SLICE_BYTES {
                    break;
                }
            }
        }
        if self.cursor < self.slots.len() || saving.gone_written < saving.gone.len() {
            return false;
        }
        self.cursor = IDLE;
        saving.complete = true;
        true
    }

    /// Hands out the snapshot that [`StateTable::snapshot_slice`] completed.
    ///
    /// # Errors
    /// [`ErrorKind::State`] when a state could not be encoded; `Internal` when no snapshot is complete.
    pub fn take_snapshot(&mut self) -> Result<SnapshotBytes> {
        let saving = &mut self.saving;
        if !std::mem::take(&mut saving.complete) {
            return Err(Error::new(ErrorKind::Internal, "a snapshot was taken before it was complete"));
        }
        let taken = saving.writer.finish()?;
        saving.gone.clear();
        saving.base = saving.remember.then_some(self.interval);
        Ok(taken)
    }

    /// Stops the running snapshot, if there is one.
    pub fn abandon_snapshot(&mut self) {
        self.cursor = IDLE;
        self.saving.complete = false;
    }

    /// Gives back the memory of a snapshot that has been stored: fresh memory costs several times
    /// what the encoding costs.
    pub fn recycle(&mut self, bytes: Vec<u8>) {
        if self.cursor == IDLE && !self.saving.complete {
            self.saving.writer.recycle(bytes);
        }
    }

    /// Adds the entries of a snapshot that belong to this table's key groups. Snapshots of changes
    /// are applied in their order, after the full one that they follow.
    ///
    /// # Errors
    /// [`ErrorKind::Checkpoint`] when the snapshot is damaged or not of these types; the table is
    /// then not to be used.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<()> {
        let groups = self.groups.clone();
        let (kind, entries) = count_groups(bytes, &groups)?;
        if kind == SnapshotKind::Full {
            let entries = usize::try_from(entries).unwrap_or(usize::MAX);
            self.reserve(self.len.saturating_add(entries));
        }
        read_groups(bytes, &groups, |hash, key, state| {
            let key = K::decode(key)
                .ok_or_else(|| damaged(format_args!("not the bytes of a key of type {}", K::type_name())))?;
            if self.find(hash, key.borrow()).is_some() {
                if kind == SnapshotKind::Full {
                    return Err(damaged(format_args!("the key {key:?} has two states")));
                }
                let slot = self.entry(hash, key.borrow());
                self.forget(slot);
            }
            let Some(mut state) = state else { return Ok(()) };
            let value = S::decode(&mut state)?;
            if !state.is_empty() {
                return Err(damaged(format_args!("{} bytes left over after the state of a key", state.len())));
            }
            let at = self.vacant(hash);
            self.insert(hash, key, value, at);
            Ok(())
        })
    }
}
