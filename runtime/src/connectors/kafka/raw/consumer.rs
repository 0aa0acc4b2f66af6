//! Reading in batches, from librdkafka's own memory.

use super::{Queue, bytes};
use rdkafka::TopicPartitionList;
use rdkafka::bindings as rd;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::types::RDKafkaErrorCode;
use std::ffi::{CStr, c_char, c_void};
use std::ptr::{null, null_mut};
use std::sync::Arc;

/// A consumer that is read in batches. Nothing else may poll it.
pub struct BatchConsumer<C: ConsumerContext> {
    // Fields drop in this order: messages and queues before the client that they belong to.
    messages: Fetched,
    queue: Queue,
    logs: Queue,
    consumer: Arc<BaseConsumer<C>>,
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
    pub fn new(consumer: Arc<BaseConsumer<C>>, capacity: usize) -> Self {
        let client = consumer.client().native_ptr();
        // SAFETY: the client is alive; each call returns a reference that belongs to us.
        let (queue, logs) =
            unsafe { (Queue(rd::rd_kafka_queue_get_consumer(client)), Queue(rd::rd_kafka_queue_new(client))) };
        // The batch call would print log lines to stderr: they get a queue of their own.
        // SAFETY: both live; librdkafka takes its own reference to the queue.
        unsafe { rd::rd_kafka_set_log_queue(client, logs.0) };
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

    /// The consumer, for what is not reading.
    pub fn consumer(&self) -> &BaseConsumer<C> {
        &self.consumer
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
pub struct Message<'a>(&'a rd::rd_kafka_message_t);

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

    /// Tells the topics of messages apart that were fetched together; null for an error of no topic.
    #[inline]
    pub fn topic(&self) -> *const c_void {
        self.0.rkt.cast_const().cast()
    }

    pub fn topic_name(&self) -> &str {
        if self.0.rkt.is_null() {
            return "";
        }
        // SAFETY: the message keeps its topic alive, whose name ends in NUL.
        unsafe { CStr::from_ptr(rd::rd_kafka_topic_name(self.0.rkt)) }.to_str().unwrap_or("")
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

/// Adds the epoch of the leader that a position was read from, so that the broker can tell whether
/// its log was cut back since (KIP-320).
pub fn set_leader_epoch(list: &TopicPartitionList, topic: &CStr, partition: i32, epoch: i32) {
    // SAFETY: the list is alive and not shared; an entry found in it belongs to it.
    unsafe {
        let entry = rd::rd_kafka_topic_partition_list_find(list.ptr(), topic.as_ptr(), partition);
        if !entry.is_null() {
            rd::rd_kafka_topic_partition_set_leader_epoch(entry, epoch);
        }
    }
}
