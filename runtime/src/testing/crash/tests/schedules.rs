//! What is planned happens, and the numbers are shared out as they are said to be.

use super::pipelines::{meters_test, word_count_test};
use crate::flow::Pipeline;
use crate::testing::CrashTest;
use crate::testing::crash::run::run;
use crate::testing::crash::schedule::{Places, Point, Schedule};
use crate::testing::simulation::Planned;
use std::collections::BTreeSet;

fn places<P: Pipeline>(test: &CrashTest<P>) -> Places {
    test.setup.places(&run(&test.setup, &Schedule::undisturbed(0), false))
}

fn each_kill_alone_happens<P: Pipeline>(test: &CrashTest<P>) {
    let places = places(test);
    let mut met = BTreeSet::new();
    for number in 0..places.singles() {
        let schedule = places.schedule(number, 3);
        let ran = run(&test.setup, &schedule, true);
        assert_eq!((ran.faults, ran.unmet), (schedule.plan.len() as u64, 0), "{:?}\n{}", schedule.plan, ran.story);
        met.extend(schedule.plan.last().map(|(planned, _)| match planned {
            Planned::At(name, _) => *name,
            Planned::After(_) => "not at a crash point",
        }));
    }
    assert_eq!(met.len(), places.points(), "{met:?}");
    assert!(met.contains("recover-settled"), "a point that only a recovery passes: {met:?}");
}

#[test]
fn each_kill_alone_happens_at_its_passage() {
    each_kill_alone_happens(&word_count_test());
    each_kill_alone_happens(&meters_test());
}

#[test]
fn hardly_any_second_kill_comes_too_late() {
    let test = word_count_test();
    let places = places(&test);
    let pairs = (places.singles()..1_000).map(|number| places.schedule(number, 3));
    let pairs: Vec<Schedule> = pairs.filter(|schedule| schedule.seed == Schedule::undisturbed(0).seed).collect();
    let unmet = |schedule: &&Schedule| run(&test.setup, schedule, false).unmet > 0;
    let late: Vec<_> = pairs.iter().filter(unmet).map(|schedule| &schedule.plan).collect();
    assert!(late.len() * 20 < pairs.len(), "{} of {}: {late:?}", late.len(), pairs.len());
}

/// Names of points, as many as are needed.
fn many(points: usize) -> Places {
    let point = |name: &&'static str| Point { name, times: 9, after: Vec::new() };
    Places::new(crate::crash::CRASH_POINTS[..points].iter().map(point).collect(), 1_000, false)
}

#[test]
fn most_of_the_default_is_random_and_pairs_are_complete_when_more_is_asked_for() {
    for points in [15, 20, 41] {
        let places = many(points);
        let is_random = |number: &u64| places.schedule(*number, 3).seed == *number;
        assert_eq!(places.singles(), 3 * points as u64);
        assert!((0..places.singles()).all(|number| !is_random(&number)));
        let random = (0..1_000).filter(is_random).count();
        assert!(random >= 500, "{random} of 1,000 with {points} points");

        let mut pairs = BTreeSet::new();
        for number in places.singles()..places.singles() + 3 * (points * points) as u64 {
            let schedule = places.schedule(number, 3);
            if schedule.seed != number {
                let names: Vec<_> = schedule.plan.iter().map(|(planned, _)| format!("{planned:?}")).collect();
                assert!(names.len() == 2 && pairs.insert(names), "a pair comes twice: {:?}", schedule.plan);
            }
        }
        assert_eq!(pairs.len(), points * points);
    }
}

#[test]
fn however_few_are_asked_for_each_point_is_tried_alone() {
    let test = word_count_test().schedules(0);
    let singles = places(&test).singles();
    assert_eq!(test.run().schedules, singles);
}

#[test]
fn any_number_is_a_schedule() {
    let report = word_count_test().seed(u64::MAX).run();
    assert_eq!(report.schedules, 1);
    assert!(report.faults + report.unmet > 0, "{report}");
}
