//! Producing through topic handles; delivery reports that announce themselves.

use super::{Notified, Queue};
use crate::connectors::kafka::message::{Headers, Outgoing};
use rdkafka::bindings as rd;
use rdkafka::client::ClientContext;
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;
use std::ffi::{CString, c_void};
use std::ptr::{null, null_mut};
use std::sync::Arc;
use std::time::Duration;

/// Calls a function when a producer's queue of reports fills after it was empty.
pub struct Reports<C: ProducerContext> {
    // Before the producer, whose queue it is.
    queue: Notified,
    _producer: Arc<BaseProducer<C>>,
}

impl<C: ProducerContext> Reports<C> {
    /// `notify` runs on librdkafka's threads with the queue locked: it must not touch the producer.
    pub fn new(producer: Arc<BaseProducer<C>>, notify: impl Fn() + Send + Sync + 'static) -> Self {
        // SAFETY: the client is alive; the reference belongs to us.
        let queue = Queue(unsafe { rd::rd_kafka_queue_get_main(producer.client().native_ptr()) });
        Self { queue: Notified::new(queue, notify), _producer: producer }
    }

    /// How many reports and other events wait.
    pub fn waiting(&self) -> usize {
        // SAFETY: the queue is alive.
        unsafe { rd::rd_kafka_queue_length(self.queue.queue.0) }
    }
}

/// librdkafka's `RD_KAFKA_PARTITION_UA`, a macro: the partitioner is to choose.
const UNASSIGNED: i32 = -1;

/// A producer's handle of one topic.
pub struct ProducerTopic<C: ProducerContext> {
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

    /// Queues a message; its bytes are copied.
    ///
    /// # Errors
    /// `QueueFull`, which passes, or what is wrong with the producer or the message.
    #[inline]
    pub fn send(&self, message: &Outgoing<'_>, opaque: usize) -> Result<(), RDKafkaErrorCode> {
        use rd::rd_kafka_vtype_t as tag;
        let parts = |bytes: Option<&[u8]>| bytes.map_or((null(), 0), |bytes| (bytes.as_ptr(), bytes.len()));
        let ((key, key_length), (value, value_length)) = (parts(message.key), parts(message.value));
        let headers = native(message.headers);
        // SAFETY: producer and topic are alive; tags and values are in the pairs that librdkafka
        // documents, with their C types; key and value are readable for their length and copied.
        // Headers may be null, and belong to librdkafka when the message was taken.
        let code = unsafe {
            rd::rd_kafka_producev(
                self.producer.client().native_ptr(),
                tag::RD_KAFKA_VTYPE_RKT,
                self.topic,
                tag::RD_KAFKA_VTYPE_PARTITION,
                message.partition.unwrap_or(UNASSIGNED),
                tag::RD_KAFKA_VTYPE_MSGFLAGS,
                rd::RD_KAFKA_MSG_F_COPY,
                tag::RD_KAFKA_VTYPE_VALUE,
                value.cast::<c_void>(),
                value_length,
                tag::RD_KAFKA_VTYPE_KEY,
                key.cast::<c_void>(),
                key_length,
                tag::RD_KAFKA_VTYPE_OPAQUE,
                opaque as *mut c_void,
                tag::RD_KAFKA_VTYPE_TIMESTAMP,
                message.timestamp_ms.unwrap_or(0),
                tag::RD_KAFKA_VTYPE_HEADERS,
                headers,
                tag::RD_KAFKA_VTYPE_END,
            )
        };
        if code == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Ok(());
        }
        if !headers.is_null() {
            // SAFETY: the message was not taken, so the headers are still ours.
            unsafe { rd::rd_kafka_headers_destroy(headers) };
        }
        Err(code.into())
    }
}

/// librdkafka's own list of headers, or null where there are none.
fn native(headers: &Headers) -> *mut rd::rd_kafka_headers_t {
    if headers.len() == 0 {
        return null_mut();
    }
    // SAFETY: a new list, which is ours.
    let list = unsafe { rd::rd_kafka_headers_new(headers.len()) };
    for (name, value) in headers.iter() {
        let (value, length) = value.map_or((null(), 0), |value| (value.as_ptr(), value.len()));
        // SAFETY: the list is alive; name and value are readable for their lengths and copied.
        unsafe {
            rd::rd_kafka_header_add(list, name.as_ptr().cast(), name.len() as isize, value.cast(), length as isize)
        };
    }
    list
}

impl<C: ProducerContext> Drop for ProducerTopic<C> {
    fn drop(&mut self) {
        // SAFETY: the handle is ours; the producer still lives.
        unsafe { rd::rd_kafka_topic_destroy(self.topic) }
    }
}

/// Sends what is queued, without lingering, and waits until another thread has polled all reports or
/// the time is up. Says nothing about success: the reports do.
pub fn flush<C: ProducerContext>(producer: &BaseProducer<C>, timeout: Duration) {
    // SAFETY: the client is alive; both possible results (done, timed out) need no handling here.
    unsafe {
        rd::rd_kafka_flush(producer.client().native_ptr(), i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX))
    };
}

/// The fatal error of a client, if it had one.
pub fn fatal_error<C: ClientContext>(client: &rdkafka::client::Client<C>) -> Option<String> {
    client.fatal_error().map(|(code, text)| format!("{code}: {text}"))
}
