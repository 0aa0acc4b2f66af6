//! What a crash test says: that all is well, with numbers; or what is not, so that a person can act on it.

use crate::flow::Pipeline;
use std::fmt;

/// What a crash test has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CrashReport {
    /// Schedules that were run.
    pub schedules: u64,
    /// Things that went wrong in them: kills, power failures, lost answers and so on.
    pub faults: u64,
    /// Things that were to go wrong and did not, since the job was at its end before.
    pub unmet: u64,
    /// Processes that were started in them.
    pub processes: u64,
    /// Turns that all parts of all processes have taken.
    pub turns: u64,
    /// Schedules in which brokers had removed what the job would have needed: it stopped, and said so.
    pub given_up: u64,
    /// Crash points that the pipeline passes.
    pub crash_points: usize,
}

impl fmt::Display for CrashReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { schedules, faults, unmet, processes, turns, given_up, crash_points } = self;
        write!(
            f,
            "{schedules} schedules, {crash_points} crash points, {faults} faults ({unmet} more came too late), "
        )?;
        write!(f, "{processes} processes, {turns} turns")?;
        if *given_up > 0 {
            write!(f, ", {given_up} given up for what brokers had removed")?;
        }
        Ok(())
    }
}

/// What a crash test has found.
#[non_exhaustive]
pub struct CrashFailure {
    /// The schedule that failed; `None`: nothing needed to go wrong.
    pub seed: Option<u64>,
    /// What is wrong.
    pub what: String,
    /// How it came to that, one event a line.
    pub story: String,
    text: String,
}

impl CrashFailure {
    pub(super) fn undisturbed<P: Pipeline>(what: &str, story: &str) -> Box<Self> {
        let name = P::NAME;
        let mut text = format!("crash test of `{name}`: {what}\n");
        if !story.is_empty() {
            text.push_str(&format!("\nWhat happened:\n{story}"));
        }
        Box::new(Self { seed: None, what: what.to_owned(), story: story.to_owned(), text })
    }

    pub(super) fn scheduled<P: Pipeline>(seed: u64, what: &str, story: &str, faults: (usize, usize)) -> Box<Self> {
        let name = P::NAME;
        let shrunk = match faults {
            (from, to) if from > to => format!(" (shrunk from {from} faults to {to})"),
            _ => String::new(),
        };
        let thread = std::thread::current();
        let test = thread.name().filter(|name| *name != "main").unwrap_or("<the test's name>");
        let text = format!(
            "crash test of `{name}`: schedule {seed} failed\n{what}\n\nWhat happened{shrunk}:\n{story}\n\
             Replay it with: STAUNCH_SEED={seed} cargo test {test}\n"
        );
        Box::new(Self { seed: Some(seed), what: what.to_owned(), story: story.to_owned(), text })
    }
}

impl fmt::Display for CrashFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for CrashFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for CrashFailure {}
