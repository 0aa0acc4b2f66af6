//! Bugs that are planted one at a time: each is found, by what it does wrong, and not by accident.

use super::pipelines::{meters_test, word_count_test};
use crate::planted::{Bug, plant};

/// Whether something had to go wrong for it to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// Undisturbed runs already differ, or fail.
    AtOnce,
    InASchedule,
}

/// Each is a guard of the protocol or of the data path that is taken away, when that is seen, and what is said then.
const BUGS: &[(Bug, Seen, &str)] = &[
    (Bug::CommitBeforeManifest, Seen::InASchedule, "too many"),
    (Bug::AlignmentOff, Seen::InASchedule, "too many"),
    (Bug::OffsetsAfterSnapshot, Seen::InASchedule, "missing"),
    (Bug::LostWatermark, Seen::AtOnce, "two runs in which nothing went wrong do not agree"),
    (Bug::NoClaim, Seen::InASchedule, "too many"),
    (Bug::LostAnswerIsFailure, Seen::InASchedule, "cannot be committed: aborted by its own attempt"),
    (Bug::TimersLost, Seen::InASchedule, "missing"),
    (Bug::PartDroppedOnRescale, Seen::InASchedule, "too many"),
    (Bug::FolderNotSynced, Seen::InASchedule, "committed before it was prepared"),
    (Bug::LinkReplaces, Seen::InASchedule, "cannot be committed: aborted by a younger attempt's recovery"),
    (Bug::SupersededCommits, Seen::InASchedule, "cannot be committed: aborted by a younger attempt's recovery"),
    (Bug::CommitFailureIgnored, Seen::InASchedule, "missing"),
    (Bug::RecoverySettlesNothing, Seen::InASchedule, "missing"),
    (Bug::StateAfterBarrier, Seen::AtOnce, "a snapshot of 5 entries has 3"),
    (Bug::BarrierOvertakes, Seen::InASchedule, "missing"),
    (Bug::RetentionDeletesNamed, Seen::InASchedule, "is missing from the store"),
    (Bug::PositionsForgotten, Seen::InASchedule, "too many"),
    (Bug::FirstBarrierLost, Seen::InASchedule, "somebody waited for what did not come"),
    (Bug::NothingAbandoned, Seen::InASchedule, "cannot be committed: aborted by its own attempt"),
];

#[test]
fn every_planted_bug_is_found_by_what_it_does() {
    let mut wrong = Vec::new();
    for &(bug, seen, says) in BUGS {
        plant(Some(bug));
        let found = match bug {
            Bug::LostWatermark | Bug::TimersLost => meters_test().try_run().err(),
            _ => word_count_test().try_run().err(),
        };
        plant(None);
        let Some(found) = found else {
            wrong.push(format!("{bug:?} is not found"));
            continue;
        };
        println!("{bug:?}: {found}\n");
        let when = if found.seed.is_some() { Seen::InASchedule } else { Seen::AtOnce };
        if when != seen || !found.what.contains(says) {
            wrong.push(format!("{bug:?} is seen {when:?}: {}", found.what));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
