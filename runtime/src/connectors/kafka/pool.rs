//! The pool of producers, shared by the participant and its writers. Which producer is used for what,
//! and when again, is the decision of [`Rotation`].
//!
//! Creating a producer takes tens of milliseconds and `begin` blocks, so a thread keeps begun
//! transactions ready. Workers take one when the first record of an epoch comes; they never wait.

#![expect(clippy::disallowed_methods, reason = "deadlines of real brokers, threads of real clients")]

use super::lanes::Lanes;
use super::message::Kept;
use super::producer::{Outlet, Poller, Waiters};
use crate::crash::crash_point;
use crate::error::{Error, ErrorKind, Result};
use crate::id::Epoch;
use crate::stop::Cancellation;
use crate::transaction::{Ids, Rotation, SharedRotation, Wanted, make_ready};
use rdkafka::ClientConfig;
use std::collections::{BTreeMap, VecDeque};
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
    stopping: Arc<AtomicBool>,
}

/// How producers are made.
pub(super) struct Plan {
    pub config: ClientConfig,
    /// `None` without transactions.
    pub ids: Option<Ids>,
    /// Transactions per epoch.
    pub shards: usize,
    /// A commit that was answered within this time was asked for once.
    pub clean_within: Duration,
    pub cancellation: Cancellation,
}

/// What a writer could not send before it sealed an epoch, in order.
pub(super) struct Deferred {
    pub lanes: Lanes,
    pub kept: VecDeque<Kept>,
}

struct State {
    rotation: Rotation<Arc<Outlet>>,
    deferred: BTreeMap<Epoch, Vec<Deferred>>,
    failure: Option<(ErrorKind, String)>,
}

impl Pool {
    /// Starts the pool.
    pub fn start(plan: Plan, waiters: Arc<Waiters>) -> Result<Arc<Self>> {
        let poller = Poller::start(waiters.clone())?;
        let rotation = Rotation::new(plan.shards);
        let state = Mutex::new(State { rotation, deferred: BTreeMap::new(), failure: None });
        let (changed, maker, stopping) = (Condvar::new(), Mutex::new(None), Arc::default());
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
        self.plan.ids.is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which of an epoch's transactions a writer's records go into: always the same, so that their order is kept.
    pub fn shard(&self, writer: usize) -> usize {
        writer % self.plan.shards
    }

    /// The maker's thread: keeps outlets ready until the pool stops or making one fails.
    fn make_ready(&self) {
        loop {
            let mut state = self.state();
            let wanted = loop {
                if self.is_stopping() {
                    return;
                }
                match state.rotation.wanted() {
                    Some(wanted) => break wanted,
                    None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                }
            };
            drop(state);
            let made = self.make(wanted);
            let mut state = self.state();
            let failed = made.is_err();
            match made {
                Ok(outlet) => state.rotation.ready(outlet),
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

    fn make(&self, wanted: Wanted<Arc<Outlet>>) -> Result<Arc<Outlet>> {
        let is_new = matches!(wanted, Wanted::New(_));
        let open = |number| {
            let id = self.plan.ids.as_ref().map_or_else(String::new, |ids| ids.producer(number));
            let deadline = Instant::now() + OPEN_WITHIN;
            Outlet::create(&self.plan, id, &self.poller, deadline, self.stopping.clone())
        };
        let outlet = match wanted {
            Wanted::New(number) if !self.is_transactional() => open(number)?,
            wanted => make_ready(wanted, open)?,
        };
        if is_new {
            // Only now: the poller must not be the last to hold a producer that was given up.
            self.poller.add(&outlet);
        }
        Ok(outlet)
    }

    /// Where a shard's records of an epoch go; `None` while no transaction is ready: the waiters are woken then.
    pub fn outlet(&self, epoch: Epoch, shard: usize) -> Result<Option<Arc<Outlet>>> {
        let mut state = self.state();
        if let Some(outlet) = state.rotation.taken(epoch, shard) {
            return Ok(Some(outlet.clone()));
        }
        state.check()?;
        if !self.is_transactional() {
            return Ok(state.rotation.any().cloned());
        }
        let Some(outlet) = state.rotation.take(epoch, shard) else { return Ok(None) };
        drop(state);
        crash_point("kafka-before-first-write");
        self.changed.notify_all();
        Ok(Some(outlet))
    }

    /// The outlet of a shard, waiting for it. For threads that may block.
    pub fn outlet_by(&self, epoch: Epoch, shard: usize, deadline: Instant) -> Result<Arc<Outlet>> {
        loop {
            if let Some(outlet) = self.outlet(epoch, shard)? {
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
            if let Some(outlet) = state.rotation.any() {
                return Ok(outlet.clone());
            }
            drop(state);
            self.wait(deadline)?;
        }
    }

    fn wait(&self, deadline: Instant) -> Result<()> {
        self.plan.cancellation.check()?;
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

    /// Whether all that a writer sealed for an epoch and route has arrived.
    pub fn has_arrived(&self, epoch: Epoch, shard: usize, route: usize, records: u64) -> Result<bool> {
        if !self.is_transactional() || records == 0 {
            return Ok(true);
        }
        let state = self.state();
        if state.rotation.is_prepared(epoch) {
            return Ok(true);
        }
        let Some(outlet) = state.rotation.taken(epoch, shard) else { return Ok(false) };
        outlet.check_reports()?;
        Ok(outlet.tally().acknowledged_of(route) >= records)
    }

    /// Whether all records of an epoch have arrived, those too that the participant had to send.
    pub fn is_prepared(&self, epoch: Epoch) -> Result<bool> {
        let state = self.state();
        state.check()?;
        Ok(state.rotation.is_prepared(epoch))
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

impl SharedRotation<Arc<Outlet>> for Pool {
    fn with<R>(&self, change: impl FnOnce(&mut Rotation<Arc<Outlet>>) -> R) -> R {
        let changed = change(&mut self.state().rotation);
        self.changed.notify_all();
        self.waiters.wake();
        changed
    }
}

impl State {
    fn check(&self) -> Result<()> {
        match &self.failure {
            None => Ok(()),
            Some((kind, message)) => Err(Error::new(*kind, message.clone())),
        }
    }
}
