//! What rust-rdkafka does not offer, straight from librdkafka: the only unsafe code of the connectors.
//!
//! Three things are worth it. A batch of messages is read with one call and decoded from librdkafka's
//! own memory, at 40 % of the CPU per message. A message is produced through a topic handle, without
//! looking the topic up by name each time. A flush waits for the poller thread instead of polling in
//! steps of 100 ms. Everything here is mechanism; no rule of the protocol is known.

use rdkafka::TopicPartitionList;
use rdkafka::bindings as rd;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;
use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr::{null, null_mut};
use std::sync::Arc;
use std::time::Duration;

/// A counted reference to one of a client's queues. Must not outlive the client.
struct Queue(*mut rd::rd_kafka_queue_t);

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: the reference is ours and is given back once.
        unsafe { rd::rd_kafka_queue_destroy(self.0) }
    }
}

/// A consumer that is read in batches. Nothing else may poll it.
pub(super) struct BatchConsumer<C: ConsumerContext> {
    // Fields drop in this order: messages and queues before the client that they belong to.
    messages: Fetched,
    queue: Queue,
    logs: Queue,
    consumer: BaseConsumer<C>,
}

/// Messages that were taken from the queue, from `next` on not yet destroyed.
struct Fetched {
    pointers: Vec<*mut rd::rd_kafka_message_t>,
    next: usize,
    end: usize,
}

impl Drop for Fetched {
    fn drop(&mut self) {
        for &message in &self.pointers[self.next..self.end] {
            // SAFETY: owned, and not destroyed before, as `next` moves with each destruction.
            unsafe { rd::rd_kafka_message_destroy(message) }
        }
    }
}

impl<C: ConsumerContext> BatchConsumer<C> {
    /// Takes over a consumer that has a group id, to read up to `capacity` messages at a time.
    /// `wake` is called from librdkafka's threads when there may be messages after there were none.
    pub fn new(mut consumer: BaseConsumer<C>, capacity: usize, wake: impl Fn() + Send + Sync + 'static) -> Self {
        let client = consumer.client().native_ptr();
        // SAFETY: the client is alive; each call returns a reference that belongs to us.
        let (queue, logs) =
            unsafe { (Queue(rd::rd_kafka_queue_get_consumer(client)), Queue(rd::rd_kafka_queue_new(client))) };
        // The batch call would print log lines to stderr: they get a queue of their own.
        // SAFETY: both live; librdkafka takes its own reference to the queue.
        unsafe { rd::rd_kafka_set_log_queue(client, logs.0) };
        consumer.set_nonempty_callback(wake);
        let messages = Fetched { pointers: vec![null_mut(); capacity], next: 0, end: 0 };
        Self { messages, queue, logs, consumer }
    }

    /// Fetches more messages once all were popped, without waiting. Returns how many there are.
    pub fn fill(&mut self) -> usize {
        if self.messages.next == self.messages.end {
            let pointers = &mut self.messages.pointers;
            // SAFETY: the array has room for as many pointers as are asked for; those filled in are ours.
            let count =
                unsafe { rd::rd_kafka_consume_batch_queue(self.queue.0, 0, pointers.as_mut_ptr(), pointers.len()) };
            (self.messages.next, self.messages.end) = (0, usize::try_from(count).unwrap_or(0));
        }
        self.messages.end - self.messages.next
    }

    /// The next message or error.
    #[inline]
    pub fn front(&self) -> Option<Message<'_>> {
        let pending = &self.messages.pointers[self.messages.next..self.messages.end];
        // SAFETY: from `next` on, messages are alive, and `pop` cannot be called while this borrow lasts.
        pending.first().map(|&message| Message(unsafe { &*message }))
    }

    /// Destroys the next message.
    #[inline]
    pub fn pop(&mut self) {
        if self.messages.next < self.messages.end {
            // SAFETY: owned and alive; moving `next` makes sure that it is destroyed once.
            unsafe { rd::rd_kafka_message_destroy(self.messages.pointers[self.messages.next]) }
            self.messages.next += 1;
        }
    }

    /// Calls `write(severity, text)` for each log line since the last call; severities are syslog's.
    pub fn take_logs(&self, mut write: impl FnMut(i32, &str)) {
        loop {
            // SAFETY: the queue is alive; a returned event is ours.
            let event = unsafe { rd::rd_kafka_queue_poll(self.logs.0, 0) };
            if event.is_null() {
                return;
            }
            let (mut facility, mut text, mut level): (*const c_char, *const c_char, i32) = (null(), null(), 0);
            // SAFETY: the event is alive until it is destroyed; on success the texts live as long as it.
            unsafe {
                if rd::rd_kafka_event_log(event, &raw mut facility, &raw mut text, &raw mut level) == 0 {
                    write(level, CStr::from_ptr(text).to_string_lossy().trim());
                }
                rd::rd_kafka_event_destroy(event);
            }
        }
    }

    /// The end of a partition as the last fetch saw it, or -1001: no request is made.
    pub fn cached_end(&self, topic: &CStr, partition: i32) -> i64 {
        let (mut low, mut high) = (0, -1001);
        // SAFETY: the client lives, the name ends in NUL, and the results are only written to.
        unsafe {
            let client = self.consumer.client().native_ptr();
            rd::rd_kafka_get_watermark_offsets(client, topic.as_ptr(), partition, &raw mut low, &raw mut high)
        };
        high
    }
}

