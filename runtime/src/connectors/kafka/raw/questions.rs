//! Asking brokers about topics and offsets through the connections of a client that exists anyway.
//! Answers come on a queue: nothing blocks but `wait`.

#![expect(clippy::disallowed_methods, reason = "deadlines of real brokers, threads of real clients")]

use super::{Notified, Queue, text};
use rdkafka::TopicPartitionList;
use rdkafka::bindings as rd;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;
use std::any::Any;
use std::ffi::{CStr, CString, c_char};
use std::ptr::{null_mut, slice_from_raw_parts};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A client's questions.
pub struct Questions {
    // Before the client, whose queue it is.
    answers: Notified,
    client: *mut rd::rd_kafka_t,
    _keeps_the_client: Arc<dyn Any + Send + Sync>,
}

// SAFETY: librdkafka's clients and queues may be used from any thread; the pointer is that of the
// client that is kept alive.
unsafe impl Send for Questions {}

/// Which offset of a partition is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The oldest that is still there.
    Earliest,
    /// The one that will be written next; among committed records, the last stable offset.
    Latest,
    /// The first one of this time (milliseconds since 1970) or later.
    At(i64),
}

/// What the brokers said.
#[derive(Debug)]
pub enum Answer {
    Topics(Result<Vec<Found>, String>),
    Offsets(Result<Vec<FoundOffset>, String>),
    /// Offsets were committed to a group.
    Committed(Result<(), String>),
}

/// Where a log has nothing for a time.
const NO_OFFSET: i64 = -1;

/// A topic, a partition, and its offset, or -1 where there is none.
pub type FoundOffset = (String, i32, Result<i64, RDKafkaErrorCode>);

/// What a broker knows of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub name: String,
    /// Another one for each topic that ever had the name; `None` from brokers before Kafka 2.8.
    pub id: Option<String>,
    pub partitions: i32,
    /// Why there is nothing known.
    pub error: Option<RDKafkaErrorCode>,
    /// Whether this user may write to it; true where the broker does not say.
    pub may_write: bool,
    /// Whether this user may read it; true where the broker does not say.
    pub may_read: bool,
}

impl Questions {
    /// Asks as this consumer. `notify` runs on librdkafka's threads when an answer comes; it must not
    /// touch the client.
    pub fn of_consumer<C: ConsumerContext + 'static>(
        consumer: &Arc<BaseConsumer<C>>,
        notify: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self::new(consumer.client().native_ptr(), consumer.clone(), notify)
    }

    /// Asks as this producer; else as `of_consumer`.
    pub fn of_producer<C: ProducerContext + 'static>(
        producer: &Arc<BaseProducer<C>>,
        notify: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self::new(producer.client().native_ptr(), producer.clone(), notify)
    }

    fn new(
        client: *mut rd::rd_kafka_t,
        keeps_the_client: Arc<dyn Any + Send + Sync>,
        notify: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        // SAFETY: the client is alive, as the caller's `Arc` holds it; the new queue is ours.
        let queue = Queue(unsafe { rd::rd_kafka_queue_new(client) });
        Self { answers: Notified::new(queue, notify), client, _keeps_the_client: keeps_the_client }
    }

    /// Asks for these topics, each once; none may be empty or contain a NUL.
    pub fn describe(&self, topics: &[&str], within: Duration) {
        let names: Vec<CString> = topics.iter().filter_map(|&topic| CString::new(topic).ok()).collect();
        let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
        let options = Options::new(self.client, rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, within);
        // SAFETY: client, queue, options and names are alive; the collection copies the names and is
        // ours to destroy; the only possible error of the option is a wrong kind of request.
        unsafe {
            destroy(rd::rd_kafka_AdminOptions_set_include_authorized_operations(options.0, 1));
            let collection = rd::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
            rd::rd_kafka_DescribeTopics(self.client, collection, options.0, self.answers.queue.0);
            rd::rd_kafka_TopicCollection_destroy(collection);
        }
    }

    /// Asks for an offset of each of these partitions; with `committed`, `Latest` is the last stable offset.
    pub fn offsets(&self, partitions: &TopicPartitionList, which: Which, committed: bool, within: Duration) {
        use rd::rd_kafka_IsolationLevel_t as isolation;
        let spec = match which {
            Which::Earliest => rd::rd_kafka_OffsetSpec_t::RD_KAFKA_OFFSET_SPEC_EARLIEST as i64,
            Which::Latest => rd::rd_kafka_OffsetSpec_t::RD_KAFKA_OFFSET_SPEC_LATEST as i64,
            Which::At(ms) => ms.max(0),
        };
        let level = match committed {
            true => isolation::RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED,
            false => isolation::RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED,
        };
        let options = Options::new(self.client, rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTOFFSETS, within);
        // SAFETY: client, queue, options and list are alive; the request works on a copy of the list,
        // whose entries are changed while nobody else has it.
        unsafe {
            let list = rd::rd_kafka_topic_partition_list_copy(partitions.ptr());
            for entry in 0..(*list).cnt {
                (*(*list).elems.add(entry as usize)).offset = spec;
            }
            destroy(rd::rd_kafka_AdminOptions_set_isolation_level(options.0, level));
            rd::rd_kafka_ListOffsets(self.client, list, options.0, self.answers.queue.0);
            rd::rd_kafka_topic_partition_list_destroy(list);
        }
    }

    /// Commits offsets, one at least, to a group without members. (As an administrator does: a consumer
    /// that has committed to its own group waits for the answer when it is closed.)
    pub fn commit(&self, group: &CStr, offsets: &TopicPartitionList, within: Duration) {
        let request = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS;
        let options = Options::new(self.client, request, within);
        // SAFETY: client, queue, options, name and list are alive; name and list are copied, and the
        // copies are ours to destroy.
        unsafe {
            let mut wanted = rd::rd_kafka_AlterConsumerGroupOffsets_new(group.as_ptr(), offsets.ptr());
            rd::rd_kafka_AlterConsumerGroupOffsets(self.client, &mut wanted, 1, options.0, self.answers.queue.0);
            rd::rd_kafka_AlterConsumerGroupOffsets_destroy(wanted);
        }
    }

    /// An answer, if one comes in time.
    pub fn wait(&self, within: Duration) -> Option<Answer> {
        let deadline = Instant::now() + within;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let ms = i32::try_from(left.as_millis()).unwrap_or(i32::MAX);
            // SAFETY: the queue is alive; a returned event is ours.
            let event = unsafe { rd::rd_kafka_queue_poll(self.answers.queue.0, ms) };
            if event.is_null() {
                if left.is_zero() {
                    return None;
                }
                continue;
            }
            // SAFETY: the event is alive until it is destroyed, once, after everything was copied out of it.
            let answer = unsafe {
                let answer = answer(event);
                rd::rd_kafka_event_destroy(event);
                answer
            };
            if answer.is_some() {
                return answer;
            }
        }
    }
}

