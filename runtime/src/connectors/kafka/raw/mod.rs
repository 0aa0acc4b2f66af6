//! What rust-rdkafka does not offer, straight from librdkafka: the only unsafe code of the connectors.
//!
//! ```text
//! consumer   a batch of messages is read with one call and decoded from librdkafka's own memory,
//!            at 40 % of the CPU per message
//! producer   a message is produced through a topic handle, without looking the topic up by name each
//!            time; a flush waits for the poller thread instead of polling in steps of 100 ms
//! questions  topics and offsets are asked for through the client's own connections, without blocking
//! tokens     OAUTHBEARER's are renewed by librdkafka itself
//! ```
//!
//! Everything here is mechanism; no rule of the protocol is known.

mod consumer;
mod producer;
mod questions;
pub(super) mod tokens;

pub(super) use consumer::{BatchConsumer, Message, set_leader_epoch};
pub(super) use producer::{ProducerTopic, Reports, fatal_error, flush};
pub(super) use questions::{Answer, Found, FoundOffset, Questions, Which};

use rdkafka::bindings as rd;
use std::ffi::{CStr, c_char, c_void};
use std::ptr::null_mut;

/// A counted reference to one of a client's queues. Must not outlive the client.
struct Queue(*mut rd::rd_kafka_queue_t);

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: the reference is ours and is given back once.
        unsafe { rd::rd_kafka_queue_destroy(self.0) }
    }
}

/// A queue that calls a function when it fills after it was empty. Must not outlive the client.
struct Notified {
    // Before the function, which its callback uses.
    queue: Queue,
    _notify: Box<Box<dyn Fn() + Send + Sync>>,
}

// SAFETY: librdkafka's queues may be used from any thread, and the rest is Send and Sync by itself.
unsafe impl Send for Notified {}
// SAFETY: as above.
unsafe impl Sync for Notified {}

unsafe extern "C" fn notify_from_queue(_: *mut rd::rd_kafka_t, opaque: *mut c_void) {
    // SAFETY: the opaque is the box in `Notified`, which outlives the callback.
    let notify = unsafe { &*opaque.cast::<Box<dyn Fn() + Send + Sync>>() };
    notify();
}

impl Notified {
    /// `notify` runs on librdkafka's threads with the queue locked: it must not touch the client.
    fn new(queue: Queue, notify: impl Fn() + Send + Sync + 'static) -> Self {
        // Boxed twice as a pointer to a `dyn Fn` does not fit into one word.
        let notify: Box<Box<dyn Fn() + Send + Sync>> = Box::new(Box::new(notify));
        let opaque = (&raw const *notify).cast_mut().cast();
        // SAFETY: the opaque stays where it is, on the heap, until `drop` has taken the callback away.
        unsafe { rd::rd_kafka_queue_cb_event_enable(queue.0, Some(notify_from_queue), opaque) };
        Self { queue, _notify: notify }
    }
}

impl Drop for Notified {
    fn drop(&mut self) {
        // SAFETY: the queue is alive. It is locked both here and around each callback, so none runs
        // after this, and the boxed function can be freed.
        unsafe { rd::rd_kafka_queue_cb_event_enable(self.queue.0, None, null_mut()) }
    }
}

/// # Safety
/// If `start` is not null, `length` bytes from there must be readable for `'a`.
unsafe fn bytes<'a>(start: *const c_void, length: usize) -> Option<&'a [u8]> {
    // SAFETY: promised by the caller.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start.cast(), length) })
}

/// # Safety
/// The text, if it is not null, ends in NUL.
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: promised by the caller.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
