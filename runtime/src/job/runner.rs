//! The runner: attempt after attempt, until one comes to its end or a failure is final.
//!
//! It works in turns like everything else that lives on a thread: `job.run()` takes them on the caller's
//! thread, a simulation among those of others.

use super::attempt::Begun;
use super::drive::{Driven, LOOK_EVERY, Underway};
use super::environment::Environment;
use super::told::Told;
use super::{Wired, whole_ms};
use crate::control::log::Own;
use crate::control::restart::{RestartDecision, RestartPolicy, RestartSettings, StopReason};
use crate::crash::catch_panic;
use crate::data::worker::panicked;
use crate::error::{Error, Result};
use crate::metrics::NodeMetrics;
use crate::progress::{Observer, Outcome, Summary};
use crate::settings::Settings;
use crate::threads::{Actor, Turn};
use crate::time::Timestamp;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often is looked whether all threads of an attempt have ended.
const LOOK_FOR_ENDS_EVERY: Duration = Duration::from_millis(5);
/// How often is looked whether to stop, while waiting to restart.
const LOOK_FOR_STOP_EVERY: Duration = Duration::from_millis(10);

/// What is kept over the attempts of a job.
pub(crate) struct Runner {
    pub(super) environment: Arc<dyn Environment>,
    pub(super) name: String,
    pub(super) dir: PathBuf,
    pub(super) wired: Wired,
    pub(super) settings: Settings,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) metrics: Arc<Vec<NodeMetrics>>,
    pub(super) told: Told,
    /// What the attempts before claimed.
    pub(super) own: Option<Own>,
    policy: RestartPolicy,
    phase: Phase,
    /// Why the attempt before failed.
    failure: Option<String>,
}

enum Phase {
    /// The next attempt begins.
    Beginning,
    Running(Box<Underway>),
    /// The attempt's threads are told to end; whatever the outcome, beside one that does not there must be
    /// no other attempt.
    Leaving {
        underway: Box<Underway>,
        deadline: Timestamp,
        outcome: Result<Outcome>,
    },
    /// Before the next attempt.
    Waiting {
        until: Timestamp,
        error: Error,
    },
    Over(Result<Summary>),
    /// The result was taken.
    Gone,
}

impl Runner {
    pub(crate) fn new(
        pipeline: &str,
        wired: Wired,
        settings: Settings,
        stop: Arc<AtomicBool>,
        observer: Option<Box<dyn Observer>>,
        environment: Arc<dyn Environment>,
    ) -> Self {
        Self {
            name: settings.job_name(pipeline).to_owned(),
            dir: settings.checkpoint_dir(pipeline),
            metrics: Arc::new(wired.graph.nodes.iter().map(|_| NodeMetrics::default()).collect()),
            told: Told::new(observer, environment.steady_clock()),
            policy: RestartPolicy::new(restart_settings(&settings)),
            environment,
            wired,
            settings,
            stop,
            own: None,
            phase: Phase::Beginning,
            failure: None,
        }
    }

    /// Takes all turns on this thread.
    pub(super) fn run(mut self) -> Result<Summary> {
        crate::threads::run(&mut self);
        self.take_result().unwrap_or_else(|| Err(super::internal("the job ended without a result")))
    }

    /// How it ended, once it is [done](Turn::Done).
    pub(crate) fn take_result(&mut self) -> Option<Result<Summary>> {
        match std::mem::replace(&mut self.phase, Phase::Gone) {
            Phase::Over(result) => Some(result),
            phase => {
                self.phase = phase;
                None
            }
        }
    }

    /// Lets the next checkpoint begin at once.
    pub(crate) fn checkpoint_now(&mut self) {
        let now_ms = self.told.clock.now_ms();
        if let Phase::Running(underway) = &mut self.phase {
            underway.checkpoint_now(now_ms);
        }
    }

    /// Why an attempt failed, once.
    pub(crate) fn take_failure(&mut self) -> Option<String> {
        self.failure.take()
    }

    /// How many checkpoints were completed, over all attempts.
    pub(crate) fn checkpoints(&self) -> u64 {
        self.told.checkpoints
    }

    fn begin_attempt(&mut self) -> Turn {
        self.told.attempt += 1;
        match caught(|| self.begin()) {
            Ok(Begun::Underway(underway)) => self.go_on(Phase::Running(underway)),
            Ok(Begun::Over(outcome)) => self.end(Ok(outcome)),
            Err(error) => self.end(Err(error)),
        }
    }

    fn go_on(&mut self, phase: Phase) -> Turn {
        self.phase = phase;
        Turn::Worked
    }

    fn run_attempt(&mut self, mut underway: Box<Underway>) -> Turn {
        let driven = caught(|| {
            let driven = self.drive(&mut underway);
            self.told.tell(&self.wired.graph, &self.metrics);
            driven
        });
        let outcome = match driven {
            Ok(Driven::On(turn)) => {
                self.phase = Phase::Running(underway);
                return turn;
            }
            Ok(Driven::Over(outcome)) => Ok(outcome),
            Err(error) => Err(error),
        };
        underway.threads.stop();
        let deadline = self.told.clock.now() + self.settings.shutdown_timeout;
        self.go_on(Phase::Leaving { underway, deadline, outcome })
    }

