//! The settings of a job: workers, checkpoints, restarts. Not the pipeline's own configuration.
//!
//! They are plain values with defaults that suit a job in production. [`layers`] puts them together from
//! a file, the environment and flags; [`keys`] is the one table of their names. They must not know
//! what a pipeline is, nor touch anything but the file that they are told to read.

mod check;
mod config;
pub(crate) mod duration;
pub(crate) mod keys;
pub(crate) mod layers;
mod suggest;
#[cfg(test)]
mod tests;

use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// How a job is run. The same binary, settings aside, runs on a laptop and in production.
///
/// Read from TOML with [`Deserialize`], or from a file, the environment and flags by the generated
/// command line. In text, durations are written `250ms`, `10s`, `5m`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Settings {
    /// The job's name, part of what it owns outside (its transactional ids, its checkpoints); `None`
    /// for the pipeline's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How many workers, each a thread with its own copy of the graph. By default one per core that
    /// the process may use. Can be changed from start to start: state is spread anew.
    pub workers: usize,
    /// How long a suspend may take, from the signal to the last commit, before the job stops as in a
    /// crash. Nothing is lost then; the next start reads again what was not committed. Default 30 s,
    /// as orchestrators kill after that.
    #[serde(with = "duration")]
    pub shutdown_timeout: Duration,
    /// When and where checkpoints are taken.
    pub checkpoint: CheckpointSettings,
    /// What happens after a failure.
    pub restart: RestartSettings,
}

/// When and where checkpoints are taken, and how a start goes on from one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CheckpointSettings {
    /// The folder of the checkpoint store; `None` for `.staunch/<job name>` in the working directory.
    /// A job that may start on several machines needs one that all of them see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// The time from the start of one checkpoint to that of the next. It is also how long output stays
    /// invisible to readers that read committed data only. Default 1 s.
    #[serde(with = "duration")]
    pub interval: Duration,
    /// After this time a checkpoint that is not complete has failed. Default 60 s: Flink's 10 minutes
    /// allow for uploading large snapshots, while ours are written beside the flow; a minute shows a
    /// stuck job soon, and stays far below the 15 minutes after which brokers abort a transaction.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// How many checkpoints in a row may be too late before the job restarts from the last one (Flink's
    /// tolerable failed checkpoints, for timeouts alone: a failure always restarts). The next one takes in what a
    /// late one has prepared. Default 2: a burst passes, and a transaction that has to last over three timeouts
    /// of 60 s still stays far below its own.
    pub tolerated_timeouts: u32,
    /// The least time between the end of a checkpoint and the start of the next. Default 0.
    #[serde(with = "duration")]
    pub min_pause: Duration,
    /// How many of the newest checkpoints are kept. Savepoints do not count. Default 3.
    pub retain: usize,
    /// Start from the checkpoint in this slot rather than from the newest (`checkpoints list` shows the
    /// slots). Applies to the first attempt only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore: Option<u64>,
    /// With `restore`: also when newer checkpoints were published. What they committed stays, and the output
    /// since the chosen one appears a second time. Also when the checkpoint store is an old copy: Kafka knows of
    /// later attempts. Default false.
    pub accept_repeats: bool,
    /// Allow a start whose checkpoint has state of operators that are no longer in the graph; that
    /// state is dropped. Default false: a renamed operator would lose its state unnoticed.
    pub allow_dropped_state: bool,
    /// Go on when output to Kafka that the restored checkpoint promised is lost for good: without those
    /// records, which are counted in the log. Default false: the job stops and says what is lost.
    pub accept_data_loss: bool,
    /// Whether an operator holds back an input that is past a barrier until all others are. Default
    /// true. Without it checkpoints are only at-least-once: records behind a barrier may be in it.
    pub aligned: bool,
}

/// What happens after a failure that a restart may cure. The job fails for good when more than
/// `attempts` failures fall into one `window`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RestartSettings {
    /// How many failures within `window` are followed by a restart; 0 for none. Default 10.
    pub attempts: u32,
    /// The wait after the first failure. Default 1 s.
    #[serde(with = "duration")]
    pub initial: Duration,
    /// The longest wait. Default 60 s.
    #[serde(with = "duration")]
    pub max: Duration,
    /// By how much the wait grows with each further failure within `window`. Default 2.
    pub factor: f64,
    /// The time over which failures are counted: what failed longer ago is forgotten. Default 10 min.
    #[serde(with = "duration")]
    pub window: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: None,
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            shutdown_timeout: Duration::from_secs(30),
            checkpoint: CheckpointSettings::default(),
            restart: RestartSettings::default(),
        }
    }
}

impl Default for CheckpointSettings {
    fn default() -> Self {
        Self {
            dir: None,
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(60),
            tolerated_timeouts: 2,
            min_pause: Duration::ZERO,
            retain: 3,
            restore: None,
            accept_repeats: false,
            allow_dropped_state: false,
            accept_data_loss: false,
            aligned: true,
        }
    }
}

impl Default for RestartSettings {
    fn default() -> Self {
        Self {
            attempts: 10,
            initial: Duration::from_secs(1),
            max: Duration::from_secs(60),
            factor: 2.0,
            window: Duration::from_secs(600),
        }
    }
}

impl Settings {
    /// Checks that the values make sense, each and together.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) with everything that is wrong.
    pub fn validate(&self) -> Result<()> {
        check::all(check::wrong(self))
    }

    /// The job's name: the one set, or the pipeline's.
    #[must_use]
    pub fn job_name<'a>(&'a self, pipeline: &'a str) -> &'a str {
        self.name.as_deref().unwrap_or(pipeline)
    }

    /// The folder of the checkpoint store: the one set, or `.staunch/<job name>`.
    #[must_use]
    pub fn checkpoint_dir(&self, pipeline: &str) -> PathBuf {
        match &self.checkpoint.dir {
            Some(dir) => dir.clone(),
            None => PathBuf::from(".staunch").join(self.job_name(pipeline)),
        }
    }
}
