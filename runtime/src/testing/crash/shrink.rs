//! Makes a failing schedule short: leaves out what does not matter for the failure.

use super::schedule::Schedule;
use crate::testing::simulation::Fault;

/// Runs that are spent on it.
const TRIES_MAX: usize = 60;

/// The shortest schedule found that still `fails`.
pub(super) fn shrink(mut schedule: Schedule, fails: impl Fn(&Schedule) -> bool) -> Schedule {
    let mut tries = 0;
    loop {
        let shorter = candidates(&schedule).find(|candidate| {
            tries += 1;
            tries <= TRIES_MAX && fails(candidate)
        });
        match shorter {
            Some(shorter) => schedule = shorter,
            None => return schedule,
        }
    }
}

/// Schedules that are a little simpler.
fn candidates(schedule: &Schedule) -> impl Iterator<Item = Schedule> + '_ {
    let in_turn = (!schedule.in_turn).then(|| Schedule { in_turn: true, ..schedule.clone() });
    let without = (0..schedule.plan.len()).map(|at| {
        let mut shorter = schedule.clone();
        shorter.plan.remove(at);
        shorter
    });
    let milder = (0..schedule.plan.len()).filter_map(|at| {
        let mut milder = schedule.clone();
        milder.plan[at].1 = match &milder.plan[at].1 {
            Fault::Zombie { turns, workers } if *turns > 1 => Fault::Zombie { turns: turns / 2, workers: *workers },
            Fault::Zombie { turns, workers } if *workers > 1 => Fault::Zombie { turns: *turns, workers: workers - 1 },
            Fault::Store { failure, calls } if *calls > 1 => Fault::Store { failure: *failure, calls: calls - 1 },
            Fault::Sink { failure, calls } if *calls > 1 => Fault::Sink { failure: *failure, calls: calls - 1 },
            Fault::PowerFailure => Fault::Kill,
            _ => return None,
        };
        Some(milder)
    });
    without.chain(in_turn).chain(milder)
}
