//! A plan of failures: what is to happen at the n-th passage of a step.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Where something can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// A sink's participant is opened.
    Open,
    Recover,
    /// A sink's writer is made.
    Writer,
    Ready,
    Write,
    Seal,
    Prepare,
    /// Before anything is visible.
    Commit,
    /// It is visible, but the answer is not heard.
    Committed,
    /// A record reaches the operator.
    Record,
    /// A source is polled.
    Poll,
    /// A source's reader is made.
    Reader,
}

/// What happens there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Fail,
    Panic,
    /// Comes back only when [`Faults::release`] is called.
    Block,
}

#[derive(Default)]
struct Plan {
    passed: BTreeMap<Step, u64>,
    /// By step: at which passages.
    planned: Vec<(Step, std::ops::RangeInclusive<u64>, Act)>,
    released: bool,
}

/// The plan; clones share it.
#[derive(Clone, Default)]
pub struct Faults(Arc<(Mutex<Plan>, Condvar)>);

impl Faults {
    /// At one passage, counted from 1 over all attempts and workers.
    #[must_use]
    pub fn at(self, step: Step, passage: u64, act: Act) -> Self {
        self.lock().planned.push((step, passage..=passage, act));
        self
    }

    /// At this passage and all later ones.
    #[must_use]
    pub fn from(self, step: Step, passage: u64, act: Act) -> Self {
        self.lock().planned.push((step, passage..=u64::MAX, act));
        self
    }

    /// Something comes by; `Err` when it is to fail.
    ///
    /// # Panics
    /// If the plan says so.
    pub fn pass(&self, step: Step) -> Result<(), String> {
        let mut plan = self.lock();
        let passed = plan.passed.entry(step).or_default();
        *passed += 1;
        let passed = *passed;
        let act = plan.planned.iter().find(|(at, passages, _)| *at == step && passages.contains(&passed));
        let act = act.map(|(_, _, act)| *act);
        self.0.1.notify_all();
        match act {
            None => Ok(()),
            Some(Act::Fail) => Err(format!("planned failure: {step:?} {passed}")),
            Some(Act::Panic) => {
                drop(plan);
                panic!("planned panic: {step:?} {passed}")
            }
            Some(Act::Block) => {
                drop(self.0.1.wait_while(plan, |plan| !plan.released).unwrap_or_else(PoisonError::into_inner));
                Ok(())
            }
        }
    }

    /// How often a step was passed.
    pub fn passed(&self, step: Step) -> u64 {
        self.lock().passed.get(&step).copied().unwrap_or(0)
    }

    /// Waits until a step was passed so often.
    ///
    /// # Panics
    /// If it takes longer than any test may.
    pub fn wait_for(&self, step: Step, passages: u64) {
        wait_until(&self.0, &format!("{passages} passages of {step:?}"), |plan| {
            plan.passed.get(&step).copied().unwrap_or(0) >= passages
        });
    }

    /// Lets everything go on that [`Act::Block`] holds.
    pub fn release(&self) {
        self.lock().released = true;
        self.0.1.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Plan> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits on a condition variable until something holds.
///
/// # Panics
/// If it takes longer than any test may.
pub fn wait_until<T>(shared: &(Mutex<T>, Condvar), what: &str, mut holds: impl FnMut(&T) -> bool) {
    let deadline = Instant::now() + super::guard::LIMIT;
    let mut value = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
    while !holds(&value) {
        let left = deadline.saturating_duration_since(Instant::now());
        assert!(left > Duration::ZERO, "waited in vain for {what}");
        value = shared.1.wait_timeout(value, left).unwrap_or_else(PoisonError::into_inner).0;
    }
}
