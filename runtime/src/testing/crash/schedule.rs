//! From a schedule's number to what goes wrong in it.
//!
//! The first numbers are a kill at each crash point alone, then at each pair of them; all others are seeds
//! of random plans. With Kafka transactions there are more crash points, and more that can go wrong at each: there
//! pairs and random plans take turns.

use crate::testing::simulation::chance::Chance;
use crate::testing::simulation::{Failure, Fault, Lost, Planned};

/// A plan of faults, in the order in which they are met.
pub(super) type Plan = Vec<(Planned, Fault)>;

/// What the undisturbed run has shown: where faults can happen.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    /// The crash points that the pipeline passes, and how often.
    pub points: Vec<(&'static str, u64)>,
    /// How many places of any kind.
    pub passed: u64,
    /// Whether there is a sink with Kafka transactions.
    pub kafka: bool,
}

/// Pairs come in an order that mixes them: in that of a multiplication with this prime.
const MIX: usize = 7919;
/// Longer than a checkpoint may take.
const LATE_MS: u64 = 70_000;
/// What is as old as a late checkpoint expires meanwhile, and what is younger does not.
const OLDER_EXPIRED_MS: u64 = 200_000;
/// Longer than a transaction may take.
const EXPIRED_MS: u64 = 300_000;

/// One schedule.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    pub seed: u64,
    pub plan: Plan,
    /// Whose turn it is goes round instead of being left to chance.
    pub in_turn: bool,
}

impl Places {
    /// Each point, when it is passed first, in the middle, and last.
    fn singles(&self) -> Vec<(&'static str, u64)> {
        let mut singles = Vec::new();
        for &(name, times) in &self.points {
            let mut passages = vec![1, times.div_ceil(2), times];
            passages.dedup();
            singles.extend(passages.into_iter().map(|passage| (name, passage)));
        }
        singles
    }

    /// The schedule with this number.
    pub fn schedule(&self, number: u64, workers_max: usize) -> Schedule {
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        let plan = if self.kafka { self.plan_with_kafka(at, workers_max) } else { self.plan(at, workers_max) };
        Schedule { seed: number, plan, in_turn: false }
    }

    fn plan(&self, at: usize, workers_max: usize) -> Plan {
        let singles = self.singles();
        let pairs = self.points.len().pow(2);
        if let Some((name, passage)) = singles.get(at) {
            vec![(Planned::At(name, *passage), Fault::Kill)]
        } else if at - singles.len() < pairs {
            self.pair(at - singles.len())
        } else {
            self.random(&mut Chance::new(at as u64), workers_max)
        }
    }

    fn plan_with_kafka(&self, at: usize, workers_max: usize) -> Plan {
        let mut fixed: Vec<Plan> =
            self.singles().into_iter().map(|(name, passage)| vec![(Planned::At(name, passage), Fault::Kill)]).collect();
        fixed.extend(self.kafka_singles());
        fixed.extend(self.kafka_replays());
        if let Some(plan) = fixed.get(at) {
            return plan.clone();
        }
        let (pair, pairs) = ((at - fixed.len()) / 2, self.points.len().pow(2));
        if (at - fixed.len()).is_multiple_of(2) && pair < pairs {
            self.pair(pair.wrapping_mul(MIX) % pairs)
        } else {
            self.random(&mut Chance::new(at as u64), workers_max)
        }
    }

    /// A kill at one point, and then at another.
    fn pair(&self, number: usize) -> Plan {
        let (first, second) = (self.points[number / self.points.len()], self.points[number % self.points.len()]);
        vec![(Planned::At(first.0, first.1.div_ceil(2)), Fault::Kill), (Planned::At(second.0, 1), Fault::Kill)]
    }

    /// At each point each of the other things that can happen to Kafka transactions.
    fn kafka_singles(&self) -> Vec<Plan> {
        let faults = [
            Fault::Away(Lost::Nothing),
            Fault::Away(Lost::Records),
            Fault::Away(Lost::Ids),
            Fault::Away(Lost::RecordsAndIds),
            Fault::TakenOver,
            Fault::Slow { ms: LATE_MS, turns: 64 },
        ];
        let at_each = |fault: &Fault| {
            let fault = fault.clone();
            self.points.iter().map(move |(name, times)| vec![(Planned::At(name, times.div_ceil(2)), fault.clone())])
        };
        faults.iter().flat_map(at_each).collect()
    }

    /// Kills in each step of writing an expired transaction's records again; and of two transactions that are
    /// committed together, since the first was late, the older one expires.
    fn kafka_replays(&self) -> Vec<Plan> {
        let expired = (Planned::At("before-commit", 2), Fault::Away(Lost::Nothing));
        let steps = self.points.iter().filter(|(name, _)| name.contains("replay"));
        let killed = steps.map(|(step, _)| vec![expired.clone(), (Planned::At(step, 1), Fault::Kill)]);
        let slow = |ms| Fault::Slow { ms, turns: 64 };
        let late = self.points.iter().map(|(name, times)| {
            let then = (Planned::At("before-commit", 1), slow(OLDER_EXPIRED_MS));
            vec![(Planned::At(name, times.div_ceil(2)), slow(LATE_MS)), then]
        });
        killed.chain(late).collect()
    }

    fn random(&self, chance: &mut Chance, workers_max: usize) -> Plan {
        let faults = 1 + chance.below(3) + chance.below(3);
        let within = usize::try_from(self.passed).unwrap_or(usize::MAX).max(1) * 3 / 2;
        let mut after: Vec<u64> = (0..faults).map(|_| 1 + chance.below(within) as u64).collect();
        after.sort_unstable();
        let fault = |after| {
            if !self.kafka {
                return (Planned::After(after), self.fault(chance, workers_max));
            }
            let planned = if chance.one_in(2) {
                let (name, times) = *chance.pick(&self.points);
                Planned::At(name, 1 + chance.below(usize::try_from(times).unwrap_or(1)) as u64)
            } else {
                Planned::After(after)
            };
            (planned, self.kafka_fault(chance, workers_max))
        };
        after.into_iter().map(fault).collect()
    }

    fn kafka_fault(&self, chance: &mut Chance, workers_max: usize) -> Fault {
        let lost = [Lost::Nothing, Lost::Nothing, Lost::Records, Lost::Ids, Lost::RecordsAndIds];
        match chance.below(100) {
            0..4 => Fault::Away(*chance.pick(&lost)),
            4..8 => Fault::TakenOver,
            8..12 => Fault::Slow { ms: *chance.pick(&[LATE_MS, EXPIRED_MS]), turns: 1 << chance.below(7) },
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
