//! Named places at which a test has the process die, as by `kill -9`, so that every step of the protocol
//! is crossed by a crash and not only those that chance hits.
//!
//! `STAUNCH_CRASH_AT=before-commit:3` kills the process when it comes to that place for the third time.
//! `STAUNCH_STOP_AT=…` stops it there, as by SIGSTOP, until somebody sends SIGCONT: a process that sleeps
//! through its successor's start. Without the variables a place costs two loads of values that never
//! change; none is on a record's way.
//!
//! A simulation of the process is told of each place, too, and may end the *simulated* process there, or
//! let others go on while this one stands still.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// What names the place, and optionally which passage: `<name>[:n]`, the first if not said.
pub(crate) const VARIABLE: &str = "STAUNCH_CRASH_AT";
/// The same, for a stop. Of both, the crash is done.
const STOP_VARIABLE: &str = "STAUNCH_STOP_AT";

/// Every place there is, in the order in which a job comes by. `crash_point` takes no other, so that a
/// test that goes through this list misses none.
pub const CRASH_POINTS: &[&str] = &[
    "before-claim",
    "claimed",
    "before-recover",
    "kafka-before-fate",
    "kafka-fate-known",
    "kafka-before-end",
    "kafka-ended",
    "kafka-before-replay",
    "kafka-replay-begun",
    "kafka-replay-copying",
    "kafka-replay-copied",
    "kafka-replay-prepared",
    "kafka-replay-published",
    "kafka-replay-committed",
    "kafka-settled",
    "recover-settled",
    "recovered",
    "kafka-before-init",
    "kafka-initialised",
    "kafka-before-begin",
    "kafka-begun",
    "kafka-before-first-write",
    "kafka-first-written",
    "sealed",
    "before-prepare",
    "kafka-before-flush",
    "kafka-flushed",
    "kafka-before-describe",
    "kafka-described",
    "after-prepare",
    "before-state",
    "after-state",
    "before-publish",
    "manifest-written",
    "manifest-visible",
    "after-publish",
    "before-commit",
    "kafka-before-commit",
    "kafka-commit-sent",
    "kafka-commit-answered",
    "file-named",
    "file-marked",
    "after-commit",
    "settled",
    "retain-slot",
    "retain-blob",
    "after-retain",
];

struct Wanted {
    name: String,
    /// Whether to stop there, not to die.
    stop: bool,
    /// How often it is still to be passed.
    left: AtomicU64,
}

impl Wanted {
    /// `None` for what names no place: a typing error in a test must not let it pass.
    fn parse(text: &str, stop: bool) -> Option<Self> {
        let (name, passage) = text.split_once(':').unwrap_or((text, "1"));
        let left = passage.parse().ok().filter(|left| *left > 0)?;
        CRASH_POINTS.contains(&name).then(|| Self { name: name.to_owned(), stop, left: AtomicU64::new(left) })
    }

    fn is_now(&self, name: &str) -> bool {
        self.name == name && self.left.fetch_sub(1, Ordering::Relaxed) == 1
    }

    #[cold]
    fn happen(&self) {
        if self.stop { raise(libc::SIGSTOP) } else { die() }
    }
}

/// Ends or stops the process here if the environment says so.
///
/// # Panics
/// If a variable is set and names no place: then nobody wants the job to run as if it were not.
#[inline]
pub(crate) fn crash_point(name: &'static str) {
    passing(name);
    process_point(name);
}

/// The same, where a simulation stands already: at a call that its world answers.
///
/// # Panics
/// As [`crash_point`].
#[inline]
pub(crate) fn process_point(name: &'static str) {
    debug_assert!(CRASH_POINTS.contains(&name), "`{name}` is not in the list of crash points");
    match wanted() {
        Some(wanted) if wanted.is_now(name) => wanted.happen(),
        _ => {}
    }
}

fn wanted() -> Option<&'static Wanted> {
    static WANTED: OnceLock<Option<Wanted>> = OnceLock::new();
    let wanted =
        WANTED.get_or_init(|| from_environment(VARIABLE, false).or_else(|| from_environment(STOP_VARIABLE, true)));
    wanted.as_ref()
}

/// Whether the process is to die or stop at this place, now or later: for a place that has to be made.
#[cfg(feature = "kafka")]
pub(crate) fn is_awaited(name: &str) -> bool {
    wanted().is_some_and(|wanted| wanted.name == name)
}

#[expect(clippy::disallowed_methods, reason = "how a test tells a process where to die")]
fn from_environment(variable: &str, stop: bool) -> Option<Wanted> {
    let text = std::env::var(variable).ok()?;
    let wanted = Wanted::parse(&text, stop);
    Some(wanted.unwrap_or_else(|| panic!("{variable}={text} names none of {}", CRASH_POINTS.join(", "))))
}

/// As by `kill -9`: nothing is flushed, dropped or caught.
#[expect(clippy::disallowed_methods, reason = "a crash is what is asked for")]
fn die() -> ! {
    raise(libc::SIGKILL);
    // The signal may take a moment to be delivered; nothing more may happen meanwhile.
    std::process::abort()
}

/// To this thread, and through it to the process: with `kill`, another thread would have to run first, and this one
/// could go on for milliseconds.
fn raise(signal: libc::c_int) {
    // SAFETY: takes a number and touches no memory of this process.
    let _ = unsafe { libc::raise(signal) };
}

/// Is told of each place that code on this thread comes to.
pub(crate) type Hook = Rc<dyn Fn(&'static str)>;

thread_local! {
    static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
}

/// Ends the simulated process: whoever simulates it unwinds up to itself with this.
pub(crate) struct Crashed;

/// A simulation's thread tells it that simulated code stands here: at a crash point, or before a call
/// that the world answers.
#[inline]
pub(crate) fn passing(name: &'static str) {
    // Out of the cell before it is called: it may run other simulated code that passes here.
    let hook = HOOK.with_borrow(Clone::clone);
    if let Some(hook) = hook {
        hook(name);
    }
}

/// Sets what this thread's places tell; returns what they told before.
pub(crate) fn replace_hook(hook: Option<Hook>) -> Option<Hook> {
    HOOK.replace(hook)
}

/// Ends the simulated process that runs on this thread. Nothing is printed.
pub(crate) fn unwind_crashed() -> ! {
    resume_unwind(Box::new(Crashed))
}

/// As `catch_unwind`, for others' code that may panic; a simulated crash passes through.
pub(crate) fn catch_panic<T>(call: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| {
        if panic.is::<Crashed>() {
            resume_unwind(panic);
        }
        panic
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nth_passage_is_the_one() {
        let wanted = Wanted::parse("settled:2", false).unwrap();
        let passed = ["settled", "claimed", "settled", "settled"].map(|name| wanted.is_now(name));
        assert_eq!(passed, [false, false, true, false]);
        assert!(Wanted::parse("settled", true).unwrap().is_now("settled"));
        for wrong in ["", "settled:", "settled:0", "settled:x", "nowhere"] {
            assert!(Wanted::parse(wrong, false).is_none(), "{wrong}");
        }
    }
}
