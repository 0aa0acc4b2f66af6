//! What goes wrong, where: a plan of faults, met by the calls and crash points that processes pass.

use super::Simulation;
use super::world::{Failure, Pid};
use std::collections::VecDeque;
use std::rc::Rc;

/// Something that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process is killed where it stands.
    Kill,
    /// The machine loses its power: all processes die, and of what was not fsync'ed anything may be lost.
    PowerFailure,
    /// The process stands still, all of it; another one takes the job over meanwhile, for so many turns
    /// before the first wakes up.
    Zombie { turns: usize, workers: usize },
    /// The call takes so long; the process's other actors go on for so many turns.
    Slow { ms: u64, turns: usize },
    /// The next so many calls of the store fail.
    Store { failure: Failure, calls: usize },
    /// The next so many calls of a sink's other side fail.
    Sink { failure: Failure, calls: usize },
    /// Transactions are aborted by their timeout: in Kafka all that are open, else those not prepared.
    Expire,
    /// Everything dies, and nobody starts again before Kafka transactions have expired; what is lost besides.
    Away(Lost),
    /// Somebody else takes over the transactional ids that have a transaction open, and writes with them.
    TakenOver,
    /// Kafka forgets to end the transaction that is over next in its partitions, as they have no leader (KAFKA-20734).
    MarkersForgotten,
    /// The process is asked to leave.
    Suspend,
}

/// What brokers remove in a long time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    Nothing,
    /// What lies in the logs.
    Records,
    /// The transactional ids that have nothing open.
    Ids,
    RecordsAndIds,
}

/// Where a fault happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Planned {
    /// When so many places were passed, over all processes.
    After(u64),
    /// At this place, when it is passed for the nth time since the fault before.
    At(&'static str, u64),
}

#[derive(Default)]
pub(crate) struct Faults {
    plan: VecDeque<(Planned, Fault)>,
    passed: u64,
    /// How many faults of the plan have happened.
    pub happened: u64,
    /// Those of the plan that nothing will come to any more.
    given_up: u64,
    calm: bool,
    /// How often each place was passed, in the order in which they were first, before nothing went wrong any more.
    pub counts: Vec<(&'static str, u64)>,
    /// What is to happen at the next place of this name.
    armed: Option<&'static str>,
}

impl Faults {
    pub fn plan(&mut self, plan: impl IntoIterator<Item = (Planned, Fault)>) {
        self.plan = plan.into_iter().collect();
    }

    /// Nothing goes wrong any more.
    pub fn calm(&mut self) {
        self.calm = true;
        self.given_up += self.plan.drain(..).len() as u64;
    }

    /// How many faults of the plan have not happened.
    pub fn unmet(&self) -> u64 {
        self.given_up + self.plan.len() as u64
    }

    pub fn passed(&self) -> u64 {
        self.passed
    }

    /// Kills whoever comes to this place next.
    pub fn arm(&mut self, place: &'static str) {
        self.armed = Some(place);
    }

    /// Kills nobody any more; says where somebody was to be killed and was not.
    pub fn disarm(&mut self) -> Option<&'static str> {
        self.armed.take()
    }

    fn count(&mut self, place: &'static str) {
        if self.calm {
            return;
        }
        self.passed += 1;
        match self.counts.iter_mut().find(|(name, _)| std::ptr::eq(*name, place) || *name == place) {
            Some((_, times)) => *times += 1,
            None => self.counts.push((place, 1)),
        }
    }

    /// The fault that happens here, if any.
    fn due(&mut self, place: &'static str) -> Option<Fault> {
        self.count(place);
        if self.armed.take_if(|armed| *armed == place).is_some() {
            return Some(Fault::Kill);
        }
        let here = match self.plan.front_mut()? {
            (Planned::After(passed), _) => self.passed >= *passed,
            (Planned::At(name, left), _) if *name == place => {
                *left = left.saturating_sub(1);
                *left == 0
            }
            (Planned::At(..), _) => false,
        };
        let (_, fault) = if here { self.plan.pop_front() } else { None }?;
        self.happened += 1;
        Some(fault)
    }
}

/// Where so many processes live, one that stands still is not replaced by another: more at once show nothing new.
const LIVING_MAX: usize = 3;
/// A week.
const AWAY_MS: u64 = 7 * 24 * 3600 * 1000;
/// Places where a process standing still can be replaced by another are deep in its stack; no deeper.
const DEPTH_MAX: usize = 4;

