//! The model as `stateright` explores it: what can happen next, and what must hold whatever happens.

use crate::attempt::{Attempt, Phase, Step};
use crate::cluster::{STRANGER, records_of};
use crate::forget::NEW;
use crate::world::World;
use crate::{CHECKPOINTS, Faults, Guards, SINKS};
use stateright::{Model, Property};

pub struct Protocol {
    pub guards: Guards,
    pub faults: Faults,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    Current(Step),
    Zombie(Step),
    /// The process dies; another is started.
    Crash,
    /// Another is started though the process lives.
    Replace,
    /// After an attempt gave up.
    Restart,
    /// The late write to the log lands, if its slot is free.
    LateWrite,
    /// The commit that was sent once more arrives.
    LateCommit,
    /// The cluster aborts a transaction that took too long.
    Expire(usize, u8),
    /// Somebody takes over an id that an attempt has just written to.
    TakeOver(usize),
    /// A job of another lineage starts: it aborts what lingers under its ids, and writes with them.
    Stranger(usize, u8),
}

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self.faults)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        let mut steps = Vec::new();
        world.current.steps(&self.guards, world, &mut steps);
        actions.extend(steps.drain(..).map(Action::Current));
        if let Some(zombie) = &world.zombie {
            zombie.steps(&self.guards, world, &mut steps);
            actions.extend(steps.drain(..).map(Action::Zombie));
        }
        let (left, current) = (&world.left, &world.current);
        let claims = current.phase == Phase::Claiming;
        actions.extend((left.crashes > 0 && current.can_die()).then_some(Action::Crash));
        let decides = claims || matches!(current.phase, Phase::Ending(_));
        actions.extend((left.zombies > 0 && (current.can_die() || decides)).then_some(Action::Replace));
        actions.extend((left.restarts > 0 && current.phase == Phase::Failed).then_some(Action::Restart));
        actions.extend(world.late.map(|_| Action::LateWrite));
        actions.extend(world.delayed.map(|_| Action::LateCommit));
        for sink in 0..SINKS {
            if left.expiries > 0 {
                actions.extend(world.clusters[sink].open().map(|id| Action::Expire(sink, id)));
            }
            let own = current.unprepared(sink).filter(|own| world.clusters[sink].is_last(*own));
            if left.take_overs > 0 && own.is_some() {
                actions.push(Action::TakeOver(sink));
            }
            if left.strangers > 0 {
                let ids = if self.guards.lineage_in_ids { STRANGER..=STRANGER } else { 0..=1 };
                actions.extend(ids.map(|id| Action::Stranger(sink, id)));
            }
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        match action {
            Action::Current(step) => {
                let mut attempt = next.current.clone();
                attempt.take(step, &self.guards, &mut next);
                next.current = attempt;
            }
            Action::Zombie(step) => {
                let mut attempt = next.zombie.take()?;
                attempt.take(step, &self.guards, &mut next);
                next.zombie = Some(attempt);
            }
            Action::Crash => {
                next.left.crashes -= 1;
                next.start();
            }
            Action::Replace => {
                next.left.zombies -= 1;
                next.zombie = Some(next.current.clone());
                next.start();
            }
            Action::Restart => {
                next.left.restarts -= 1;
                next.start();
            }
            Action::LateWrite => {
                let (at, slot) = next.late.take()?;
                next.create(at, slot);
            }
            Action::LateCommit => {
                let late = next.delayed.take()?;
                let _ = next.clusters[late.sink].end(late.id, late.session, true);
            }
            Action::Expire(sink, id) => {
                next.left.expiries -= 1;
                next.clusters[sink].expire(id);
            }
            Action::TakeOver(sink) => {
                next.left.take_overs -= 1;
                let own = next.current.unprepared(sink)?;
                let session = next.clusters[sink].init(own.id, false);
                next.clusters[sink].begin(own.id, session, true);
            }
            Action::Stranger(sink, id) => {
                next.left.strangers -= 1;
                let session = next.clusters[sink].init(id, false);
                next.clusters[sink].begin(id, session, true);
            }
        }
        next.tidy();
        next.forget();
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONLY_LISTED, |_, world: &World| world.only_listed_is_committed()),
            Property::always(ONCE, |_, world: &World| world.clusters.iter().all(|it| !it.twice)),
            Property::always(IN_ORDER, |_, world: &World| world.clusters.iter().all(|it| !it.disorder)),
            Property::always(NEVER_ABORTED, |_, world: &World| world.listed_is_never_aborted()),
            Property::always(NOTHING_LOST, |_, world: &World| {
                world.attempts().filter(|attempt| attempt.has_settled()).all(|attempt| world.holds(attempt.epochs))
            }),
            Property::sometimes(ALL_WENT_WRONG, |_, world: &World| world.left.none()),
            Property::always(ENDS, |protocol: &Self, world: &World| {
                let mut actions = Vec::new();
                protocol.actions(world, &mut actions);
                !actions.is_empty() || world.has_ended()
            }),
        ]
    }
}

/// I2: readers of committed output see nothing that no durable manifest lists.
pub const ONLY_LISTED: &str = "only what is listed is committed";
/// Nobody reads a record twice.
pub const ONCE: &str = "nothing is committed twice";
/// I7: nor those of one worker out of order.
pub const IN_ORDER: &str = "a worker's records are committed in order";
/// I4, I5, I8: what the newest manifest lists is aborted by the cluster's own timeout, or by a zombie that starts
/// a producer before it notices, and by nobody else. A replay cures both.
pub const NEVER_ABORTED: &str = "nobody aborts what is listed";
/// I1: an attempt that has recovered goes on from output that is all there.
pub const NOTHING_LOST: &str = "what positions have passed is committed";
/// What may go wrong does: in some world all of it has.
pub const ALL_WENT_WRONG: &str = "everything has gone wrong that may";
/// Whatever happened, nobody waits for what never comes: it ends, and then everything is committed.
pub const ENDS: &str = "the job ends with everything committed";

impl World {
    /// Another attempt takes the place of the current one.
    fn start(&mut self) {
        self.current = Attempt::new(NEW);
    }

    /// A copy that is superseded is gone; the other is the one that counts, and is started again if it failed.
    fn tidy(&mut self) {
        let finished = self.attempts().any(|attempt| attempt.phase == Phase::Done);
        self.finished |= finished;
        let gone = |attempt: &Attempt| matches!(attempt.phase, Phase::Superseded | Phase::Done);
        self.zombie = self.zombie.take().filter(|zombie| !gone(zombie));
        if self.current.phase == Phase::Superseded
            && let Some(zombie) = self.zombie.take()
        {
            self.current = zombie;
        }
    }

    fn attempts(&self) -> impl Iterator<Item = &Attempt> {
        self.zombie.iter().chain([&self.current])
    }

    /// The job has come to its end, and everything is committed.
    pub fn has_ended(&self) -> bool {
        self.finished && self.holds(CHECKPOINTS)
    }

    /// Readers of every sink have seen the records of so many epochs.
    fn holds(&self, epochs: u8) -> bool {
        let wanted = records_of(epochs);
        self.clusters.iter().all(|cluster| cluster.committed & wanted == wanted)
    }
}

impl Attempt {
    /// It has finished what its predecessor left, and relies on it.
    fn has_settled(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Done) && self.outstanding.iter().all(Option::is_none)
    }
}