/// A consumed message, or an error in its place.
pub(super) struct Message<'a>(&'a rd::rd_kafka_message_t);

impl Message<'_> {
    pub fn error(&self) -> Option<RDKafkaErrorCode> {
        (self.0.err != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR).then(|| self.0.err.into())
    }

    pub fn error_text(&self) -> String {
        // SAFETY: the message lives; the text is its own or static, and copied here.
        let text = unsafe { rd::rd_kafka_message_errstr(self.0) };
        if text.is_null() {
            return String::new();
        }
        // SAFETY: not null, and NUL-terminated by librdkafka.
        unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
    }

    #[inline]
    pub fn partition(&self) -> i32 {
        self.0.partition
    }

    #[inline]
    pub fn offset(&self) -> i64 {
        self.0.offset
    }

    /// The value; empty for a tombstone.
    #[inline]
    pub fn payload(&self) -> &[u8] {
        // SAFETY: librdkafka describes its own memory, which lives as long as the message.
        unsafe { bytes(self.0.payload, self.0.len) }.unwrap_or_default()
    }

    pub fn key(&self) -> Option<&[u8]> {
        // SAFETY: as for the payload.
        unsafe { bytes(self.0.key, self.0.key_len) }
    }

    /// Milliseconds since 1970, or -1.
    #[inline]
    pub fn timestamp_ms(&self) -> i64 {
        // SAFETY: the message is alive; the kind of timestamp is not wanted.
        unsafe { rd::rd_kafka_message_timestamp(self.0, null_mut()) }
    }

    /// The leader's epoch when the message was fetched, or -1.
    pub fn leader_epoch(&self) -> i32 {
        // SAFETY: the message is alive.
        unsafe { rd::rd_kafka_message_leader_epoch(self.0) }
    }

    pub fn headers(&self) -> Vec<(String, Option<Vec<u8>>)> {
        let mut list = null_mut();
        // SAFETY: the message is alive and keeps owning the list.
        let found = unsafe { rd::rd_kafka_message_headers(self.0, &raw mut list) };
        if found != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Vec::new();
        }
        let header = |index| {
            let (mut name, mut value, mut size) = (null(), null(), 0);
            // SAFETY: the list is alive; an index past its end is answered with an error.
            let found =
                unsafe { rd::rd_kafka_header_get_all(list, index, &raw mut name, &raw mut value, &raw mut size) };
            (found == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR).then(|| {
                // SAFETY: on success both point into the list; the name ends in NUL.
                unsafe {
                    let name = CStr::from_ptr(name).to_string_lossy().into_owned();
                    (name, bytes(value, size).map(<[u8]>::to_vec))
                }
            })
        };
        (0..).map_while(header).collect()
    }
}

/// # Safety
/// If `start` is not null, `length` bytes from there must be readable for `'a`.
unsafe fn bytes<'a>(start: *const c_void, length: usize) -> Option<&'a [u8]> {
    // SAFETY: promised by the caller.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start.cast(), length) })
}

/// Adds the epoch of the leader that a position was read from, so that the broker can tell whether
/// its log was cut back since (KIP-320).
pub(super) fn set_leader_epoch(list: &TopicPartitionList, topic: &CStr, partition: i32, epoch: i32) {
    // SAFETY: the list is alive and not shared; an entry found in it belongs to it.
    unsafe {
        let entry = rd::rd_kafka_topic_partition_list_find(list.ptr(), topic.as_ptr(), partition);
        if !entry.is_null() {
            rd::rd_kafka_topic_partition_set_leader_epoch(entry, epoch);
        }
    }
}

/// Calls a function when a producer's queue of reports fills after it was empty.
pub(super) struct Reports<C: ProducerContext> {
    // Fields drop in this order: see `drop`.
    queue: Queue,
    _notify: Box<Box<dyn Fn() + Send + Sync>>,
    _producer: Arc<BaseProducer<C>>,
}

// SAFETY: librdkafka's queues may be used from any thread, and the rest is Send and Sync by itself.
unsafe impl<C: ProducerContext> Send for Reports<C> {}
// SAFETY: as above.
unsafe impl<C: ProducerContext> Sync for Reports<C> {}

unsafe extern "C" fn notify_from_queue(_: *mut rd::rd_kafka_t, opaque: *mut c_void) {
    // SAFETY: the opaque is the box in `Reports`, which outlives the callback.
    let notify = unsafe { &*opaque.cast::<Box<dyn Fn() + Send + Sync>>() };
    notify();
}

