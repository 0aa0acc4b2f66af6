//! From a schedule's number to what goes wrong in it.
//!
//! The first numbers are a kill at each crash point alone. Of those that follow some are kills at each pair of
//! crash points, until there are no more pairs; all others are seeds of random plans.
//!
//! What is not random runs under the seed of the undisturbed run: up to its first fault it is that run, so that
//! the point is passed as often as it was there. With Kafka transactions these are more: the other things that can
//! happen to a transaction at each crash point.

use crate::testing::simulation::chance::Chance;
use crate::testing::simulation::{Failure, Fault, Lost, Planned};

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

    /// Whether a process may find that another one runs the job.
    pub fn has_two_at_once(&self) -> bool {
        self.plan.iter().any(|(_, fault)| matches!(fault, Fault::Zombie { .. }))
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
        self.with(passage, Fault::Kill)
    }

    fn with(&self, passage: u64, fault: Fault) -> Plan {
        let mut plan = self.after.clone();
        plan.push((Planned::At(self.name, passage), fault));
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
    /// At each point what else can happen to a Kafka transaction.
    kafka: Vec<Plan>,
}

/// Longer than a checkpoint may take.
const LATE_MS: u64 = 70_000;
/// What is as old as a late checkpoint expires meanwhile, and what is younger does not.
const OLDER_EXPIRED_MS: u64 = 200_000;
/// Longer than a transaction may take.
const EXPIRED_MS: u64 = 300_000;

/// At each point each of the other things that can happen to Kafka transactions. And of two that are committed
/// together, since the checkpoint of the first was late, the older one expires.
fn kafka_plans(points: &[Point]) -> Vec<Plan> {
    let slow = |ms| Fault::Slow { ms, turns: 64 };
    let faults = [
        Fault::Away(Lost::Nothing),
        Fault::Away(Lost::Records),
        Fault::Away(Lost::Ids),
        Fault::Away(Lost::RecordsAndIds),
        Fault::TakenOver,
        Fault::MarkersForgotten,
        slow(LATE_MS),
    ];
    let at_each = |fault: &Fault| {
        let fault = fault.clone();
        points.iter().map(move |point| point.with(point.middle(), fault.clone()))
    };
    let alone = faults.iter().flat_map(at_each);
    let older_expires = points.iter().map(|point| {
        let mut plan = point.with(point.middle(), slow(LATE_MS));
        plan.push((Planned::At("before-commit", 1), slow(OLDER_EXPIRED_MS)));
        plan
    });
    alone.chain(older_expires).collect()
}

/// Of so many numbers after those of single kills …
const ROUND: u64 = 5;
/// … so many are pairs: most of the schedules that somebody asks for stay random.
const PAIRS_A_ROUND: u64 = 2;

impl Places {
    /// `kafka`: whether there is a sink with Kafka transactions.
    pub fn new(points: Vec<Point>, passed: u64, kafka: bool) -> Self {
        let first = points.iter().map(|point| point.kill(1));
        let middle = points.iter().filter(|point| point.middle() > 1).map(|point| point.kill(point.middle()));
        let last = points.iter().filter(|point| point.times > point.middle()).map(|point| point.kill(point.times));
        let singles = first.chain(middle).chain(last).collect();
        let kafka = if kafka { kafka_plans(&points) } else { Vec::new() };
        Self { points, passed, singles, kafka }
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
        let fixed = self.singles.len() + self.kafka.len();
        let single =
            usize::try_from(number).ok().and_then(|at| self.singles.iter().chain(&self.kafka).nth(at)).cloned();
        match single.or_else(|| self.pair(number.checked_sub(fixed as u64)?)) {
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
        let kafka = !self.kafka.is_empty();
        let fault = |after: u64| {
            let fault = if kafka { self.kafka_fault(chance, workers_max) } else { self.fault(chance, workers_max) };
            let planned = match &fault {
                // Only what gives a file its name can be done late.
                Fault::Store { failure: Failure::Late, .. } => Planned::At("disk-link", 1 + chance.next() % 6),
                _ if kafka && chance.one_in(2) => {
                    let point = chance.pick(&self.points).clone();
                    Planned::At(point.name, 1 + chance.next() % point.times.max(1))
                }
                _ => Planned::After(after),
            };
            (planned, fault)
        };
        after.into_iter().map(fault).collect()
    }

    fn kafka_fault(&self, chance: &mut Chance, workers_max: usize) -> Fault {
        let lost = [Lost::Nothing, Lost::Nothing, Lost::Records, Lost::Ids, Lost::RecordsAndIds];
        match chance.below(100) {
            0..4 => Fault::Away(*chance.pick(&lost)),
            4..8 => Fault::TakenOver,
            8..12 => Fault::Slow { ms: *chance.pick(&[LATE_MS, EXPIRED_MS]), turns: 1 << chance.below(7) },
            12..16 => Fault::MarkersForgotten,
            _ => self.fault(chance, workers_max),
        }
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
