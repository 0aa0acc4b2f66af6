//! What a process's threads run, and the one place that starts them.
//!
//! Everything that lives on a thread of a job is an [`Actor`]: it works in turns and never sleeps within
//! one. In production each has a thread that does nothing but take its turns; a simulation takes the
//! turns of all actors on one thread, in the order of its choice. So both run the same code.

use std::io;
use std::thread::{Builder, JoinHandle, Scope};
use std::time::Duration;

/// Something that works in turns.
pub(crate) trait Actor {
    /// Does a bounded piece of work. Only what it calls of others' code may block.
    fn turn(&mut self) -> Turn;

    /// Blocks until there may be something to do, or the time is up; called after [`Turn::Idle`] by the
    /// thread that the actor has for itself.
    fn wait(&mut self, at_most: Duration);

    /// Whether somebody has woken it since it waited, or was asked this; so whoever takes the turns of many
    /// knows what [`wait`](Self::wait) would. False for those that nobody wakes but by what they are sent.
    fn was_woken(&self) -> bool {
        false
    }
}

/// What came of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// There may be more to do at once.
    Worked,
    /// Nothing to do before somebody sends something, or this time has passed. Nor has it sent anything in this
    /// turn, but to those that it has [woken](Actor::was_woken).
    Idle { at_most: Duration },
    /// It has ended, and told whom it concerns.
    Done,
}

impl Turn {
    /// Nothing to do before somebody sends something.
    pub const WAITING: Self = Self::Idle { at_most: Duration::MAX };
}

/// Makes an actor on the thread that it will live on: it need not be able to leave it.
pub(crate) type MakeActor = Box<dyn FnOnce() -> Box<dyn Actor> + Send>;

/// An actor that was started, seen from outside.
pub(crate) trait Running {
    /// Whether it has ended.
    fn is_finished(&self) -> bool;
    /// Waits for its end.
    fn join(self: Box<Self>);
}

impl Running for JoinHandle<()> {
    fn is_finished(&self) -> bool {
        JoinHandle::is_finished(self)
    }

    fn join(self: Box<Self>) {
        // A panic outside the actor's own guard has nothing left to tell.
        let _ = JoinHandle::join(*self);
    }
}

/// Takes an actor's turns until it is done.
pub(crate) fn run(actor: &mut dyn Actor) {
    loop {
        match actor.turn() {
            Turn::Worked => {}
            Turn::Idle { at_most } => actor.wait(at_most),
            Turn::Done => return,
        }
    }
}

/// Starts a named thread.
#[expect(clippy::disallowed_methods, reason = "the one place that starts threads")]
pub(crate) fn spawn(name: String, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name).spawn(work)
}

/// Starts a thread that ends before `scope` does. When the system has none to give, the work is left to others.
#[expect(clippy::disallowed_methods, reason = "the one place that starts threads")]
pub(crate) fn spawn_scoped<'scope>(scope: &'scope Scope<'scope, '_>, work: impl FnOnce() + Send + 'scope) {
    let name = std::thread::current().name().map(str::to_owned);
    let builder = name.into_iter().fold(Builder::new(), Builder::name);
    let _ = builder.spawn_scoped(scope, work);
}
