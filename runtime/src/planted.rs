//! Bugs that this crate's own tests plant, one at a time, to see that the crash test finds them.
//!
//! Outside of these tests [`planted`] is a constant: nothing of this is in a build that anybody runs.

/// A bug, named by what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Output is committed when it is prepared, not when the manifest is durable.
    CommitBeforeManifest,
    /// Inputs that are past a barrier are not held back until the others are.
    AlignmentOff,
    /// A source reports its position some records after the barrier.
    OffsetsAfterSnapshot,
    /// A watermark that comes while barriers are aligned is forgotten.
    LostWatermark,
    /// An attempt recovers and commits without having claimed a slot.
    NoClaim,
    /// A publication whose answer was lost is taken to have failed, and its output is aborted.
    LostAnswerIsFailure,
    /// Timers are not restored.
    TimersLost,
    /// Where state comes from several parts, one is not read.
    PartDroppedOnRescale,
    /// The folder that names a new file is not fsync'ed.
    FolderNotSynced,
    /// Naming a file replaces what had the name.
    LinkReplaces,
    /// An attempt that was superseded commits all the same.
    SupersededCommits,
    /// A commit that failed is taken to be done.
    CommitFailureIgnored,
    /// Recovery removes what is open without committing what the checkpoint lists.
    RecoverySettlesNothing,
    /// A state that changes after the barrier is not saved as it was at the barrier.
    StateAfterBarrier,
    /// A barrier overtakes the records that an exchange has collected.
    BarrierOvertakes,
    /// Retention deletes state that the newest checkpoint names.
    RetentionDeletesNamed,
    /// Restored positions are those of a first start.
    PositionsForgotten,
    /// The first barrier of a process gets lost, if its number is even; the job goes on when its time is up.
    FirstBarrierLost,
    /// A publication that is given up does not take its slot, so that it can land later, and its output is aborted.
    NothingAbandoned,
    /// It is not checked that what Kafka describes is this process's own transaction.
    IdentityUnproven,
    /// A transactional id is used again as soon as its transaction is committed.
    IdReusedEarly,
    /// What a checkpoint that is late has prepared is aborted instead of carried into the next.
    CarriedAborted,
    /// What cannot be known to be committed is taken to be.
    UnknownIsCommitted,
    /// What was written again from the log is committed before the manifest lists it.
    ReplayCommittedEarly,
    /// A commit without a clean answer is taken to be done.
    UncleanIsCommitted,
    /// What `EndTxn` answers decides how a transaction has ended; nobody is asked for its fate.
    AnswerDecides,
    /// Younger transactions are committed in front of an older one that is written again.
    YoungerCommittedFirst,
    /// Nobody looks whether a transaction that has ended has in every partition.
    MarkersNotLookedAt,
}

#[cfg(test)]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Plants a bug on this thread, in place of the one that is there.
#[cfg(test)]
pub(crate) fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// The bug on this thread, to be planted on those that it starts.
#[cfg(test)]
pub(crate) fn here() -> Option<Bug> {
    PLANTED.get()
}

/// Whether this bug is planted on this thread.
#[cfg(test)]
pub(crate) fn planted(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// No bug is.
#[cfg(not(test))]
#[inline(always)]
pub(crate) const fn planted(_bug: Bug) -> bool {
    false
}
