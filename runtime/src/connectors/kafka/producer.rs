//! One librdkafka producer with its delivery reports: an *outlet*, through which one transaction at
//! a time flows. Also the thread that polls the reports of all outlets.

#![expect(clippy::disallowed_methods, reason = "deadlines of real brokers, threads of real clients")]

use super::log::{self, Errors};
use super::pool::Plan;
use super::raw::{self, ProducerTopic, Questions, Reports, tokens};
use super::tally::Tally;
use crate::api::source::Waker;
use crate::crash::{crash_point, is_awaited};
use crate::error::{Error, ErrorKind, Result};
use crate::stop::Cancellation;
use crate::transaction::{Answer, LiveProducer};
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, DeliveryResult, Producer, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;
use std::ffi::CString;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

/// The pause before a call into librdkafka is repeated.
const PAUSE: Duration = Duration::from_millis(20);
/// How long one call waits for a transactional id.
const INIT_STEP: Duration = Duration::from_millis(500);
/// How long one call waits for a commit or an abort, which go on with the next call.
const END_STEP: Duration = Duration::from_millis(500);
/// How long the live producer has to commit before the transaction's fate is asked for.
const COMMIT_WITHIN: Duration = Duration::from_secs(30);

/// Receives delivery reports; the number that travels with a record is its writer's.
#[derive(Default)]
pub(super) struct Delivery {
    tally: Tally,
    errors: Errors,
}

impl ClientContext for Delivery {
    fn log(&self, level: RDKafkaLogLevel, _facility: &str, text: &str) {
        log::write(level as i32, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            self.tally.fail(reason.to_owned());
        }
        self.errors.report(format_args!("{error}: {reason}"));
    }
}

impl ProducerContext for Delivery {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, writer: usize) {
        match result {
            Ok(message) if message.offset() >= 0 => self.tally.arrived(writer, message.partition(), message.offset()),
            // After a lost answer the broker may say "already stored" without saying where.
            Ok(message) => self.tally.fail(format!(
                "a record was stored in {}/{} but the broker did not say where",
                message.topic(),
                message.partition()
            )),
            Err((error, message)) => {
                self.tally.fail(format!("a record for {} was not delivered: {error}", message.topic()));
            }
        }
    }
}

/// One producer, and what was sent through it since it last began.
pub(super) struct Outlet {
    /// Its transactional id; empty without transactions.
    pub id: String,
    // Before the producer: the callback ends first.
    reports: Reports<Delivery>,
    producer: Arc<BaseProducer<Delivery>>,
    sent: AtomicU64,
    first_sent: Mutex<Option<Instant>>,
    /// Until when it may initialise its id, unless the pool stops before.
    deadline: Instant,
    stopping: Arc<AtomicBool>,
    /// A commit that was answered within this time was asked for once.
    clean_within: Duration,
    cancellation: Cancellation,
}

impl Outlet {
    /// Creates the producer. Initialising its id gives up at the deadline, and soon after `stopping` is
    /// set; a producer that is gone initialises nothing any more.
    pub fn create(
        plan: &Plan,
        id: String,
        poller: &Poller,
        deadline: Instant,
        stopping: Arc<AtomicBool>,
    ) -> Result<Arc<Self>> {
        let mut config = plan.config.clone();
        if !id.is_empty() {
            config.set("transactional.id", &id);
        }
        let producer: BaseProducer<Delivery> = config.create_with_context(Delivery::default()).map_err(|error| {
            let message = "librdkafka refuses the options of the Kafka sink; see .set(..)";
            Error::new(ErrorKind::Config, message).caused_by(error)
        })?;
        tokens::renew(producer.client()).map_err(|why| {
            Error::new(ErrorKind::Sink, "librdkafka cannot renew the tokens of OAUTHBEARER").caused_by(why)
        })?;
        let producer = Arc::new(producer);
        let poller_thread = poller.thread.clone();
        let reports = Reports::new(producer.clone(), move || poller_thread.unpark());
        let (sent, first_sent) = (AtomicU64::new(0), Mutex::new(None));
        let (clean_within, cancellation) = (plan.clean_within, plan.cancellation.clone());
        Ok(Arc::new(Self { id, reports, producer, sent, first_sent, deadline, stopping, clean_within, cancellation }))
    }

    pub fn flush(&self, timeout: Duration) {
        raw::flush(&self.producer, timeout);
    }

