//! The pool of producers: which transaction an epoch's records go into, and when a producer may be
//! used again.
//!
//! Creating a producer takes tens of milliseconds and `begin` blocks, so a thread keeps one begun
//! transaction ready. Workers take it when the first record of an epoch comes; they never wait.
//!
//! A transactional id that a manifest lists is used again only when a later manifest is durable: until
//! then its state at the coordinator is what recovery would ask for.

use super::lanes::Lanes;
use super::message::Kept;
use super::producer::{Outlet, Poller, Waiters};
use crate::error::{Error, ErrorKind, Result};
use crate::id::Epoch;
use rdkafka::ClientConfig;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a producer may take to start.
const OPEN_WITHIN: Duration = Duration::from_secs(60);

/// Shared by the participant and all its writers.
pub(super) struct Pool {
    plan: Plan,
    state: Mutex<State>,
    changed: Condvar,
    pub waiters: Arc<Waiters>,
    poller: Poller,
    maker: Mutex<Option<JoinHandle<()>>>,
    stopping: AtomicBool,
}

/// How producers are made.
pub(super) struct Plan {
    pub config: ClientConfig,
    /// `<job>/<lineage>/`, or `None` without transactions.
    pub prefix: Option<String>,
}

/// What a writer could not send before it sealed an epoch, in order.
pub(super) struct Deferred {
    pub lanes: Lanes,
    pub kept: VecDeque<Kept>,
}

#[derive(Default)]
struct State {
    /// Begun and empty.
    ready: Vec<Arc<Outlet>>,
    /// Taken by an epoch, not prepared yet.
    epochs: BTreeMap<Epoch, Arc<Outlet>>,
    deferred: BTreeMap<Epoch, Vec<Deferred>>,
    /// The last epoch all of whose records were acknowledged.
    prepared: Option<Epoch>,
    /// Committed, with the newest manifest that lists it.
    cooling: Vec<(Epoch, Arc<Outlet>)>,
    /// May begin again.
    idle: Vec<Arc<Outlet>>,
    /// Numbers of ids that a manifest lists, from an earlier attempt.
    listed: BTreeSet<u64>,
    next: u64,
    failure: Option<(ErrorKind, String)>,
}

impl Pool {
    /// Starts the pool. `listed` are the numbers whose ids the restored manifest names.
    pub fn start(plan: Plan, waiters: Arc<Waiters>, listed: BTreeSet<u64>) -> Result<Arc<Self>> {
        let poller = Poller::start(waiters.clone())?;
        let state = Mutex::new(State { listed, ..State::default() });
        let (changed, maker, stopping) = (Condvar::new(), Mutex::new(None), AtomicBool::new(false));
        let pool = Arc::new(Self { plan, state, changed, waiters, poller, maker, stopping });
        let shared = pool.clone();
        let maker = std::thread::Builder::new()
            .name("kafka-producers".to_owned())
            .spawn(move || shared.make_ready())
            .map_err(|error| Error::new(ErrorKind::Sink, "the system gave no thread").caused_by(error))?;
        *pool.maker.lock().unwrap_or_else(PoisonError::into_inner) = Some(maker);
        Ok(pool)
    }