impl<C: ProducerContext> Reports<C> {
    /// `notify` runs on librdkafka's threads with the queue locked: it must not touch the producer.
    pub fn new(producer: Arc<BaseProducer<C>>, notify: impl Fn() + Send + Sync + 'static) -> Self {
        // SAFETY: the client is alive; the reference belongs to us.
        let queue = Queue(unsafe { rd::rd_kafka_queue_get_main(producer.client().native_ptr()) });
        // Boxed twice as a pointer to a `dyn Fn` does not fit into one word.
        let notify: Box<Box<dyn Fn() + Send + Sync>> = Box::new(Box::new(notify));
        let opaque = (&raw const *notify).cast_mut().cast();
        // SAFETY: the opaque stays where it is, on the heap, until `drop` has taken the callback away.
        unsafe { rd::rd_kafka_queue_cb_event_enable(queue.0, Some(notify_from_queue), opaque) };
        Self { queue, _notify: notify, _producer: producer }
    }

    /// How many reports and other events wait.
    pub fn waiting(&self) -> usize {
        // SAFETY: the queue is alive.
        unsafe { rd::rd_kafka_queue_length(self.queue.0) }
    }
}

impl<C: ProducerContext> Drop for Reports<C> {
    fn drop(&mut self) {
        // SAFETY: the queue is alive. It is locked both here and around each callback, so none runs
        // after this, and the boxed function can be freed.
        unsafe { rd::rd_kafka_queue_cb_event_enable(self.queue.0, None, null_mut()) }
    }
}

/// A producer's handle of one topic.
pub(super) struct ProducerTopic<C: ProducerContext> {
    topic: *mut rd::rd_kafka_topic_t,
    producer: Arc<BaseProducer<C>>,
}

// SAFETY: librdkafka's topic handles may be used from any thread.
unsafe impl<C: ProducerContext> Send for ProducerTopic<C> {}

impl<C: ProducerContext<DeliveryOpaque = usize>> ProducerTopic<C> {
    /// The producer's handle of this topic.
    ///
    /// # Errors
    /// What librdkafka dislikes about the name or the topic's options.
    pub fn new(producer: Arc<BaseProducer<C>>, topic: &CString) -> Result<Self, RDKafkaErrorCode> {
        let client = producer.client().native_ptr();
        // SAFETY: the client is alive, the name ends in NUL and is copied; null means the default options.
        let topic = unsafe { rd::rd_kafka_topic_new(client, topic.as_ptr(), null_mut()) };
        if topic.is_null() {
            // SAFETY: reads the calling thread's last error.
            return Err(unsafe { rd::rd_kafka_last_error() }.into());
        }
        Ok(Self { topic, producer })
    }

    /// Queues a message; key and value are copied. Without a timestamp (ms) it gets the time of now.
    ///
    /// # Errors
    /// `QueueFull`, which passes, or what is wrong with the producer or the message.
    #[inline]
    pub fn send(
        &self,
        key: Option<&[u8]>,
        value: &[u8],
        timestamp_ms: Option<i64>,
        opaque: usize,
    ) -> Result<(), RDKafkaErrorCode> {
        use rd::rd_kafka_vtype_t as tag;
        let (key, key_length) = key.map_or((null(), 0), |key| (key.as_ptr(), key.len()));
        // SAFETY: producer and topic are alive; tags and values are in the pairs that librdkafka
        // documents, with their C types; key and value are readable for their length and copied.
        let code = unsafe {
            rd::rd_kafka_producev(
                self.producer.client().native_ptr(),
                tag::RD_KAFKA_VTYPE_RKT,
                self.topic,
                tag::RD_KAFKA_VTYPE_MSGFLAGS,
                rd::RD_KAFKA_MSG_F_COPY,
                tag::RD_KAFKA_VTYPE_VALUE,
                value.as_ptr().cast::<c_void>(),
                value.len(),
                tag::RD_KAFKA_VTYPE_KEY,
                key.cast::<c_void>(),
                key_length,
                tag::RD_KAFKA_VTYPE_OPAQUE,
                opaque as *mut c_void,
                tag::RD_KAFKA_VTYPE_TIMESTAMP,
                timestamp_ms.unwrap_or(0),
                tag::RD_KAFKA_VTYPE_END,
            )
        };
        if code == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR { Ok(()) } else { Err(code.into()) }
    }
}

impl<C: ProducerContext> Drop for ProducerTopic<C> {
    fn drop(&mut self) {
        // SAFETY: the handle is ours; the producer still lives.
        unsafe { rd::rd_kafka_topic_destroy(self.topic) }
    }
}

/// Sends what is queued, without lingering, and waits until another thread has polled all reports or
/// the time is up. Says nothing about success: the reports do.
pub(super) fn flush<C: ProducerContext>(producer: &BaseProducer<C>, timeout: Duration) {
    // SAFETY: the client is alive; both possible results (done, timed out) need no handling here.
    unsafe {
        rd::rd_kafka_flush(producer.client().native_ptr(), i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX))
    };
}

/// The fatal error of a client, if it had one.
pub(super) fn fatal_error<C: ClientContext>(client: &rdkafka::client::Client<C>) -> Option<String> {
    client.fatal_error().map(|(code, text)| format!("{code}: {text}"))
}
