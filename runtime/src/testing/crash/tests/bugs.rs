//! Bugs that are planted one at a time: each is found, by what it does wrong, and not by accident.

use super::pipelines::{kafka_test, meters_test, word_count_test};
use crate::planted::{Bug, plant};
use crate::testing::CrashFailure;

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
    (Bug::FolderNotSynced, Seen::InASchedule, "too many"),
    (Bug::LinkReplaces, Seen::InASchedule, "cannot be committed: aborted by a younger attempt's recovery"),
    (Bug::SupersededCommits, Seen::InASchedule, "too many"),
    (Bug::CommitFailureIgnored, Seen::InASchedule, "missing"),
    (Bug::RecoverySettlesNothing, Seen::InASchedule, "missing"),
    (Bug::StateAfterBarrier, Seen::AtOnce, "a snapshot of 5 entries has 3"),
    (Bug::BarrierOvertakes, Seen::InASchedule, "missing"),
    (Bug::RetentionDeletesNamed, Seen::InASchedule, "is missing from the store"),
    (Bug::PositionsForgotten, Seen::InASchedule, "too many"),
    (Bug::FirstBarrierLost, Seen::InASchedule, "somebody waited for what did not come"),
    (Bug::NothingAbandoned, Seen::InASchedule, "cannot be committed: aborted by its own attempt"),
];

/// Guards of the protocol with Kafka transactions, and guards of any that have to hold there, too.
const KAFKA_BUGS: &[(Bug, Seen, &str)] = &[
    (Bug::IdentityUnproven, Seen::InASchedule, "are lost"),
    (Bug::IdReusedEarly, Seen::InASchedule, "it cannot be told whether the Kafka transaction"),
    (Bug::CarriedAborted, Seen::InASchedule, "missing"),
    (Bug::UnknownIsCommitted, Seen::InASchedule, "missing"),
    (Bug::AnswerDecides, Seen::InASchedule, "too many"),
    (Bug::ReplayCommittedEarly, Seen::InASchedule, "too many"),
    (Bug::YoungerCommittedFirst, Seen::InASchedule, "the order of records"),
    (Bug::UncleanIsCommitted, Seen::InASchedule, "missing"),
    (Bug::MarkersNotLookedAt, Seen::InASchedule, "missing"),
    (Bug::CommitBeforeManifest, Seen::InASchedule, "too many"),
    (Bug::RecoverySettlesNothing, Seen::InASchedule, "missing"),
    (Bug::CommitFailureIgnored, Seen::InASchedule, "missing"),
];

/// Plants each; says what is not found, or not as it should be.
fn wrong(bugs: &[(Bug, Seen, &str)], find: impl Fn(Bug) -> Option<Box<CrashFailure>>) -> Vec<String> {
    let mut wrong = Vec::new();
    for &(bug, seen, says) in bugs {
        plant(Some(bug));
        let found = find(bug);
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
    wrong
}

#[test]
fn every_planted_bug_is_found_by_what_it_does() {
    let wrong = wrong(BUGS, |bug| match bug {
        Bug::LostWatermark | Bug::TimersLost => meters_test().try_run().err(),
        _ => word_count_test().try_run().err(),
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_planted_bug_of_kafka_transactions_is_found_by_what_it_does() {
    let wrong = wrong(KAFKA_BUGS, |_| kafka_test().try_run().err());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
