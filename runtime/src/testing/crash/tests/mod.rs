//! The crash test finds nothing in sound pipelines, and what is wrong in others.

mod bugs;
mod named;
mod pipelines;
mod schedules;

use super::run::{Ran, run};
use super::schedule::Schedule;
use crate::flow::Pipeline;
use crate::planted::{Bug, plant};
use crate::testing::simulation::{Failure, Fault, Lost, Planned};
use crate::testing::{CrashTest, Inputs};
use pipelines::{at_least_once_test, kafka_test, meters_test, totals, word_count, word_count_test};

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
    assert!(report.given_up > 0 && report.given_up * 10 < report.schedules, "{report}");
}

#[test]
fn at_least_once_loses_nothing_and_writes_some_again() {
    at_least_once_test().schedules(300).run();
    let (test, seed) = (at_least_once_test(), 1);
    let ran = |plan| run(&test.setup, &Schedule { seed, plan, in_turn: true }, true);
    let (undisturbed, killed) = (ran(Vec::new()), ran(vec![(Planned::At("before-publish", 1), Fault::Kill)]));
    let visible = |ran: &Ran| ran.outputs["totals_at_least_once"].visible.len();
    assert!(visible(&killed) > visible(&undisturbed), "{}", killed.story);
    assert_eq!(test.setup.difference(&undisturbed, &killed), None, "{}", killed.story);
    plant(Some(Bug::OffsetsAfterSnapshot));
    let failure = at_least_once_test().try_run().unwrap_err();
    plant(None);
    assert!(failure.what.contains("missing") && !failure.what.contains("too many"), "{failure}");
}

#[test]
fn the_same_number_is_the_same_run_byte_for_byte() {
    twice_the_same(&word_count_test(), 100);
    twice_the_same(&meters_test(), 50);
    twice_the_same(&kafka_test(), 100);
}

fn twice_the_same<P: Pipeline>(test: &CrashTest<P>, schedules: u64) {
    let places = test.setup.places(&run(&test.setup, &Schedule::undisturbed(0), false));
    for number in 0..schedules {
        let schedule = places.schedule(number * 7, 3);
        let (first, second) = (run(&test.setup, &schedule, true), run(&test.setup, &schedule, true));
        assert_eq!(first.story, second.story, "schedule {number}");
        // The trace follows from every choice and from every byte on the disk.
        assert_eq!((first.trace, first.turns), (second.trace, second.turns), "schedule {number}");
        let shown = |ran: &Ran| ran.outputs.values().flat_map(|output| output.shown.clone()).collect::<Vec<_>>();
        assert_eq!(shown(&first), shown(&second), "schedule {number}");
        assert!(first.failure.is_some() || first.gave_up || !shown(&first).is_empty());
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
fn a_process_whose_claim_gets_no_answer_goes_on() {
    let test = word_count_test();
    let undisturbed = run(&test.setup, &Schedule { seed: 1, plan: Vec::new(), in_turn: true }, false);
    for failure in [Failure::After, Failure::Late] {
        let plan = vec![
            (Planned::At("before-commit", 1), Fault::Sink { failure: Failure::Before, calls: 1 }),
            // From here on the next file to be named is the second attempt's claim.
            (Planned::At("before-claim", 1), Fault::Slow { ms: 0, turns: 0 }),
            (Planned::At("disk-link", 1), Fault::Store { failure, calls: 3 }),
        ];
        let ran = run(&test.setup, &Schedule { seed: 1, plan, in_turn: true }, true);
        assert_eq!((ran.faults, ran.processes), (3, 2), "{}", ran.story);
        assert_eq!(test.setup.difference(&undisturbed, &ran), None, "{}", ran.story);
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
