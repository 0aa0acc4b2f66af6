//! What a job's process has from the world around it: time, names, threads, the checkpoint store.
//!
//! Production has those of the operating system. A simulation gives the same runner others, and with
//! them decides what time it is, who takes a turn, and what a disk remembers.

use crate::clock::{Clock, SteadyClock, SystemClock};
use crate::control::store::{CheckpointStore, LocalStore};
use crate::error::{Error, ErrorKind, Result};
use crate::threads::{MakeActor, Running};
use std::path::Path;
use std::sync::Arc;
use uuid::Uuid;

/// The world around one process.
pub(crate) trait Environment: Send + Sync {
    /// The time of day: processing time, and what manifests say.
    fn clock(&self) -> Arc<dyn Clock>;

    /// A clock for deadlines, which never jumps.
    fn steady_clock(&self) -> Arc<dyn Clock>;

    /// A uuid that no other is equal to.
    fn uuid(&self) -> Uuid;

    /// Which process this is, for people.
    fn process(&self) -> String;

    /// Opens the job's checkpoint store, making it if there is none.
    fn open_store(&self, dir: &Path, job: &str) -> Result<Arc<dyn CheckpointStore>>;

    /// Opens a checkpoint store that was there before.
    fn reopen_store(&self, dir: &Path) -> Result<Arc<dyn CheckpointStore>>;

    /// Starts an actor on a thread of its own.
    fn start(&self, name: String, make: MakeActor) -> Result<Box<dyn Running>>;
}

/// The operating system.
pub(crate) struct System;

impl Environment for System {
    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(SystemClock)
    }

    fn steady_clock(&self) -> Arc<dyn Clock> {
        Arc::new(SteadyClock::start())
    }

    fn uuid(&self) -> Uuid {
        crate::random::uuid()
    }

    fn process(&self) -> String {
        format!("process {}", std::process::id())
    }

    fn open_store(&self, dir: &Path, job: &str) -> Result<Arc<dyn CheckpointStore>> {
        Ok(Arc::new(LocalStore::open(dir, job, crate::random::uuid)?))
    }

    fn reopen_store(&self, dir: &Path) -> Result<Arc<dyn CheckpointStore>> {
        Ok(Arc::new(LocalStore::open_existing(dir, crate::random::uuid)?))
    }

    fn start(&self, name: String, make: MakeActor) -> Result<Box<dyn Running>> {
        let started = crate::threads::spawn(name.clone(), move || crate::threads::run(&mut *make()));
        match started {
            Ok(thread) => Ok(Box::new(thread)),
            Err(error) => {
                let message = format!("the thread `{name}` cannot be started; see the system's limit of threads");
                Err(Error::new(ErrorKind::Internal, message).caused_by(error))
            }
        }
    }
}
