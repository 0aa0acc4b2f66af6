//! What must hold of settings, one rule after the other; all that is wrong is told at once.

use super::Settings;
use crate::error::{Error, ErrorKind, Result};
use std::time::Duration;

/// Every pair of workers has a channel per exchange; beyond this the channels alone fill the memory.
const WORKERS_MAX: usize = 1024;
/// The name is part of file names and of transactional ids.
const NAME_BYTES_MAX: usize = 100;
/// A finer interval is not met: timers count milliseconds.
const INTERVAL_MIN: Duration = Duration::from_millis(1);

/// All that is wrong.
pub(super) fn wrong(settings: &Settings) -> Vec<String> {
    let mut wrong = Vec::new();
    name(settings, &mut wrong);
    workers(settings, &mut wrong);
    times(settings, &mut wrong);
    checkpoints(settings, &mut wrong);
    restarts(settings, &mut wrong);
    wrong
}

/// One error of many complaints.
pub(super) fn all(wrong: Vec<String>) -> Result<()> {
    match wrong.len() {
        0 => Ok(()),
        1 => Err(Error::new(ErrorKind::Config, wrong.concat())),
        _ => Err(Error::new(ErrorKind::Config, format!("the settings are wrong:\n  - {}", wrong.join("\n  - ")))),
    }
}

fn name(settings: &Settings, wrong: &mut Vec<String>) {
    let Some(name) = &settings.name else { return };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.starts_with('.') || !name.bytes().all(plain) {
        wrong.push(format!(
            "`name` is `{name}`; use 1 to {NAME_BYTES_MAX} of the characters a-z, A-Z, 0-9, `_`, `-` and `.`, not starting with `.`"
        ));
    }
}

fn workers(settings: &Settings, wrong: &mut Vec<String>) {
    if settings.workers == 0 {
        wrong.push("`workers` is 0; at least one is needed, and without the setting it is one per core".to_owned());
    } else if settings.workers > WORKERS_MAX {
        wrong.push(format!(
            "`workers` is {}; at most {WORKERS_MAX} are supported, and more than cores rarely help",
            settings.workers
        ));
    }
}

fn times(settings: &Settings, wrong: &mut Vec<String>) {
    let times = [
        ("checkpoint.timeout", settings.checkpoint.timeout),
        ("shutdown_timeout", settings.shutdown_timeout),
        ("restart.window", settings.restart.window),
    ];
    for (key, _) in times.iter().filter(|(_, time)| time.is_zero()) {
        wrong.push(format!("`{key}` is 0; give it a positive time, such as `60s`"));
    }
}

fn checkpoints(settings: &Settings, wrong: &mut Vec<String>) {
    let checkpoint = &settings.checkpoint;
    if checkpoint.interval < INTERVAL_MIN {
        wrong.push(
            "`checkpoint.interval` is below 1ms; use `100ms` for low latency, `1s` or more for throughput".to_owned(),
        );
    }
    if checkpoint.retain == 0 {
        wrong.push("`checkpoint.retain` is 0; a job needs its newest checkpoint, so keep at least 1".to_owned());
    }
    if checkpoint.dir.as_ref().is_some_and(|dir| dir.as_os_str().is_empty()) {
        wrong.push("`checkpoint.dir` is empty; name a folder, or leave the setting out".to_owned());
    }
    if checkpoint.restore == Some(0) {
        wrong.push("`checkpoint.restore` is 0, but slots count from 1; `checkpoints list` shows them".to_owned());
    }
}

fn restarts(settings: &Settings, wrong: &mut Vec<String>) {
    let restart = &settings.restart;
    if !(restart.factor.is_finite() && restart.factor >= 1.0) {
        wrong.push(format!("`restart.factor` is {}; waits must not shrink, so use 1 or more", restart.factor));
    }
    if restart.initial > restart.max {
        wrong.push(format!(
            "`restart.initial` ({}) is longer than `restart.max` ({})",
            humantime::format_duration(restart.initial),
            humantime::format_duration(restart.max)
        ));
    }
}