    /// As `flush`, which does not wait when nothing is on its way.
    pub fn flush_or_pause(&self, timeout: Duration) {
        if self.in_flight() == 0 {
            std::thread::sleep(PAUSE);
        }
        self.flush(timeout);
    }

    /// Repeats a call that ends a transaction while it may still succeed; each waits for a step.
    fn end(&self, deadline: Instant, call: impl Fn(Duration) -> KafkaResult<()>) -> KafkaResult<()> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).max(PAUSE);
            match call(left.min(END_STEP)) {
                Err(KafkaError::Transaction(error))
                    if error.is_retriable() && left > PAUSE && !self.cancellation.is_cancelled() =>
                {
                    std::thread::sleep(PAUSE);
                }
                ended => return ended,
            }
        }
    }

    pub fn tally(&self) -> &Tally {
        &self.producer.context().tally
    }

    pub fn topic(&self, name: &CString) -> Result<ProducerTopic<Delivery>> {
        ProducerTopic::new(self.producer.clone(), name).map_err(|error| {
            Error::new(ErrorKind::Sink, format!("librdkafka refuses the topic {name:?}")).caused_by(error)
        })
    }

    /// Asks about a topic. `notify` runs when the answer comes, and must not touch the producer.
    pub fn ask_about(&self, topic: &str, within: Duration, notify: impl Fn() + Send + Sync + 'static) -> Questions {
        let questions = Questions::of_producer(&self.producer, notify);
        questions.describe(&[topic], within);
        questions
    }

    /// So many more records were given to librdkafka.
    pub fn count_sent(&self, records: u64) {
        if records == 0 {
            return;
        }
        let mut first_sent = self.first_sent();
        let is_first = first_sent.is_none();
        first_sent.get_or_insert_with(Instant::now);
        drop(first_sent);
        self.sent.fetch_add(records, Ordering::SeqCst);
        if is_first {
            crash_point("kafka-first-written");
        }
    }

    pub fn in_flight(&self) -> u64 {
        self.sent.load(Ordering::SeqCst).saturating_sub(self.tally().acknowledged())
    }

    fn first_sent(&self) -> MutexGuard<'_, Option<Instant>> {
        self.first_sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The failure of a record or of the producer, as an error.
    pub fn check(&self) -> Result<()> {
        let why = self.tally().failure().or_else(|| raw::fatal_error(self.producer.client()));
        match why {
            None => Ok(()),
            Some(why) => Err(Error::new(ErrorKind::Sink, format!("the Kafka sink's producer failed: {why}"))),
        }
    }

    /// As `check`, without asking librdkafka: for each batch.
    pub fn check_reports(&self) -> Result<()> {
        if self.tally().failure().is_some() { self.check() } else { Ok(()) }
    }
}

impl LiveProducer for Arc<Outlet> {
    fn id(&self) -> &str {
        &self.id
    }

    /// Waits in short steps, as the call cannot be interrupted.
    fn initialise(&self) -> Result<()> {
        let in_time = || !self.stopping.load(Ordering::SeqCst) && Instant::now() < self.deadline;
        loop {
            let error = match self.producer.init_transactions(INIT_STEP) {
                Ok(()) => return Ok(()),
                Err(KafkaError::Transaction(error)) if error.is_retriable() && in_time() => {
                    std::thread::sleep(PAUSE);
                    continue;
                }
                Err(error) => error,
            };
            let message = format!("the Kafka sink cannot open transactions as {}", self.id);
            return Err(Error::new(ErrorKind::Sink, message).caused_by(error));
        }
    }

    /// Nothing is sent to a broker before the first record.
    fn begin(&self) -> Result<()> {
        self.tally().reset();
        self.sent.store(0, Ordering::SeqCst);
        *self.first_sent() = None;
        self.producer.begin_transaction().map_err(|error| {
            Error::new(ErrorKind::Sink, format!("the Kafka sink cannot begin a transaction as {}", self.id))
                .caused_by(error)
        })
    }

    /// librdkafka sends a request again on its own, and does not tell. But it waits before it does: a commit
    /// that was answered sooner was asked for once.
    fn commit(&self) -> Answer {
        let started = Instant::now();
        if is_awaited("kafka-commit-sent") {
            // Has the request sent and does not wait for its answer; to call again goes on with it.
            let _ = self.producer.commit_transaction(Duration::ZERO);
            std::thread::sleep(PAUSE);
            crash_point("kafka-commit-sent");
        }
        match self.end(started + COMMIT_WITHIN, |step| self.producer.commit_transaction(step)) {
            Ok(()) if started.elapsed() < self.clean_within => Answer::Clean,
            Ok(()) => Answer::Unclean(format!("it took {} ms", started.elapsed().as_millis())),
            Err(error) => Answer::Unclean(error.to_string()),
        }
    }