impl Simulation {
    /// Lets happen what the plan says for this place.
    pub(super) fn meet_faults(self: &Rc<Self>, pid: Pid, place: &'static str) {
        if crate::crash::CRASH_POINTS.contains(&place) {
            self.world.with(|state| state.say(pid, || format!("·{place}")));
        }
        let Some(fault) = self.faults.borrow_mut().due(place) else { return };
        self.mix(place.len() as u64);
        self.world.with(|state| state.say(pid, || format!("! at `{place}`: {fault}")));
        match fault {
            Fault::Kill => self.kill(pid),
            Fault::PowerFailure => {
                self.world.with(|state| {
                    let mut chance = state.chance.clone();
                    state.disk.power_failure(&mut chance);
                    state.chance = chance;
                });
                self.kill_all();
            }
            Fault::Zombie { turns, workers } => self.stand_still(pid, turns, workers),
            Fault::Slow { ms, turns } => {
                self.advance_ms(ms);
                if self.stack.borrow().len() < DEPTH_MAX {
                    self.others(turns);
                }
            }
            Fault::Store { failure, calls } => {
                self.world.with(|state| state.store_failures = vec![failure; calls]);
            }
            Fault::Sink { failure, calls } => {
                self.world.with(|state| state.sink_failures = vec![failure; calls]);
            }
            Fault::Expire => {
                let expired = self.world.with(|state| state.ledger.expire_open() + state.kafka.expire_all());
                self.world.with(|state| state.say(pid, || format!("({expired} did)")));
            }
            Fault::Away(lost) => self.stay_away(lost),
            Fault::TakenOver => {
                let taken = self.world.with(|state| state.kafka.rob(state.now_ms));
                self.world.with(|state| state.say(pid, || format!("({taken} were)")));
            }
            Fault::MarkersForgotten => self.world.with(|state| state.kafka.forget_markers()),
            Fault::Suspend => self.ask_to_leave(pid),
        }
    }

    fn stay_away(&self, lost: Lost) {
        self.kill_all();
        self.world.with(|state| {
            state.ledger.expire_open();
            state.kafka.expire_all();
            if matches!(lost, Lost::Records | Lost::RecordsAndIds) {
                state.kafka.trim();
            }
            if matches!(lost, Lost::Ids | Lost::RecordsAndIds) {
                state.kafka.forget();
            }
        });
        self.advance_ms(AWAY_MS);
    }

    /// The process does nothing while another takes its place.
    fn stand_still(self: &Rc<Self>, pid: Pid, turns: usize, workers: usize) {
        if self.stack.borrow().len() >= DEPTH_MAX {
            return;
        }
        if self.living().len() < LIVING_MAX && self.start(workers).is_err() {
            return;
        }
        self.world.with(|state| state.kafka.disturbed = true);
        self.paused.borrow_mut().push(pid);
        self.others(turns);
        self.paused.borrow_mut().pop();
        self.world.with(|state| {
            if state.is_alive(pid) {
                state.say(pid, || "goes on".to_owned());
            }
        });
    }

    /// Takes turns of others within a call.
    pub(super) fn others(self: &Rc<Self>, turns: usize) {
        for _ in 0..turns {
            if !self.turn() && !self.pass_time() {
                return;
            }
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let how = |failure: Failure| match failure {
            Failure::Before => "without effect",
            Failure::After => "but were done",
            Failure::Late => "and are done later",
        };
        match self {
            Self::Kill => f.write_str("killed"),
            Self::PowerFailure => f.write_str("the power fails; everything dies"),
            Self::Zombie { workers, .. } => write!(f, "stands still, and another starts ({workers} workers)"),
            Self::Slow { ms, .. } => write!(f, "this takes {ms} ms"),
            Self::Store { failure, calls } => write!(f, "the next {calls} calls of the store fail {}", how(*failure)),
            Self::Sink { failure, calls } => write!(f, "the next {calls} calls of a sink fail {}", how(*failure)),
            Self::Expire => f.write_str("open transactions expire"),
            Self::Away(lost) => {
                let and = match lost {
                    Lost::Nothing => "",
                    Lost::Records => ", and what the logs held is gone",
                    Lost::Ids => ", and Kafka has forgotten the ids",
                    Lost::RecordsAndIds => ", what the logs held is gone, and Kafka has forgotten the ids",
                };
                write!(f, "killed, and nobody comes back before transactions have expired{and}")
            }
            Self::TakenOver => f.write_str("somebody else takes over the transactional ids in use"),
            Self::MarkersForgotten => f.write_str("partitions have no leader when the next transaction ends"),
            Self::Suspend => f.write_str("asked to leave"),
        }
    }
}
