//! All schedules, on all cores; the first that fails, with its short story.

use super::failure::{CrashFailure, CrashReport};
use super::run::{Ran, run};
use super::schedule::{Places, Schedule};
use super::{Setup, shrink};
use crate::flow::Pipeline;
use crate::testing::simulation::{Fault, Lost, Planned};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

/// An undisturbed run: seeds of its own, so that it is no schedule.
fn undisturbed(number: u64) -> Schedule {
    Schedule { seed: u64::MAX - number, plan: Vec::new(), in_turn: false }
}

/// Undisturbed runs, to see that they agree: each with another interleaving and numbers of workers.
const UNDISTURBED: u64 = 4;

/// What is counted over all schedules.
#[derive(Default)]
struct Counts {
    next: AtomicU64,
    /// The lowest number that failed.
    failed: AtomicU64,
    ran: AtomicU64,
    turns: AtomicU64,
    processes: AtomicU64,
}

impl<P: Pipeline> Setup<P> {
    /// Runs this schedule, or so many.
    pub(super) fn check(&self, seed: Option<u64>, schedules: u64) -> Result<CrashReport, Box<CrashFailure>> {
        let reference = self.reference()?;
        let places = self.places(&reference);
        let counts = Counts { failed: AtomicU64::new(u64::MAX), ..Counts::default() };
        let (from, to) = seed.map_or((0, schedules), |seed| (seed, seed + 1));
        counts.next.store(from, Ordering::Relaxed);
        let threads =
            std::thread::available_parallelism().map_or(1, usize::from).min(1 + to.abs_diff(from) as usize / 8);
        std::thread::scope(|scope| {
            #[cfg(test)]
            let bug = crate::planted::here();
            let (places, counts) = (&places, &counts);
            let work = move || {
                #[cfg(test)]
                crate::planted::plant(bug);
                self.take_schedules(places, to, counts);
            };
            for _ in 1..threads {
                crate::threads::spawn_scoped(scope, work);
            }
            work();
        });
        match counts.failed.into_inner() {
            u64::MAX => Ok(CrashReport {
                schedules: counts.ran.into_inner(),
                processes: counts.processes.into_inner(),
                turns: counts.turns.into_inner(),
                crash_points: places.points.len(),
            }),
            number => Err(self.failure(&reference, &places, number)),
        }
    }

    /// The run that others are compared with.
    fn reference(&self) -> Result<Ran, Box<CrashFailure>> {
        let reference = self.caught(&undisturbed(0), true);
        if let Some(failure) = &reference.failure {
            return Err(CrashFailure::undisturbed::<P>(failure, &reference.story));
        }
        if let Some(id) = self.unshown(&reference).first() {
            let why = format!(
                "the records of sink `{id}` cannot be compared: derive `Debug` or `Serialize` for them, or say how they are \
                 shown with `.show::<sink>(|record| …)`"
            );
            return Err(CrashFailure::undisturbed::<P>(&why, ""));
        }
        for number in 1..UNDISTURBED {
            let again = self.caught(&undisturbed(number), true);
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

    /// Where faults can happen, seen in the reference and in runs that have to recover.
    fn places(&self, reference: &Ran) -> Places {
        let mut places = reference.places.clone();
        let mut faults = vec![("after-publish", Fault::Kill), ("before-commit", Fault::Kill)];
        if places.kafka {
            faults.push(("before-commit", Fault::Away(Lost::Nothing)));
        }
        for (at, fault) in faults {
            let plan = vec![(Planned::At(at, 1), fault)];
            let ran = self.caught(&Schedule { plan, ..undisturbed(0) }, false);
            for (name, times) in ran.places.points {
                if places.points.iter().all(|(known, _)| *known != name) {
                    places.points.push((name, times));
                }
            }
        }
        places
    }

    fn take_schedules(&self, places: &Places, to: u64, counts: &Counts) {
        // Each thread has its own: records need not be shared by threads.
        let mut reference = None;
        loop {
            let number = counts.next.fetch_add(1, Ordering::Relaxed);
            if number >= to || number > counts.failed.load(Ordering::Relaxed) {
                return;
            }
            let reference = reference.get_or_insert_with(|| self.caught(&undisturbed(0), false));
            let ran = self.caught(&places.schedule(number, self.workers_max), false);
            counts.ran.fetch_add(1, Ordering::Relaxed);
            counts.turns.fetch_add(ran.turns, Ordering::Relaxed);
            counts.processes.fetch_add(ran.processes.into(), Ordering::Relaxed);
            if self.difference(reference, &ran).is_some() {
                counts.failed.fetch_min(number, Ordering::Relaxed);
            }
        }
    }

    /// Runs a schedule; a panic of the test's own, or of this crate, is a failure like others.
    pub(super) fn caught(&self, schedule: &Schedule, recording: bool) -> Ran {
        catch_unwind(AssertUnwindSafe(|| run(self, schedule, recording))).unwrap_or_else(|panic| {
            let said = crate::data::worker::panic_message(&*panic);
            Ran { failure: Some(format!("panicked: {said}")), ..Ran::default() }
        })
    }

    fn failure(&self, reference: &Ran, places: &Places, number: u64) -> Box<CrashFailure> {
        let schedule = places.schedule(number, self.workers_max);
        let shrunk = shrink::shrink(schedule.clone(), |candidate| {
            self.difference(reference, &self.caught(candidate, false)).is_some()
        });
        let ran = self.caught(&shrunk, true);
        let difference = self.difference(reference, &ran).unwrap_or_else(|| {
            "it did not fail again: the output depends on something that outlives a run (a static), or on a real clock".to_owned()
        });
        CrashFailure::scheduled::<P>(number, &difference, &ran.story, (schedule.plan.len(), shrunk.plan.len()))
    }
}