    /// What is still queued is sent first: librdkafka cannot abort otherwise.
    fn abort(&self) -> Result<()> {
        let deadline = Instant::now() + COMMIT_WITHIN;
        while self.in_flight() > 0 && Instant::now() < deadline && self.cancellation.check().is_ok() {
            self.flush(END_STEP);
        }
        self.end(deadline, |step| self.producer.abort_transaction(step)).map_err(|error| {
            let message = format!("the transaction {} was not aborted", self.id);
            Error::new(ErrorKind::Sink, message).caused_by(error)
        })
    }

    fn age(&self) -> Duration {
        self.first_sent().map_or(Duration::ZERO, |first| first.elapsed())
    }
}

/// A worker that waits for room, for acknowledgements or for a transaction.
pub(super) struct Waiter {
    waiting: AtomicBool,
    waker: Waker,
}

impl Waiter {
    /// From now on the next event wakes the worker. Afterwards the condition has to be looked at again.
    pub fn arm(&self) {
        self.waiting.store(true, Ordering::SeqCst);
    }
}

/// All waiters of a participant.
#[derive(Default)]
pub(super) struct Waiters {
    list: Mutex<Vec<Arc<Waiter>>>,
    later: AtomicBool,
}

impl Waiters {
    pub fn add(&self, waker: Waker) -> Arc<Waiter> {
        let waiter = Arc::new(Waiter { waiting: AtomicBool::new(false), waker });
        self.list.lock().unwrap_or_else(PoisonError::into_inner).push(waiter.clone());
        waiter
    }

    pub fn wake(&self) {
        for waiter in self.list.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if waiter.waiting.swap(false, Ordering::SeqCst) {
                waiter.waker.wake();
            }
        }
    }

    /// Wakes when the poller looks again, within half a second.
    pub fn later(&self) {
        self.later.store(true, Ordering::SeqCst);
    }
}

/// The thread that polls delivery reports. librdkafka wakes it, so it costs nothing while idle.
pub(super) struct Poller {
    thread: Thread,
    outlets: Arc<Mutex<Vec<Weak<Outlet>>>>,
    stop: Arc<AtomicBool>,
    handle: Option<JoinHandle<()>>,
}

/// librdkafka's log lines and errors are picked up this often even if nobody wakes the thread.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

impl Poller {
    pub fn start(waiters: Arc<Waiters>) -> Result<Self> {
        let outlets: Arc<Mutex<Vec<Weak<Outlet>>>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let (polled, stopped) = (outlets.clone(), stop.clone());
        let handle = std::thread::Builder::new()
            .name("kafka-reports".to_owned())
            .spawn(move || {
                while !stopped.load(Ordering::SeqCst) {
                    poll(&polled, &waiters);
                    std::thread::park_timeout(LOOK_AGAIN);
                    if waiters.later.swap(false, Ordering::SeqCst) {
                        waiters.wake();
                    }
                }
            })
            .map_err(|error| Error::new(ErrorKind::Sink, "the system gave no thread").caused_by(error))?;
        Ok(Self { thread: handle.thread().clone(), outlets, stop, handle: Some(handle) })
    }

    pub fn add(&self, outlet: &Arc<Outlet>) {
        self.outlets.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(outlet));
    }
}

fn poll(outlets: &Mutex<Vec<Weak<Outlet>>>, waiters: &Waiters) {
    let live: Vec<Arc<Outlet>> = {
        let mut outlets = outlets.lock().unwrap_or_else(PoisonError::into_inner);
        outlets.retain(|outlet| outlet.strong_count() > 0);
        outlets.iter().filter_map(Weak::upgrade).collect()
    };
    for outlet in live {
        let mut any = false;
        // One call handles one event, which may be the reports of thousands of records.
        while outlet.reports.waiting() > 0 {
            outlet.producer.poll(Duration::ZERO);
            any = true;
        }
        if any {
            waiters.wake();
        }
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.unpark();
        if let Some(handle) = self.handle.take() {
            // A panic of the thread was reported when it happened.
            let _ = handle.join();
        }
    }
}
