//! The environment of a simulated process: virtual time, numbered uuids, a disk that can fail, actors that
//! wait for their turn instead of threads.

use super::disk::ProcessDisk;
use super::world::{Pid, Started, World};
use crate::clock::Clock;
use crate::control::store::{CheckpointStore, LocalStore};
use crate::error::Result;
use crate::job::environment::Environment;
use crate::threads::{MakeActor, Running};
use crate::time::Timestamp;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use uuid::Uuid;

pub(super) struct Simulated {
    pub world: Arc<World>,
    pub pid: Pid,
}

struct VirtualClock(Arc<World>);

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(i64::try_from(self.0.with(|state| state.now_ms)).unwrap_or(i64::MAX))
    }
}

/// An actor of a simulated process, seen by that process.
struct Handle(Arc<AtomicBool>);

impl Running for Handle {
    fn is_finished(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn join(self: Box<Self>) {}
}

impl Simulated {
    fn disk(&self) -> Arc<ProcessDisk> {
        Arc::new(ProcessDisk { world: self.world.clone(), pid: self.pid })
    }
}

impl Environment for Simulated {
    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(VirtualClock(self.world.clone()))
    }

    fn steady_clock(&self) -> Arc<dyn Clock> {
        self.clock()
    }

    fn uuid(&self) -> Uuid {
        self.world.with(super::world::State::uuid)
    }

    fn process(&self) -> String {
        format!("simulated process {}", self.pid.0)
    }

    fn open_store(&self, dir: &Path, job: &str) -> Result<Arc<dyn CheckpointStore>> {
        Ok(Arc::new(LocalStore::open_on(self.disk(), dir, job, || self.uuid())?))
    }

    fn reopen_store(&self, dir: &Path) -> Result<Arc<dyn CheckpointStore>> {
        Ok(Arc::new(LocalStore::open_existing_on(self.disk(), dir, || self.uuid())?))
    }

    fn start(&self, _name: String, make: MakeActor) -> Result<Box<dyn Running>> {
        let finished = Arc::new(AtomicBool::new(false));
        let started = Started { pid: self.pid, make, finished: finished.clone() };
        self.world.with(|state| state.started.push(started));
        Ok(Box::new(Handle(finished)))
    }
}
