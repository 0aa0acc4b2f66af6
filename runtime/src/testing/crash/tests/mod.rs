//! The crash test finds nothing in sound pipelines, and what is wrong in others.

mod pipelines;

use crate::planted::{Bug, plant};
use pipelines::{meters_test, word_count_test};

#[test]
fn word_count_survives_everything() {
    let report = word_count_test().run();
    assert!(report.schedules >= 1_000 && report.crash_points >= 15, "{report}");
    assert!(report.processes > 2 * report.schedules, "{report}");
}

#[test]
fn windows_survive_everything() {
    meters_test().run();
}

/// Each is a guard of the protocol or of the data path that is taken away.
const BUGS: &[Bug] = &[
    Bug::CommitBeforeManifest,
    Bug::AlignmentOff,
    Bug::OffsetsAfterSnapshot,
    Bug::LostWatermark,
    Bug::NoClaim,
    Bug::LostAnswerIsFailure,
    Bug::TimersLost,
    Bug::PartDroppedOnRescale,
    Bug::FolderNotSynced,
    Bug::LinkReplaces,
    Bug::SupersededCommits,
    Bug::CommitFailureIgnored,
    Bug::RecoverySettlesNothing,
    Bug::StateAfterBarrier,
    Bug::BarrierOvertakes,
    Bug::RetentionTooEager,
    Bug::PositionsForgotten,
];

#[test]
fn every_planted_bug_is_found() {
    let mut missed = Vec::new();
    for &bug in BUGS {
        plant(Some(bug));
        let found = match bug {
            Bug::LostWatermark | Bug::TimersLost => meters_test().try_run().err(),
            _ => word_count_test().try_run().err(),
        };
        plant(None);
        match found {
            Some(found) => println!("{bug:?}: {found}\n"),
            None => missed.push(bug),
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}
