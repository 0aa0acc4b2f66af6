//! The one table of the settings' names: what a key is called in the file, in the environment and as a
//! flag, what it means, and how its value is read.

use super::{Settings, duration};
use std::path::PathBuf;
use std::time::Duration;
use toml::Value;

/// What the names of environment variables start with.
pub(crate) const VARIABLE_PREFIX: &str = "STAUNCH_";

/// One setting.
pub(crate) struct Key {
    /// Its name in the file, with dots between tables: `checkpoint.interval`.
    pub name: &'static str,
    /// What stands for its value in the help.
    pub value: &'static str,
    /// One sentence for the help.
    pub help: &'static str,
    set: fn(&mut Settings, &Value) -> Result<(), String>,
}

impl Key {
    /// The environment variable: `STAUNCH_CHECKPOINT_INTERVAL`.
    pub fn variable(&self) -> String {
        format!("{VARIABLE_PREFIX}{}", self.name.replace('.', "_").to_uppercase())
    }

    /// The flag, without its dashes: `checkpoint-interval`.
    pub fn flag(&self) -> String {
        // The flags that people type in an emergency are short, and named so in the errors that advise them.
        let emergency = [
            "checkpoint.restore",
            "checkpoint.accept_repeats",
            "checkpoint.allow_dropped_state",
            "checkpoint.accept_data_loss",
        ];
        let name = if emergency.contains(&self.name) { &self.name["checkpoint.".len()..] } else { self.name };
        name.replace(['.', '_'], "-")
    }

    /// Whether the flag may stand without a value.
    pub fn is_switch(&self) -> bool {
        self.value == SWITCH
    }

    /// Puts a value into the settings. Text is read as the key's type, whatever layer it came from.
    pub fn set(&self, settings: &mut Settings, value: &Value) -> Result<(), String> {
        (self.set)(settings, value)
    }
}

const SWITCH: &str = "true|false";

const fn key(
    name: &'static str,
    value: &'static str,
    help: &'static str,
    set: fn(&mut Settings, &Value) -> Result<(), String>,
) -> Key {
    Key { name, value, help, set }
}

/// All settings, in the order of the help.
pub(crate) const KEYS: &[Key] = &[
    key("name", "NAME", "The job's name [default: the pipeline's]", |to, value| {
        put(&mut to.name, text(value).map(Some))
    }),
    key("workers", "N", "Worker threads, each with a copy of the graph [default: one per core]", |to, value| {
        put(&mut to.workers, number(value))
    }),
    key(
        "shutdown_timeout",
        "TIME",
        "How long a suspend may take before the job stops as in a crash [default: 30s]",
        |to, value| put(&mut to.shutdown_timeout, time(value)),
    ),
    key("checkpoint.dir", "DIR", "Where checkpoints are kept [default: .staunch/<name>]", |to, value| {
        put(&mut to.checkpoint.dir, text(value).map(|text| Some(PathBuf::from(text))))
    }),
    key(
        "checkpoint.interval",
        "TIME",
        "From the start of a checkpoint to the next; output is committed that often [default: 1s]",
        |to, value| put(&mut to.checkpoint.interval, time(value)),
    ),
    key(
        "checkpoint.timeout",
        "TIME",
        "After this time an incomplete checkpoint has failed [default: 1m]",
        |to, value| put(&mut to.checkpoint.timeout, time(value)),
    ),
    key(
        "checkpoint.tolerated_timeouts",
        "N",
        "How many checkpoints in a row may be too late before the job restarts [default: 2]",
        |to, value| put(&mut to.checkpoint.tolerated_timeouts, number(value)),
    ),
    key("checkpoint.min_pause", "TIME", "The least time between two checkpoints [default: 0s]", |to, value| {
        put(&mut to.checkpoint.min_pause, time(value))
    }),
    key("checkpoint.retain", "N", "How many checkpoints are kept [default: 3]", |to, value| {
        put(&mut to.checkpoint.retain, number(value))
    }),
    key("checkpoint.restore", "SLOT", "Start from the checkpoint in this slot, not from the newest", |to, value| {
        put(&mut to.checkpoint.restore, number(value).map(Some))
    }),
    key(
        "checkpoint.accept_repeats",
        SWITCH,
        "Even if newer output, which then appears again, was committed: with --restore, or an old copy of the store \
         [default: false]",
        |to, value| put(&mut to.checkpoint.accept_repeats, switch(value)),
    ),
    key(
        "checkpoint.allow_dropped_state",
        SWITCH,
        "Start even if state of operators that are gone is dropped [default: false]",
        |to, value| put(&mut to.checkpoint.allow_dropped_state, switch(value)),
    ),
    key(
        "checkpoint.accept_data_loss",
        SWITCH,
        "Start even if output that the checkpoint promised is lost for good [default: false]",
        |to, value| put(&mut to.checkpoint.accept_data_loss, switch(value)),
    ),
    key(
        "checkpoint.aligned",
        SWITCH,
        "Align barriers; `false` makes state at-least-once [default: true]",
        |to, value| put(&mut to.checkpoint.aligned, switch(value)),
    ),
    key(
        "restart.attempts",
        "N",
        "Failures within the window that are followed by a restart [default: 10]",
        |to, value| put(&mut to.restart.attempts, number(value)),
    ),
    key("restart.initial", "TIME", "The wait after the first failure [default: 1s]", |to, value| {
        put(&mut to.restart.initial, time(value))
    }),
    key("restart.max", "TIME", "The longest wait [default: 1m]", |to, value| put(&mut to.restart.max, time(value))),
    key("restart.factor", "X", "By how much the wait grows with each failure [default: 2]", |to, value| {
        put(&mut to.restart.factor, real(value))
    }),
    key("restart.window", "TIME", "The time over which failures are counted [default: 10m]", |to, value| {
        put(&mut to.restart.window, time(value))
    }),
];

/// The key of this name.
pub(crate) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

fn put<T>(to: &mut T, value: Result<T, String>) -> Result<(), String> {
    *to = value?;
    Ok(())
}

fn wrong(value: &Value, expected: &str) -> String {
    format!("`{}` is not {expected}", shown(value))
}

/// A value as it was written, without quotes.
fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn text(value: &Value) -> Result<String, String> {
    value.as_str().map(str::to_owned).ok_or_else(|| wrong(value, "text; put it in quotes"))
}

fn number<N: TryFrom<u64>>(value: &Value) -> Result<N, String> {
    let number = match value {
        Value::Integer(number) => u64::try_from(*number).ok(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let number = number.and_then(|number| N::try_from(number).ok());
    number.ok_or_else(|| wrong(value, "a whole number that is not negative"))
}

fn real(value: &Value) -> Result<f64, String> {
    let real = match value {
        Value::Float(real) => Some(*real),
        Value::Integer(number) => Some(*number as f64),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    real.ok_or_else(|| wrong(value, "a number"))
}

fn switch(value: &Value) -> Result<bool, String> {
    let switch = match value {
        Value::Boolean(switch) => Some(*switch),
        Value::String(text) => match text.trim() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    };
    switch.ok_or_else(|| wrong(value, "`true` or `false`"))
}

fn time(value: &Value) -> Result<Duration, String> {
    duration::parse(&shown(value))
}
