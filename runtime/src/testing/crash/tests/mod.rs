//! The crash test finds nothing in sound pipelines, and what is wrong in others.

mod named;
mod pipelines;
mod schedules;

use super::run::run;
use super::schedule::Schedule;
use crate::planted::{Bug, plant};
use crate::testing::simulation::{Failure, Fault, Lost, Planned};
use crate::testing::{CrashFailure, Inputs};
use pipelines::{kafka_test, meters_test, totals, word_count, word_count_test};

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

#[test]
fn kafka_transactions_survive_everything() {
    let report = kafka_test().run();
    assert!(report.schedules >= 1_000 && report.crash_points >= 35, "{report}");
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
    Bug::RetentionDeletesNamed,
    Bug::PositionsForgotten,
];

/// Guards of the protocol with Kafka transactions, and such guards of any that have to hold there, too.
const KAFKA_BUGS: &[Bug] = &[
    Bug::IdReusedEarly,
    Bug::AnswerDecides,
    Bug::YoungerCommittedFirst,
    Bug::IdentityUnproven,
    Bug::CarriedAborted,
    Bug::UnknownIsCommitted,
    Bug::ReplayCommittedEarly,
    Bug::UncleanIsCommitted,
    Bug::CommitBeforeManifest,
    Bug::NoClaim,
    Bug::RecoverySettlesNothing,
    Bug::CommitFailureIgnored,
];

/// Tries all of them, and names those that were not found.
fn missed(bugs: &[Bug], find: impl Fn(Bug) -> Option<Box<CrashFailure>>) -> Vec<Bug> {
    let mut missed = Vec::new();
    for &bug in bugs {
        plant(Some(bug));
        let found = find(bug);
        plant(None);
        match found {
            Some(found) => println!("{bug:?}: {found}\n"),
            None => missed.push(bug),
        }
    }
    missed
}

#[test]
fn every_planted_bug_is_found() {
    let missed = missed(BUGS, |bug| match bug {
        Bug::LostWatermark | Bug::TimersLost => meters_test().try_run().err(),
        _ => word_count_test().try_run().err(),
    });
    assert!(missed.is_empty(), "not found: {missed:?}");
}

#[test]
fn every_planted_bug_of_kafka_transactions_is_found() {
    let missed = missed(KAFKA_BUGS, |_| kafka_test().try_run().err());
    assert!(missed.is_empty(), "not found: {missed:?}");
}

#[test]
fn the_same_number_is_the_same_run_byte_for_byte() {
    let test = word_count_test();
    let places = test.setup.places(&run(&test.setup, &Schedule::undisturbed(0), false));
    for number in 0..150 {
        let schedule = places.schedule(number * 7, 3);
        let (first, second) = (run(&test.setup, &schedule, true), run(&test.setup, &schedule, true));
        assert_eq!(first.story, second.story, "schedule {number}");
        assert_eq!((first.trace, first.turns), (second.trace, second.turns), "schedule {number}");
    }
}

#[test]
fn what_goes_wrong_is_told_and_survived() {
    let test = word_count_test();
    let undisturbed = run(&test.setup, &Schedule { seed: 1, plan: Vec::new(), in_turn: true }, false);
    for (at, fault, told) in [
        ("before-commit", Fault::Sink { failure: Failure::Before, calls: 1 }, "calls of a sink fail without effect"),
        ("before-commit", Fault::Sink { failure: Failure::After, calls: 1 }, "calls of a sink fail but were done"),
        ("before-publish", Fault::Store { failure: Failure::After, calls: 9 }, "calls of the store fail but were done"),
        ("sealed", Fault::Expire, "open transactions expire"),
        ("after-prepare", Fault::PowerFailure, "the power fails"),
        ("before-publish", Fault::Zombie { turns: 200, workers: 1 }, "stands still, and another starts"),
    ] {
        let plan = vec![(Planned::At(at, 1), fault.clone())];
        let ran = run(&test.setup, &Schedule { seed: 1, plan, in_turn: true }, true);
        assert!(ran.story.contains(told), "{fault:?}: {}", ran.story);
        assert_eq!(test.setup.difference(&undisturbed, &ran), None, "{fault:?}: {}", ran.story);
    }
}

#[test]
fn what_brokers_have_removed_is_a_loss_that_is_said_or_cannot_be_known() {
    let test = kafka_test();
    let undisturbed = run(&test.setup, &Schedule { seed: 1, plan: Vec::new(), in_turn: true }, false);
    for (lost, gave_up, told) in [
        (Lost::Nothing, false, "records of `totals_in_kafka` once more, as"),
        (Lost::Records, true, "cannot be written again from the log"),
        (Lost::Ids, false, "records of `totals_in_kafka` once more, as"),
        (Lost::RecordsAndIds, true, "it cannot be told whether the Kafka transaction"),
    ] {
        let plan = vec![(Planned::At("before-commit", 1), Fault::Away(lost))];
        let ran = run(&test.setup, &Schedule { seed: 1, plan, in_turn: true }, true);
        assert_eq!((ran.gave_up, ran.story.contains(told)), (gave_up, true), "{lost:?}: {}", ran.story);
        assert_eq!(test.setup.difference(&undisturbed, &ran), None, "{lost:?}: {}", ran.story);
    }
}

#[test]
fn a_commit_that_failed_and_is_forgotten_is_missed() {
    let test = word_count_test();
    let undisturbed = run(&test.setup, &Schedule { seed: 1, plan: Vec::new(), in_turn: true }, false);
    let plan = vec![(Planned::At("before-commit", 1), Fault::Sink { failure: Failure::Before, calls: 1 })];
    plant(Some(Bug::CommitFailureIgnored));
    let ran = run(&test.setup, &Schedule { seed: 1, plan, in_turn: true }, true);
    plant(None);
    let difference = test.setup.difference(&undisturbed, &ran).unwrap_or_else(|| panic!("{}", ran.story));
    assert!(difference.contains("missing"), "{difference}");
}

#[test]
fn a_small_input_in_one_partition_survives_everything() {
    let inputs = Inputs::new(()).source::<pipelines::lines>(["a b a", "c", "b a"]);
    word_count::crash_test(inputs).key::<totals, _>(|total| total.word.clone()).schedules(50).run();
}
