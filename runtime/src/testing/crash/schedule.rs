//! From a schedule's number to what goes wrong in it.
//!
//! The first numbers are a kill at each crash point alone. Of those that follow some are kills at each pair of
//! crash points, until there are no more pairs; all others are seeds of random plans.
//!
//! What is not random runs under the seed of the undisturbed run: up to its first fault it is that run, so that
//! the point is passed as often as it was there.

use crate::testing::simulation::chance::Chance;
use crate::testing::simulation::{Failure, Fault, Planned};

/// A plan of faults, in the order in which they are met.
pub(super) type Plan = Vec<(Planned, Fault)>;

/// One schedule.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    pub seed: u64,
    pub plan: Plan,
    /// Whose turn it is goes round instead of being left to chance.
    pub in_turn: bool,
}

impl Schedule {
    /// An undisturbed run: seeds of its own, so that it is none of the random schedules.
    pub fn undisturbed(number: u64) -> Self {
        Self { seed: u64::MAX - number, plan: Vec::new(), in_turn: false }
    }

    /// The undisturbed run that all others are compared with, until the first fault of this plan happens.
    pub fn disturbed(plan: Plan) -> Self {
        Self { plan, ..Self::undisturbed(0) }
    }

    /// Whether nothing fails but whole processes, so that each of them finds a world in which all works.
    pub fn only_kills(&self) -> bool {
        self.plan.iter().all(|(_, fault)| matches!(fault, Fault::Kill | Fault::PowerFailure))
    }
}

/// A crash point that the pipeline passes.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub name: &'static str,
    /// How often, once `after` has happened.
    pub times: u64,
    /// What has to go wrong before, for a point that only a recovery passes.
    pub after: Plan,
}

impl Point {
    /// A kill at this passage.
    fn kill(&self, passage: u64) -> Plan {
        let mut plan = self.after.clone();
        plan.push((Planned::At(self.name, passage), Fault::Kill));
        plan
    }

    fn middle(&self) -> u64 {
        self.times.div_ceil(2)
    }
}

/// Where faults can happen, as the undisturbed run and recoveries have shown.
#[derive(Clone, Debug)]
pub(super) struct Places {
    points: Vec<Point>,
    /// How many places of any kind the undisturbed run passes.
    passed: u64,
    /// A kill at each point, when it is passed first, in the middle, and last.
    singles: Vec<Plan>,
}

/// Of so many numbers after those of single kills …
const ROUND: u64 = 5;
/// … so many are pairs: most of the schedules that somebody asks for stay random.
const PAIRS_A_ROUND: u64 = 2;

impl Places {
    pub fn new(points: Vec<Point>, passed: u64) -> Self {
        let first = points.iter().map(|point| point.kill(1));
        let middle = points.iter().filter(|point| point.middle() > 1).map(|point| point.kill(point.middle()));
        let last = points.iter().filter(|point| point.times > point.middle()).map(|point| point.kill(point.times));
        let singles = first.chain(middle).chain(last).collect();
        Self { points, passed, singles }
    }

    pub fn points(&self) -> usize {
        self.points.len()
    }

    /// How many schedules are a kill alone.
    pub fn singles(&self) -> u64 {
        self.singles.len() as u64
    }

    /// The schedule with this number.
    pub fn schedule(&self, number: u64, workers_max: usize) -> Schedule {
        let single = usize::try_from(number).ok().and_then(|at| self.singles.get(at)).cloned();
        match single.or_else(|| self.pair(number.checked_sub(self.singles())?)) {
            Some(plan) => Schedule::disturbed(plan),
            None => Schedule { seed: number, plan: self.random(&mut Chance::new(number), workers_max), in_turn: false },
        }
    }

    /// The pair of kills at this place among the numbers after those of single ones, if it is one.
    fn pair(&self, number: u64) -> Option<Plan> {
        let (round, within) = (number / ROUND, number % ROUND);
        let points = self.points.len() as u64;
        let nth = round * PAIRS_A_ROUND + within;
        if within >= PAIRS_A_ROUND || nth >= points * points {
            return None;
        }
        // No divisor of the step divides the number of pairs, so that each comes once; and of any few in a row
        // every one has another first and another second point.
        let at = nth * (points + 1) % (points * points);
        let point = |at: u64| self.points.get(usize::try_from(at).ok()?);
        let (first, second) = (point(at / points)?, point(at % points)?);
        Some([first.kill(first.middle()), second.kill(1)].concat())
    }

    fn random(&self, chance: &mut Chance, workers_max: usize) -> Plan {
        let faults = 1 + chance.below(3) + chance.below(3);
        let within = usize::try_from(self.passed).unwrap_or(usize::MAX).max(1) * 3 / 2;
        let mut after: Vec<u64> = (0..faults).map(|_| 1 + chance.below(within) as u64).collect();
        after.sort_unstable();
        let fault = |after: u64| {
            let fault = self.fault(chance, workers_max);
            match &fault {
                // Only what gives a file its name can be done late.
                Fault::Store { failure: Failure::Late, .. } => (Planned::At("disk-link", 1 + chance.next() % 6), fault),
                _ => (Planned::After(after), fault),
            }
        };
        after.into_iter().map(fault).collect()
    }

    fn fault(&self, chance: &mut Chance, workers_max: usize) -> Fault {
        let failure = *chance.pick(&[Failure::Before, Failure::After, Failure::After, Failure::Late]);
        match chance.below(100) {
            0..24 => Fault::Kill,
            24..34 => Fault::PowerFailure,
            34..58 => Fault::Zombie { turns: 1 << chance.below(10), workers: 1 + chance.below(workers_max) },
            58..66 => Fault::Slow { ms: *chance.pick(&[1, 20, 400, 70_000]), turns: 1 << chance.below(7) },
            66..78 => Fault::Store { failure, calls: 1 + chance.below(6) },
            78..90 => Fault::Sink { failure, calls: 1 + chance.below(3) },
            90..94 => Fault::Expire,
            _ => Fault::Suspend,
        }
    }
}
