//! What was done with a harness, for people who look at a test that fails.

use crate::time::Timestamp;
use std::collections::VecDeque;
use std::fmt::{Display, Write};

/// How many steps are remembered.
const STEPS_MAX: usize = 20;

/// The last steps of a test, and what each emitted.
#[derive(Default)]
pub(super) struct Story {
    steps: VecDeque<(String, String)>,
    forgotten: usize,
}

impl Story {
    /// A step begins. It is there even if it never ends.
    pub fn begin(&mut self, what: String) {
        if self.steps.len() == STEPS_MAX {
            self.steps.pop_front();
            self.forgotten += 1;
        }
        self.steps.push_back((what, "did not end".to_owned()));
    }

    /// The step has ended, and emitted so many records by output.
    pub fn end(&mut self, outputs: &[&str], emitted: &[usize]) {
        let outcome = counts(outputs, emitted);
        if let Some(step) = self.steps.back_mut() {
            step.1 = outcome;
        }
    }

    pub fn tell(&self, text: &mut String) {
        // Writing to a string cannot fail.
        if self.forgotten > 0 {
            let _ = write!(text, "\n  … {} steps before", self.forgotten);
        }
        for (what, outcome) in &self.steps {
            let _ = write!(text, "\n  {what}: {outcome}");
        }
    }
}

/// `words 2, failed 1`, or `nothing`.
pub(super) fn counts(outputs: &[&str], counts: &[usize]) -> String {
    let some = outputs.iter().zip(counts).filter(|(_, count)| **count > 0);
    let list: Vec<_> = some.map(|(output, count)| format!("{output} {count}")).collect();
    if list.is_empty() { "nothing".to_owned() } else { list.join(", ") }
}

/// ` at 10 ms`, or ` without event time`.
pub(super) fn at(time: Timestamp) -> impl Display {
    if time == Timestamp::MIN { " without event time".to_owned() } else { format!(" at {time}") }
}
