//! All schedules, on all cores; the first that fails, with its short story.

use super::failure::{CrashFailure, CrashReport};
use super::run::{Ran, run};
use super::schedule::{Places, Plan, Point, Schedule};
use super::{Setup, shrink};
use crate::flow::Pipeline;
use crate::testing::simulation::{Fault, Lost, Planned};
use std::sync::atomic::{AtomicU64, Ordering};

/// Undisturbed runs, to see that they agree: each with another interleaving and numbers of workers.
const UNDISTURBED: u64 = 4;

/// What leaves something behind that a recovery has to settle, on a way that an undisturbed run does not take.
const REVEALING: &[(&str, Fault)] = &[("after-publish", Fault::Kill), ("before-commit", Fault::Kill)];

/// The same for Kafka transactions.
const REVEALING_KAFKA: &[(&str, Fault)] = &[("before-commit", Fault::Away(Lost::Nothing))];

/// What is counted over all schedules.
#[derive(Default)]
struct Counts {
    /// How many were taken.
    taken: AtomicU64,
    /// The place of the first that failed.
    failed: AtomicU64,
    ran: AtomicU64,
    faults: AtomicU64,
    unmet: AtomicU64,
    turns: AtomicU64,
    processes: AtomicU64,
    given_up: AtomicU64,
}

/// Schedules one after the other, from a number on.
#[derive(Clone, Copy)]
struct Range {
    from: u64,
    many: u64,
}

impl<P: Pipeline> Setup<P> {
    /// Runs this schedule, or so many; all kills at one point alone are among them in any case.
    #[expect(clippy::disallowed_methods, reason = "schedules are run on all cores, each simulation on one thread")]
    pub(super) fn check(&self, seed: Option<u64>, schedules: u64) -> Result<CrashReport, Box<CrashFailure>> {
        let reference = self.reference()?;
        let places = self.places(&reference);
        let counts = Counts { failed: AtomicU64::new(u64::MAX), ..Counts::default() };
        let all = Range { from: 0, many: schedules.max(places.singles()) };
        let range = seed.map_or(all, |seed| Range { from: seed, many: 1 });
        let useful = usize::try_from(1 + range.many / 8).unwrap_or(usize::MAX);
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(useful);
        std::thread::scope(|scope| {
            #[cfg(test)]
            let bug = crate::planted::here();
            let (places, counts) = (&places, &counts);
            let work = move || {
                #[cfg(test)]
                crate::planted::plant(bug);
                self.take_schedules(places, range, counts);
            };
            for _ in 1..threads {
                crate::threads::spawn_scoped(scope, work);
            }
            work();
        });
        match counts.failed.into_inner() {
            u64::MAX => Ok(CrashReport {
                schedules: counts.ran.into_inner(),
                faults: counts.faults.into_inner(),
                unmet: counts.unmet.into_inner(),
                processes: counts.processes.into_inner(),
                turns: counts.turns.into_inner(),
                given_up: counts.given_up.into_inner(),
                crash_points: places.points(),
            }),
            at => Err(self.failure(&reference, &places, range.from + at)),
        }
    }

    /// The run that others are compared with.
    fn reference(&self) -> Result<Ran, Box<CrashFailure>> {
        let reference = run(self, &Schedule::undisturbed(0), true);
        if let Some(failure) = &reference.failure {
            return Err(CrashFailure::undisturbed::<P>(failure, &reference.story));
        }
        if reference.outputs.values().all(|output| output.visible.is_empty()) {
            let why = "the undisturbed run commits no record at all, so there is nothing to be lost: give the sources \
                       records (`Inputs`) of which some come to a sink";
            return Err(CrashFailure::undisturbed::<P>(why, &reference.story));
        }
        if let Some(id) = self.unshown(&reference).first() {
            let why = format!(
                "the records of sink `{id}` cannot be compared: derive `Debug` or `Serialize` for them, or say how they are \
                 shown with `.show::<sink>(|record| …)`"
            );
            return Err(CrashFailure::undisturbed::<P>(&why, ""));
        }
        for number in 1..UNDISTURBED {
            let again = run(self, &Schedule::undisturbed(number), true);
            if let Some(difference) = self.difference(&reference, &again) {
                let why = format!(
                    "two runs in which nothing went wrong do not agree. The output depends on something that is not in the \
                     input: state outside of `#[state]` (a static, a closure, a resource), a clock, chance, or the order in \
                     which different inputs are read. If that is meant, say what has to be the same with `.compare(…)` or \
                     `.compare_with(…)`\n{difference}"
                );
                return Err(CrashFailure::undisturbed::<P>(&why, &again.story));
            }
        }
        Ok(reference)
    }

    /// Where faults can happen: as the undisturbed run shows, and runs that have to recover.
    pub(super) fn places(&self, reference: &Ran) -> Places {
        let point = |after: &Plan, &(name, times): &(&'static str, u64)| Point { name, times, after: after.clone() };
        let mut points: Vec<Point> = reference.points.iter().map(|passed| point(&Vec::new(), passed)).collect();
        let kafka = if reference.kafka { REVEALING_KAFKA } else { &[] };
        for (at, fault) in REVEALING.iter().chain(kafka) {
            let after = vec![(Planned::At(at, 1), fault.clone())];
            let ran = run(self, &Schedule::disturbed(after.clone()), false);
            let new = |(name, _): &&(&str, u64)| points.iter().all(|known| known.name != *name);
            let new: Vec<Point> = ran.points.iter().filter(new).map(|passed| point(&after, passed)).collect();
            points.extend(new);
        }
        Places::new(points, reference.passed, reference.kafka)
    }

    fn take_schedules(&self, places: &Places, range: Range, counts: &Counts) {
        // Each thread has its own: records need not be shared by threads.
        let mut reference = None;
        loop {
            let at = counts.taken.fetch_add(1, Ordering::Relaxed);
            if at >= range.many || at > counts.failed.load(Ordering::Relaxed) {
                return;
            }
            let reference = reference.get_or_insert_with(|| run(self, &Schedule::undisturbed(0), false));
            let ran = run(self, &places.schedule(range.from + at, self.workers_max), false);
            let count = |of: &AtomicU64, more: u64| of.fetch_add(more, Ordering::Relaxed);
            count(&counts.ran, 1);
            count(&counts.faults, ran.faults);
            count(&counts.unmet, ran.unmet);
            count(&counts.turns, ran.turns);
            count(&counts.processes, ran.processes.into());
            count(&counts.given_up, ran.gave_up.into());
            if self.difference(reference, &ran).is_some() {
                counts.failed.fetch_min(at, Ordering::Relaxed);
            }
        }
    }

    fn failure(&self, reference: &Ran, places: &Places, number: u64) -> Box<CrashFailure> {
        let schedule = places.schedule(number, self.workers_max);
        let shrunk = shrink::shrink(schedule.clone(), |candidate| {
            self.difference(reference, &run(self, candidate, false)).is_some()
        });
        let ran = run(self, &shrunk, true);
        let difference = self.difference(reference, &ran).unwrap_or_else(|| {
            "it did not fail again: the output depends on something that outlives a run (a static), or on a real clock".to_owned()
        });
        CrashFailure::scheduled::<P>(number, &difference, &ran.story, (schedule.plan.len(), shrunk.plan.len()))
    }
}