    fn leave(&mut self, mut underway: Box<Underway>, deadline: Timestamp, outcome: Result<Outcome>) -> Turn {
        let (now, at_most) = (self.told.clock.now(), self.settings.shutdown_timeout);
        let ended = underway.threads.have_ended(&underway.events, now, (deadline, at_most));
        match (ended, outcome) {
            (Ok(false), outcome) => {
                self.phase = Phase::Leaving { underway, deadline, outcome };
                Turn::Idle { at_most: LOOK_FOR_ENDS_EVERY }
            }
            (Ok(true), outcome) => self.end(outcome),
            (Err(stuck), Ok(_)) => self.end(Err(stuck)),
            (Err(stuck), Err(failure)) => self.end(Err(stuck.caused_by(failure))),
        }
    }

    /// The attempt is over; decides what follows.
    fn end(&mut self, outcome: Result<Outcome>) -> Turn {
        let error = match outcome {
            Ok(outcome) => return self.go_on(Phase::Over(Ok(self.summary(outcome)))),
            Err(error) => self.why_failed(error),
        };
        self.told.failed += 1;
        self.failure = Some(error.to_string());
        let after_ms = match self.policy.decide(error.kind(), self.told.clock.now_ms()) {
            RestartDecision::Restart { after_ms } => after_ms,
            RestartDecision::Stop(StopReason::Permanent) => return self.go_on(Phase::Over(Err(error))),
            RestartDecision::Stop(StopReason::TooMany) => {
                let error = error.at(format_args!("gave up after attempt {}", self.told.attempt));
                return self.go_on(Phase::Over(Err(error)));
            }
        };
        tracing::warn!(%error, attempt = self.told.attempt, after_ms, "the attempt failed; restarting from the last checkpoint");
        if self.stop.load(Ordering::Relaxed) {
            return self.go_on(Phase::Over(Err(error.at("asked to stop while waiting to restart"))));
        }
        let until = self.told.clock.now() + Duration::from_millis(after_ms);
        self.go_on(Phase::Waiting { until, error })
    }

    fn wait_to_restart(&mut self, until: Timestamp, error: Error) -> Turn {
        if self.stop.load(Ordering::Relaxed) {
            return self.go_on(Phase::Over(Err(error.at("asked to stop while waiting to restart"))));
        }
        let now = self.told.clock.now();
        if now >= until {
            return self.go_on(Phase::Beginning);
        }
        self.phase = Phase::Waiting { until, error };
        let told = caught(|| {
            self.told.tell(&self.wired.graph, &self.metrics);
            Ok(())
        });
        match told {
            Ok(()) => Turn::Idle { at_most: Duration::from_millis(until.as_millis().abs_diff(now.as_millis())) },
            Err(error) => self.end(Err(error)),
        }
    }

    fn summary(&self, outcome: Outcome) -> Summary {
        let progress = self.told.progress(&self.wired.graph, &self.metrics);
        let sinks =
            self.wired.graph.nodes.iter().zip(self.metrics.iter()).filter(|(node, _)| node.participant.is_some());
        Summary {
            outcome,
            elapsed: progress.elapsed,
            records_read: progress.sources_read,
            records_left_out: progress.left_out,
            records_written: sinks.map(|(_, it)| it.read().received).sum(),
            checkpoints: progress.checkpoints,
            attempts: self.told.attempt,
            last_epoch: self.told.last.map(|(stats, _)| stats.epoch),
        }
    }
}

fn restart_settings(settings: &Settings) -> RestartSettings {
    let restart = &settings.restart;
    RestartSettings {
        restarts_max: restart.attempts as usize,
        window_ms: whole_ms(restart.window),
        initial_ms: whole_ms(restart.initial),
        backoff_ms_max: whole_ms(restart.max),
        factor: restart.factor,
    }
}

/// Descriptions, participants and observers are code of others' and may panic; workers have a guard of
/// their own.
fn caught<T>(call: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_panic(call).unwrap_or_else(|panic| Err(panicked(&*panic)))
}

impl Actor for Runner {
    fn turn(&mut self) -> Turn {
        match std::mem::replace(&mut self.phase, Phase::Gone) {
            Phase::Beginning => self.begin_attempt(),
            Phase::Running(underway) => self.run_attempt(underway),
            Phase::Leaving { underway, deadline, outcome } => self.leave(underway, deadline, outcome),
            Phase::Waiting { until, error } => self.wait_to_restart(until, error),
            over @ (Phase::Over(_) | Phase::Gone) => {
                self.phase = over;
                Turn::Done
            }
        }
    }

    fn wait(&mut self, at_most: Duration) {
        match &mut self.phase {
            Phase::Running(underway) => underway.wait(at_most.min(LOOK_EVERY)),
            _ => crate::clock::sleep(at_most.min(LOOK_FOR_STOP_EVERY)),
        }
    }
}
