//! The participants of the two-phase commit, each on a thread of its own, where calls may block.

use super::Event;
use super::environment::Environment;
use crate::api::sink::{Committable, Share, SinkContext, WriterContext};
use crate::api::source::Waker;
use crate::control::permit::{CommitPermit, Recovery};
use crate::crash::{catch_panic, crash_point};
use crate::data::build::{BuildNode, erased_bug};
use crate::data::sink::Participant;
use crate::data::worker::panic_message;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::logical::Graph;
use crate::id::Epoch;
use crate::planted::{Bug, planted};
use crate::stop::Cancellation;
use crate::threads::{Actor, Running, Turn};
use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::time::Duration;

/// What is the same for all participants of an attempt.
pub(super) struct Attempt<'a> {
    pub job: &'a str,
    pub lineage: &'a str,
    pub attempt: u64,
    pub epoch: Epoch,
    pub workers: usize,
    pub epoch_interval: Duration,
    pub epoch_within: Duration,
}

/// The participants that are open, by name, with the sinks that belong to each.
pub(super) struct Opened {
    cancellation: Cancellation,
    participants: BTreeMap<String, (Box<dyn Participant>, Vec<usize>)>,
}

/// The writers of each worker, by sink node.
pub(super) type Writers = Vec<HashMap<usize, Box<dyn Any + Send>>>;

impl Opened {
    /// Opens the participant of each sink, once per name.
    pub fn open(graph: &Graph, builds: &[Arc<dyn BuildNode>], attempt: &Attempt<'_>) -> Result<Self> {
        let mut participants: BTreeMap<String, (Box<dyn Participant>, Vec<usize>)> = BTreeMap::new();
        let cancellation = Cancellation::default();
        for (at, node) in graph.nodes.iter().enumerate() {
            let Some(name) = &node.participant else { continue };
            if let Some((_, sinks)) = participants.get_mut(name) {
                sinks.push(at);
                continue;
            }
            let context = SinkContext {
                participant: name,
                job: attempt.job,
                lineage: attempt.lineage,
                attempt: attempt.attempt,
                epoch: attempt.epoch,
                workers: attempt.workers,
                epoch_interval: attempt.epoch_interval,
                epoch_within: attempt.epoch_within,
                cancellation: cancellation.clone(),
            };
            let sink = builds[at].sink().ok_or_else(|| erased_bug("sink"))?;
            let opened = guarded(|| sink.open_participant(&context));
            let opened = opened.map_err(|error| error.at(format_args!("sink `{}`", node.id)))?;
            participants.insert(name.clone(), (opened, vec![at]));
        }
        Ok(Self { cancellation, participants })
    }

    /// Settles what earlier attempts published, oldest first.
    pub fn recover(&mut self, recovery: &mut Recovery<'_>) -> Result<()> {
        for (name, (participant, _)) in &mut self.participants {
            let published = if planted(Bug::RecoverySettlesNothing) { Vec::new() } else { recovery.published(name) };
            let recovered = guarded(|| participant.recover(published, recovery));
            recovered.map_err(|error| error.at(format_args!("recovery of `{name}`")))?;
        }
        Ok(())
    }

    /// Makes the writers of all workers.
    pub fn writers(
        &mut self,
        graph: &Graph,
        builds: &[Arc<dyn BuildNode>],
        epoch: Epoch,
        wakers: &[Waker],
    ) -> Result<Writers> {
        let mut writers: Writers = wakers.iter().map(|_| HashMap::new()).collect();
        for (participant, sinks) in self.participants.values_mut() {
            for &node in sinks.iter() {
                let (id, workers) = (&graph.nodes[node].id, wakers.len());
                let sink = builds[node].sink().ok_or_else(|| erased_bug("sink"))?;
                for (worker, waker) in wakers.iter().enumerate() {
                    let context = WriterContext { id, worker, workers, epoch, waker: waker.clone() };
                    let made = guarded(|| sink.make_writer(&mut **participant, &context));
                    writers[worker].insert(node, made.map_err(|error| error.at(format_args!("sink `{id}`")))?);
                }
            }
        }
        Ok(writers)
    }

    /// Gives each participant its thread.
    pub fn start(self, environment: &dyn Environment, events: &SyncSender<Event>) -> Result<Participants> {
        let mut threads = BTreeMap::new();
        for (name, (participant, _)) in self.participants {
            let (tasks, inbox) = sync_channel(TASKS_MAX);
            let server = Server { name: name.clone(), participant, tasks: inbox, next: None, events: events.clone() };
            let thread = environment.start(format!("sink-{name}"), Box::new(|| Box::new(server)))?;
            threads.insert(name, Handle { tasks: Some(tasks), thread: Some(thread) });
        }
        Ok(Participants { cancellation: self.cancellation, threads })
    }
}

/// Tasks that may wait: the coordinator asks for one after the other.
const TASKS_MAX: usize = 16;

enum Task {
    Prepare(Epoch, Vec<Share>),
    Commit(Committable, Arc<CommitPermit>),
    Abort(Committable),
}