/// The options of one request.
struct Options(*mut rd::rd_kafka_AdminOptions_t);

impl Options {
    fn new(client: *mut rd::rd_kafka_t, request: rd::rd_kafka_admin_op_t, within: Duration) -> Self {
        let ms = i32::try_from(within.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the client is alive; the options are ours. A time that is out of range leaves the default.
        unsafe {
            let options = rd::rd_kafka_AdminOptions_new(client, request);
            rd::rd_kafka_AdminOptions_set_request_timeout(options, ms, null_mut(), 0);
            Self(options)
        }
    }
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: ours, destroyed once.
        unsafe { rd::rd_kafka_AdminOptions_destroy(self.0) }
    }
}

/// # Safety
/// The error, if it is not null, is ours.
unsafe fn destroy(error: *mut rd::rd_kafka_error_t) {
    if !error.is_null() {
        // SAFETY: promised by the caller.
        unsafe { rd::rd_kafka_error_destroy(error) }
    }
}

/// # Safety
/// The event is alive.
unsafe fn answer(event: *mut rd::rd_kafka_event_t) -> Option<Answer> {
    // SAFETY: promised by the caller; what the getters return belongs to the event and is copied here.
    unsafe {
        let failed = || match rd::rd_kafka_event_error(event) {
            rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
            _ => Err(text(rd::rd_kafka_event_error_string(event))),
        };
        match rd::rd_kafka_event_type(event) {
            rd::RD_KAFKA_EVENT_DESCRIBETOPICS_RESULT => Some(Answer::Topics(failed().map(|()| topics(event)))),
            rd::RD_KAFKA_EVENT_LISTOFFSETS_RESULT => Some(Answer::Offsets(failed().map(|()| offsets(event)))),
            rd::RD_KAFKA_EVENT_ALTERCONSUMERGROUPOFFSETS_RESULT => {
                Some(Answer::Committed(failed().and_then(|()| committed(event))))
            }
            _ => None,
        }
    }
}

/// # Safety
/// The event is alive, and a successful answer about topics.
unsafe fn topics(event: *mut rd::rd_kafka_event_t) -> Vec<Found> {
    // SAFETY: promised by the caller; arrays are as long as the counts beside them, and live with the event.
    unsafe {
        let mut count = 0;
        let list =
            rd::rd_kafka_DescribeTopics_result_topics(rd::rd_kafka_event_DescribeTopics_result(event), &mut count);
        (0..count).map(|index| found(*list.add(index))).collect()
    }
}

