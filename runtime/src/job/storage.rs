//! The store's thread: state blobs, manifests and retention, in the order in which they are asked for.

use super::Event;
use super::environment::Environment;
use crate::clock::Clock;
use crate::control::log::ClaimedLog;
use crate::control::manifest::{Cut, StatePart};
use crate::control::message::Topology;
use crate::control::store::blob_name;
use crate::crash::crash_point;
use crate::data::report::StateBytes;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{Epoch, groups_of_worker};
use crate::threads::{Actor, Running, Turn};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

/// One operator's state on one worker, to be made durable.
pub(super) struct StateTask {
    pub worker: usize,
    pub operator: String,
    pub epoch: Epoch,
    pub state: StateBytes,
}

enum Task {
    State(StateTask),
    Publish(Cut),
    Retain,
    Close,
}

/// The running store thread.
pub(super) struct Storage {
    tasks: Option<SyncSender<Task>>,
    thread: Option<Box<dyn Running>>,
}

struct Writer {
    log: ClaimedLog,
    workers: usize,
    retain: usize,
    clock: Arc<dyn Clock>,
    tasks: Receiver<Task>,
    /// Came while the thread waited.
    next: Option<Task>,
    events: SyncSender<Event>,
}

impl Storage {
    /// Keeps so many checkpoints. `checkpoints`: how many may have blobs waiting, as those that were too late do.
    pub fn start(
        environment: &dyn Environment,
        log: ClaimedLog,
        topology: &Topology,
        (retain, checkpoints): (usize, usize),
        events: &SyncSender<Event>,
    ) -> Result<Self> {
        let workers = topology.workers;
        // The blobs of all operators and workers, a manifest, the retention of the one before, and the end.
        let (tasks, inbox) = sync_channel(topology.operators.len() * workers * checkpoints + 5);
        let (events, clock) = (events.clone(), environment.clock());
        let writer = Writer { log, workers, retain, clock, tasks: inbox, next: None, events };
        let thread = environment.start("checkpoints".to_owned(), Box::new(|| Box::new(writer)))?;
        Ok(Self { tasks: Some(tasks), thread: Some(thread) })
    }

    fn give(&self, task: Task) -> Result<()> {
        let given = self.tasks.as_ref().map(|tasks| tasks.try_send(task));
        match given {
            Some(Ok(())) => Ok(()),
            _ => {
                Err(Error::new(ErrorKind::Store, "the checkpoint store does not keep up; see whether its disk is slow"))
            }
        }
    }

    pub fn put_state(&self, task: StateTask) -> Result<()> {
        self.give(Task::State(task))
    }

    pub fn publish(&self, cut: Cut) -> Result<()> {
        self.give(Task::Publish(cut))
    }

    pub fn retain(&self) -> Result<()> {
        self.give(Task::Retain)
    }

    /// The last checkpoint is committed, and no other will come.
    pub fn close(&self) -> Result<()> {
        self.give(Task::Close)
    }

    pub fn stop(&mut self) {
        self.tasks = None;
    }

    pub fn running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    pub fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join();
        }
    }
}

impl Actor for Writer {
    fn turn(&mut self) -> Turn {
        let task = match self.next.take().map_or_else(|| self.tasks.try_recv(), Ok) {
            Ok(task) => task,
            Err(TryRecvError::Empty) => return Turn::WAITING,
            Err(TryRecvError::Disconnected) => return Turn::Done,
        };
        let told = self.serve(task).is_none_or(|event| self.events.send(event).is_ok());
        if told { Turn::Worked } else { Turn::Done }
    }

    fn wait(&mut self, _at_most: Duration) {
        self.next = self.tasks.recv().ok();
    }
}

impl Writer {
    fn serve(&mut self, task: Task) -> Option<Event> {
        match task {
            Task::State(task) => Some(self.store(&task)),
            Task::Publish(cut) => {
                let epoch = cut.epoch;
                crash_point("before-publish");
                let result = self.log.publish(cut, self.clock.now_ms());
                crash_point("after-publish");
                Some(Event::Published { epoch, result })
            }
            Task::Retain => {
                // What could not be deleted is deleted next time: no reason to fail.
                if let Err(error) = self.log.retain(self.retain) {
                    tracing::warn!(%error, "old checkpoints could not be deleted; they will be tried again");
                }
                crash_point("after-retain");
                None
            }
            Task::Close => {
                // Nothing is lost: the next start settles what the checkpoint lists, as after a crash.
                if let Err(error) = self.log.close(self.clock.now_ms()) {
                    tracing::warn!(%error, "that the last checkpoint's output is committed could not be noted");
                }
                None
            }
        }
    }

    fn store(&self, task: &StateTask) -> Event {
        let StateTask { worker, operator, epoch, state } = task;
        let parts = self.put(task).map_err(|error| error.at(format_args!("state of operator `{operator}`")));
        let (worker, epoch, operator, watermark) = (*worker, *epoch, operator.clone(), state.watermark);
        Event::Stored { worker, operator, epoch, watermark, parts }
    }

    fn put(&self, task: &StateTask) -> Result<Vec<StatePart>> {
        if task.state.is_empty() {
            return Ok(Vec::new());
        }
        let name = blob_name(self.log.attempt(), task.epoch, &task.operator, task.worker, 0);
        crash_point("before-state");
        self.log.store().put_blob(&name, &task.state.bytes)?;
        crash_point("after-state");
        let groups = groups_of_worker(task.worker, self.workers);
        Ok(vec![StatePart::of(task.worker, groups, name, &task.state.bytes, task.state.entries)])
    }
}
