//! The workers of an attempt: their threads, and how they are woken, told and stopped.

use super::Event;
use super::environment::Environment;
use crate::api::source::Waker;
use crate::data::build::WorkerPlan;
use crate::data::event::Barrier;
use crate::data::report::{Report, Reporter};
use crate::data::worker::{Order, Sleep, Worker};
use crate::error::Result;
use crate::id::Epoch;
use crate::threads::Running;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Orders that may wait for a worker. It reads them between any two batches.
const ORDERS_MAX: usize = 64;

/// A bell that a sleeping worker hears, and that rings on until it has been heard.
#[derive(Default)]
pub(super) struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
}

impl Bell {
    pub fn ring(&self) {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut rung, true) {
            self.heard.notify_one();
        }
    }
}

struct Sleeper(Arc<Bell>);

impl Sleep for Sleeper {
    #[expect(clippy::disallowed_methods, reason = "where a worker's thread waits; a simulation takes turns instead")]
    fn sleep(&self, at_most: Duration) {
        let rung = self.0.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.0.heard.wait_timeout_while(rung, at_most, |rung| !*rung);
        let (mut rung, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *rung = false;
    }

    fn was_woken(&self) -> bool {
        std::mem::take(&mut *self.0.rung.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

pub(super) fn bells(workers: usize) -> (Vec<Arc<Bell>>, Vec<Waker>) {
    let bells: Vec<Arc<Bell>> = (0..workers).map(|_| Arc::default()).collect();
    let wakers = bells.iter().cloned().map(|bell| Waker::new(move || bell.ring())).collect();
    (bells, wakers)
}

struct Handle {
    orders: SyncSender<Order>,
    bell: Arc<Bell>,
    thread: Option<Box<dyn Running>>,
}

/// The running workers.
pub(super) struct Workers {
    handles: Vec<Handle>,
}

impl Workers {
    pub fn start(
        environment: &dyn Environment,
        plans: Vec<WorkerPlan>,
        bells: Vec<Arc<Bell>>,
        events: &SyncSender<Event>,
    ) -> Result<Self> {
        let mut workers = Self { handles: Vec::new() };
        for (worker, (plan, bell)) in plans.into_iter().zip(bells).enumerate() {
            let (orders, inbox) = sync_channel(ORDERS_MAX);
            let (events, sleeper, clock) = (events.clone(), Sleeper(bell.clone()), environment.clock());
            let make = move || {
                // Once the driver has gone nobody wants to know any more.
                let send = move |report: Report| drop(events.send(Event::Worker(worker, report)));
                let reporter = Reporter::new(send);
                Box::new(Worker::new(plan, inbox, reporter, clock, sleeper)) as Box<_>
            };
            let thread = environment.start(format!("worker-{worker}"), Box::new(make))?;
            workers.handles.push(Handle { orders, bell, thread: Some(thread) });
        }
        Ok(workers)
    }

    fn tell(&self, order: Order) {
        for handle in &self.handles {
            // A worker that has ended has told why; one that does not read its orders is found by the
            // checkpoint's timeout.
            let _ = handle.orders.try_send(order);
            handle.bell.ring();
        }
    }

    pub fn inject(&self, barrier: Barrier) {
        self.tell(Order::Inject(barrier));
    }

    pub fn committed(&self, epoch: Epoch) {
        self.tell(Order::Committed(epoch));
    }

    pub fn stop(&self) {
        self.tell(Order::Stop);
    }

    /// The workers whose threads have not ended.
    pub fn running(&self) -> Vec<usize> {
        let running = |handle: &Handle| handle.thread.as_ref().is_some_and(|thread| !thread.is_finished());
        self.handles.iter().enumerate().filter(|(_, handle)| running(handle)).map(|(worker, _)| worker).collect()
    }

    /// Waits for threads that have ended.
    pub fn join(&mut self) {
        for thread in self.handles.iter_mut().filter_map(|handle| handle.thread.take()) {
            thread.join();
        }
    }
}
