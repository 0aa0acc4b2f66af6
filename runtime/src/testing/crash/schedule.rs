//! From a schedule's number to what goes wrong in it.
//!
//! The first numbers are a kill at each crash point alone, then at each pair of them; all others are seeds
//! of random plans.

use crate::testing::simulation::chance::Chance;
use crate::testing::simulation::{Failure, Fault, Planned};

/// A plan of faults, in the order in which they are met.
pub(super) type Plan = Vec<(Planned, Fault)>;

/// What the undisturbed run has shown: where faults can happen.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    /// The crash points that the pipeline passes, and how often.
    pub points: Vec<(&'static str, u64)>,
    /// How many places of any kind.
    pub passed: u64,
}

/// One schedule.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    pub seed: u64,
    pub plan: Plan,
    /// Whose turn it is goes round instead of being left to chance.
    pub in_turn: bool,
}

impl Places {
    /// How many schedules are not random.
    pub fn fixed(&self) -> u64 {
        let points = self.points.len() as u64;
        self.singles().len() as u64 + points * points
    }

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
        let kill = |name, passage| (Planned::At(name, passage), Fault::Kill);
        let singles = self.singles();
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        let plan = if let Some((name, passage)) = singles.get(at) {
            vec![kill(*name, *passage)]
        } else if number < self.fixed() {
            let (first, second) = ((at - singles.len()) / self.points.len(), (at - singles.len()) % self.points.len());
            let (first, second) = (self.points[first], self.points[second]);
            vec![kill(first.0, first.1.div_ceil(2)), kill(second.0, 1)]
        } else {
            self.random(&mut Chance::new(number), workers_max)
        };
        Schedule { seed: number, plan, in_turn: false }
    }

    fn random(&self, chance: &mut Chance, workers_max: usize) -> Plan {
        let faults = 1 + chance.below(3) + chance.below(3);
        let within = usize::try_from(self.passed).unwrap_or(usize::MAX).max(1) * 3 / 2;
        let mut after: Vec<u64> = (0..faults).map(|_| 1 + chance.below(within) as u64).collect();
        after.sort_unstable();
        after.into_iter().map(|after| (Planned::After(after), self.fault(chance, workers_max))).collect()
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