struct Handle {
    tasks: Option<SyncSender<Task>>,
    thread: Option<Box<dyn Running>>,
}

/// The running participants.
pub(super) struct Participants {
    cancellation: Cancellation,
    threads: BTreeMap<String, Handle>,
}

impl Participants {
    fn give(&self, participant: &str, task: Task) -> Result<()> {
        let tasks = self.threads.get(participant).and_then(|handle| handle.tasks.as_ref());
        match tasks.map(|tasks| tasks.try_send(task)) {
            // A task that went missing would show as a checkpoint that is late, and of somebody else.
            Some(Err(TrySendError::Full(_))) => {
                let message =
                    format!("`{participant}` hangs: it has finished none of the last {TASKS_MAX} things asked of it");
                Err(Error::new(ErrorKind::Timeout, message))
            }
            // A thread that has ended has told why.
            _ => Ok(()),
        }
    }

    pub fn prepare(&self, participant: &str, epoch: Epoch, shares: Vec<Share>) -> Result<()> {
        self.give(participant, Task::Prepare(epoch, shares))
    }

    pub fn commit(&self, committable: Committable, permit: Arc<CommitPermit>) -> Result<()> {
        let name = committable.participant.clone();
        self.give(&name, Task::Commit(committable, permit))
    }

    pub fn abort(&self, committable: Committable) -> Result<()> {
        let name = committable.participant.clone();
        self.give(&name, Task::Abort(committable))
    }

    /// Lets the threads end after what they are doing, and what they are doing soon: what stays undone is
    /// settled by the next attempt.
    pub fn stop(&mut self) {
        self.cancellation.cancel();
        self.threads.values_mut().for_each(|handle| handle.tasks = None);
    }

    /// The participants whose threads have not ended.
    pub fn running(&self) -> Vec<&str> {
        let running = |handle: &Handle| handle.thread.as_ref().is_some_and(|thread| !thread.is_finished());
        self.threads.iter().filter(|(_, handle)| running(handle)).map(|(name, _)| name.as_str()).collect()
    }

    /// Waits for threads that have ended.
    pub fn join(&mut self) {
        for thread in self.threads.values_mut().filter_map(|handle| handle.thread.take()) {
            thread.join();
        }
    }
}

/// Calls a sink on the driver's thread. One of a user's may panic; what it leaves behind is not used again.
fn guarded<T>(call: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_panic(call).unwrap_or_else(|panic| Err(panicked(&*panic)))
}

fn panicked(panic: &(dyn Any + Send)) -> Error {
    Error::new(ErrorKind::Sink, format!("it panicked: {}", panic_message(panic)))
}

/// A participant at work.
struct Server {
    name: String,
    participant: Box<dyn Participant>,
    tasks: Receiver<Task>,
    /// Came while the thread waited.
    next: Option<Task>,
    events: SyncSender<Event>,
}

impl Actor for Server {
    fn turn(&mut self) -> Turn {
        let task = match self.next.take().map_or_else(|| self.tasks.try_recv(), Ok) {
            Ok(task) => task,
            Err(TryRecvError::Empty) => return Turn::WAITING,
            Err(TryRecvError::Disconnected) => return Turn::Done,
        };
        // A sink of a user's may panic; what it leaves behind is not used again.
        let event =
            catch_panic(|| self.serve(task)).unwrap_or_else(|panic| Some(Event::Failed(self.named(panicked(&*panic)))));
        let told = event.is_none_or(|event| self.events.send(event).is_ok());
        if told { Turn::Worked } else { Turn::Done }
    }

    fn wait(&mut self, _at_most: Duration) {
        self.next = self.tasks.recv().ok();
    }
}

impl Server {
    fn named(&self, error: Error) -> Error {
        error.at(format_args!("sink `{}`", self.name))
    }

    fn serve(&mut self, task: Task) -> Option<Event> {
        match task {
            Task::Prepare(epoch, shares) => {
                crash_point("before-prepare");
                let prepared = self.participant.prepare(epoch, shares).map_err(|error| self.named(error));
                if let (true, Ok(Some(bytes))) = (planted(Bug::CommitBeforeManifest), &prepared) {
                    let committable = Committable { participant: self.name.clone(), epoch, bytes: bytes.clone() };
                    let _ = self.participant.commit(&committable, &CommitPermit::published(epoch));
                }
                crash_point("after-prepare");
                Some(Event::Prepared { participant: self.name.clone(), epoch, prepared })
            }
            Task::Commit(committable, permit) => {
                crash_point("before-commit");
                let committed = self.participant.commit(&committable, &permit).map_err(|error| self.named(error));
                let committed = if planted(Bug::CommitFailureIgnored) { Ok(()) } else { committed };
                crash_point("after-commit");
                Some(Event::Committed { participant: self.name.clone(), epoch: committable.epoch, committed })
            }
            Task::Abort(committable) => {
                // What stays is removed by the next attempt's recovery.
                if let Err(error) = self.participant.abort(&committable) {
                    tracing::warn!(%error, sink = self.name, "what was prepared could not be aborted");
                }
                None
            }
        }
    }
}