/// # Safety
/// The description is alive.
unsafe fn found(topic: *const rd::rd_kafka_TopicDescription_t) -> Found {
    // SAFETY: promised by the caller; what the getters return belongs to the description.
    unsafe {
        let (mut partitions, mut operations) = (0, 0);
        rd::rd_kafka_TopicDescription_partitions(topic, &mut partitions);
        let allowed = rd::rd_kafka_TopicDescription_authorized_operations(topic, &mut operations);
        let may = |operation| allowed.is_null() || (*slice_from_raw_parts(allowed, operations)).contains(&operation);
        let error = rd::rd_kafka_error_code(rd::rd_kafka_TopicDescription_error(topic));
        let id = rd::rd_kafka_TopicDescription_topic_id(topic);
        Found {
            name: text(rd::rd_kafka_TopicDescription_name(topic)),
            id: (!id.is_null()).then(|| uuid_of(id)).flatten(),
            partitions: i32::try_from(partitions).unwrap_or(i32::MAX),
            error: (error != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR).then(|| error.into()),
            may_write: may(rd::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_WRITE),
            may_read: may(rd::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_READ),
        }
    }
}

/// # Safety
/// The id is alive.
unsafe fn uuid_of(id: *const rd::rd_kafka_Uuid_t) -> Option<String> {
    // SAFETY: promised by the caller.
    let (most, least) = unsafe {
        (rd::rd_kafka_Uuid_most_significant_bits(id) as u64, rd::rd_kafka_Uuid_least_significant_bits(id) as u64)
    };
    ((most, least) != (0, 0)).then(|| uuid::Uuid::from_u64_pair(most, least).to_string())
}

/// # Safety
/// The event is alive, and a successful answer about offsets.
unsafe fn offsets(event: *mut rd::rd_kafka_event_t) -> Vec<FoundOffset> {
    // SAFETY: promised by the caller; the array is as long as the count beside it, and lives with the event.
    unsafe {
        let mut count = 0;
        let list = rd::rd_kafka_ListOffsets_result_infos(rd::rd_kafka_event_ListOffsets_result(event), &mut count);
        let one = |index| {
            let entry = &*rd::rd_kafka_ListOffsetsResultInfo_topic_partition(*list.add(index));
            (text(entry.topic), entry.partition, told(entry.err.into(), entry.offset))
        };
        (0..count).map(one).collect()
    }
}

/// What an answer about a partition tells. Of a leader that did not answer, librdkafka can say "no error" beside an
/// offset that is none (`RD_KAFKA_OFFSET_INVALID`, -1001), which is not to be taken for the end of a log.
fn told(error: RDKafkaErrorCode, offset: i64) -> Result<i64, RDKafkaErrorCode> {
    match error {
        RDKafkaErrorCode::NoError if offset >= NO_OFFSET => Ok(offset),
        RDKafkaErrorCode::NoError => Err(RDKafkaErrorCode::OffsetNotAvailable),
        error => Err(error),
    }
}

/// # Safety
/// The event is alive, and a successful answer about offsets that were committed.
unsafe fn committed(event: *mut rd::rd_kafka_event_t) -> Result<(), String> {
    // SAFETY: promised by the caller; the array is as long as the count beside it, and lives with the
    // event, as do the lists in it.
    unsafe {
        let (mut count, result) = (0, rd::rd_kafka_event_AlterConsumerGroupOffsets_result(event));
        let groups = rd::rd_kafka_AlterConsumerGroupOffsets_result_groups(result, &mut count);
        for index in 0..count {
            let group = *groups.add(index);
            let error = rd::rd_kafka_group_result_error(group);
            if !error.is_null() {
                return Err(text(rd::rd_kafka_error_string(error)));
            }
            let list = rd::rd_kafka_group_result_partitions(group);
            let entries = if list.is_null() { 0 } else { (*list).cnt };
            for entry in 0..entries {
                let entry = &*(*list).elems.add(entry as usize);
                if entry.err != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                    let error = RDKafkaErrorCode::from(entry.err);
                    return Err(format!("{}/{}: {error}", text(entry.topic), entry.partition));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_that_is_none_is_no_answer() {
        assert_eq!([0, 7, -1].map(|offset| told(RDKafkaErrorCode::NoError, offset)), [Ok(0), Ok(7), Ok(-1)]);
        assert_eq!(told(RDKafkaErrorCode::NoError, -1001), Err(RDKafkaErrorCode::OffsetNotAvailable));
        let error = RDKafkaErrorCode::NotLeaderForPartition;
        assert_eq!(told(error, 7), Err(error));
    }
}