    pub fn is_transactional(&self) -> bool {
        self.plan.prefix.is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The maker's thread: keeps one outlet ready until the pool stops or making one fails.
    fn make_ready(&self) {
        loop {
            let mut state = self.state();
            while !self.is_stopping() && !state.ready.is_empty() {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if self.is_stopping() {
                return;
            }
            let idle = state.idle.pop();
            let number = if idle.is_some() { 0 } else { state.take_number() };
            drop(state);
            let made = self.make(idle, number);
            let mut state = self.state();
            let failed = made.is_err();
            match made {
                Ok(outlet) => state.ready.push(outlet),
                Err(error) => state.failure = Some((error.kind(), error.to_string())),
            }
            drop(state);
            self.changed.notify_all();
            self.waiters.wake();
            if failed {
                return;
            }
        }
    }

    fn make(&self, idle: Option<Arc<Outlet>>, number: u64) -> Result<Arc<Outlet>> {
        let id = self.plan.prefix.as_ref().map_or_else(String::new, |prefix| format!("{prefix}{number}"));
        let deadline = Instant::now() + OPEN_WITHIN;
        let outlet = match idle {
            Some(outlet) => outlet,
            None => Outlet::open(&self.plan.config, id, &self.poller, deadline, &self.stopping)?,
        };
        if self.is_transactional() {
            outlet.begin()?;
        }
        Ok(outlet)
    }

    /// Where the records of an epoch go; `None` while no transaction is ready: the waiters are woken then.
    pub fn outlet(&self, epoch: Epoch) -> Result<Option<Arc<Outlet>>> {
        let mut state = self.state();
        if let Some(outlet) = state.epochs.get(&epoch) {
            return Ok(Some(outlet.clone()));
        }
        state.check()?;
        if !self.is_transactional() {
            return Ok(state.ready.first().cloned());
        }
        let Some(outlet) = state.ready.pop() else { return Ok(None) };
        state.epochs.insert(epoch, outlet.clone());
        drop(state);
        self.changed.notify_all();
        Ok(Some(outlet))
    }

    /// As `outlet`, waiting for it. For threads that may block.
    pub fn outlet_by(&self, epoch: Epoch, deadline: Instant) -> Result<Arc<Outlet>> {
        loop {
            if let Some(outlet) = self.outlet(epoch)? {
                return Ok(outlet);
            }
            self.wait(deadline)?;
        }
    }

    /// An outlet to ask questions with, waiting for the first one.
    pub fn any(&self) -> Result<Arc<Outlet>> {
        let deadline = Instant::now() + OPEN_WITHIN;
        loop {
            let state = self.state();
            state.check()?;
            if let Some(outlet) = state.ready.first().or_else(|| state.epochs.values().next()) {
                return Ok(outlet.clone());
            }
            drop(state);
            self.wait(deadline)?;
        }
    }

    fn wait(&self, deadline: Instant) -> Result<()> {
        if Instant::now() >= deadline {
            return Err(Error::new(ErrorKind::Timeout, "no Kafka producer became ready in time: is Kafka up?"));
        }
        // Not only notified: another thread may have taken what was ready.
        let pause = Duration::from_millis(50);
        drop(self.changed.wait_timeout(self.state(), pause).unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }

    /// Leaves to the participant what a writer could not send before it sealed the epoch.
    pub fn defer(&self, epoch: Epoch, deferred: Deferred) {
        self.state().deferred.entry(epoch).or_default().push(deferred);
    }

    pub fn take_deferred(&self, epoch: Epoch) -> Vec<Deferred> {
        self.state().deferred.remove(&epoch).unwrap_or_default()
    }

    /// Whether all that a writer sealed for an epoch has arrived.
    pub fn has_arrived(&self, epoch: Epoch, writer: usize, records: u64) -> Result<bool> {
        if !self.is_transactional() || records == 0 {
            return Ok(true);
        }
        let state = self.state();
        if state.prepared >= Some(epoch) {
            return Ok(true);
        }
        let Some(outlet) = state.epochs.get(&epoch) else { return Ok(false) };
        outlet.check_reports()?;
        Ok(outlet.tally().acknowledged_of(writer) >= records)
    }

    /// Whether all records of an epoch have arrived, those too that the participant had to send.
    pub fn is_prepared(&self, epoch: Epoch) -> Result<bool> {
        let state = self.state();
        state.check()?;
        Ok(state.prepared >= Some(epoch))
    }

    /// The epoch's records have all arrived: its outlet now belongs to the participant.
    pub fn take_prepared(&self, epoch: Epoch) {
        let mut state = self.state();
        state.epochs.remove(&epoch);
        state.prepared = state.prepared.max(Some(epoch));
        drop(state);
        self.waiters.wake();
    }

    /// An epoch without records: its transaction serves another one.
    pub fn carry(&self, epoch: Epoch) {
        let mut state = self.state();
        if let Some(outlet) = state.epochs.remove(&epoch) {
            state.ready.push(outlet);
        }
        state.prepared = state.prepared.max(Some(epoch));
        drop(state);
        self.waiters.wake();
    }

    /// What the manifest of this epoch lists is being committed, so it is durable: what only earlier
    /// manifests list is free. The committed producer, if it is still good, waits for a later one.
    pub fn committed(&self, manifest: Epoch, outlet: Option<Arc<Outlet>>) {
        let mut state = self.state();
        state.listed.clear();
        let cooling = std::mem::take(&mut state.cooling);
        let (earlier, same): (Vec<_>, Vec<_>) = cooling.into_iter().partition(|(listed_in, _)| *listed_in < manifest);
        state.idle.extend(earlier.into_iter().map(|(_, outlet)| outlet));
        state.cooling = same;
        state.cooling.extend(outlet.map(|outlet| (manifest, outlet)));
        drop(state);
        self.changed.notify_all();
    }

    /// A producer whose transaction was aborted before any manifest listed it.
    pub fn aborted(&self, outlet: Arc<Outlet>) {
        self.state().idle.push(outlet);
        self.changed.notify_all();
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Ends the maker's thread, and waits for it: a producer that initialises its id after the next
    /// attempt has begun would lock that attempt out.
    pub fn stop(&self) {
        {
            let _not_between_look_and_wait = self.state();
            self.stopping.store(true, Ordering::SeqCst);
        }
        self.changed.notify_all();
        let maker = self.maker.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A panic of the thread was reported when it happened.
        let _ = maker.map(JoinHandle::join);
    }
}

impl State {
    fn take_number(&mut self) -> u64 {
        while self.listed.contains(&self.next) {
            self.next += 1;
        }
        self.next += 1;
        self.next - 1
    }

    fn check(&self) -> Result<()> {
        match &self.failure {
            None => Ok(()),
            Some((kind, message)) => Err(Error::new(*kind, message.clone())),
        }
    }
}
