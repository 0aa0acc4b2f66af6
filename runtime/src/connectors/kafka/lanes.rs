//! One writer's ways to its topics: which of them exist, what is refused, and how many records went
//! each way. The writer uses it on its worker, and what the writer could not send before a barrier the
//! participant sends through a copy of it: nothing here blocks.

#![expect(clippy::disallowed_methods, reason = "deadlines of real brokers, threads of real clients")]

use super::log::Errors;
use super::message::{Headers, Kept, OnRefused, Outgoing, To};
use super::notice::Notice;
use super::producer::{Delivery, Outlet, Waiters};
use super::raw::{Answer, ProducerTopic, Questions};
use super::routes::{Known, Route, Routes, Writer};
use super::writer::Sealed;
use crate::error::{Error, ErrorKind, Result};
use rdkafka::types::RDKafkaErrorCode as Code;
use std::collections::{HashMap, VecDeque};
use std::ffi::CString;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a broker has to tell about a topic before it is asked again.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// A broker that has just started may not know a topic yet: it has to say so twice, this far apart.
const DOUBT: Duration = Duration::from_millis(400);
/// What is kept of a value that is too large to be written, if there is room.
const LETTER_VALUE_MAX: usize = 64 << 10;
/// What a record at most takes beside its key, value and headers, and a header beside its name and value: as
/// librdkafka counts.
const RECORD_HEAD: usize = 36;
const HEADER_HEAD: usize = 10;
/// What the header with the length of a value that was cut short may take.
const LENGTH_HEADER: usize = 64;

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
enum Sent {
    Yes,
    /// There is no room, no transaction, or no answer about its topic yet.
    Full,
    Refused(String),
}

/// See the module.
pub(super) struct Lanes {
    writer: Writer,
    routes: Arc<Routes>,
    waiters: Arc<Waiters>,
    on_refused: OnRefused,
    /// How large a record may be.
    record_max: u64,
    lanes: Vec<Lane>,
    numbers: HashMap<String, usize>,
    fixed: Option<usize>,
    dead: Option<usize>,
    outlet: Option<Arc<Outlet>>,
    question: Option<Question>,
    /// Sent since the outlet was told.
    untold: u64,
    /// With those that the participant was refused, of what it sends for the writer.
    refused: Arc<AtomicU64>,
    notice: Notice,
    errors: Errors,
}

struct Lane {
    topic: String,
    name: CString,
    partitions: i32,
    route: usize,
    handle: Option<ProducerTopic<Delivery>>,
    sent: u64,
}

/// A question about a topic.
struct Question {
    topic: String,
    asked: Option<Questions>,
    /// When it was first said that there is no such topic.
    missing_since: Option<Instant>,
}

impl Lanes {
    pub fn new(
        writer: Writer,
        routes: Arc<Routes>,
        waiters: Arc<Waiters>,
        on_refused: OnRefused,
        record_max: u64,
    ) -> Self {
        Self {
            writer,
            routes,
            waiters,
            on_refused,
            record_max,
            lanes: Vec::new(),
            numbers: HashMap::new(),
            fixed: None,
            dead: None,
            outlet: None,
            question: None,
            untold: 0,
            refused: Arc::default(),
            notice: Notice::default(),
            errors: Errors::default(),
        }
    }

    /// The topic of all records that name none; it is known.
    pub fn set_fixed(&mut self, topic: &str) -> Result<()> {
        self.fixed = Some(self.known_lane(topic)?);
        Ok(())
    }

    /// The topic of refused records; it is known.
    pub fn set_dead(&mut self, topic: &str) -> Result<()> {
        self.dead = Some(self.known_lane(topic)?);
        Ok(())
    }

    fn known_lane(&mut self, topic: &str) -> Result<usize> {
        match self.routes.look(topic, Instant::now()) {
            Some(Known::Topic { partitions, .. }) => self.add(topic, partitions),
            _ => Err(Error::new(ErrorKind::Internal, format!("nobody asked about the topic {topic}"))),
        }
    }

    fn add(&mut self, topic: &str, partitions: i32) -> Result<usize> {
        if let Some(&number) = self.numbers.get(topic) {
            return Ok(number);
        }
        let name = CString::new(topic)
            .map_err(|_| Error::new(ErrorKind::Config, format!("the topic's name {topic:?} contains a NUL")))?;
        let route = self.routes.add(Route { writer: self.writer.clone(), topic: topic.to_owned() });
        self.lanes.push(Lane { topic: topic.to_owned(), name, partitions, route, handle: None, sent: 0 });
        self.numbers.insert(topic.to_owned(), self.lanes.len() - 1);
        Ok(self.lanes.len() - 1)
    }

    /// The same ways for what the writer leaves behind at a barrier.
    pub fn copy(&self) -> Self {
        let (routes, waiters) = (self.routes.clone(), self.waiters.clone());
        let mut copy = Self::new(self.writer.clone(), routes, waiters, self.on_refused.clone(), self.record_max);
        copy.lanes = self.lanes.iter().map(Lane::copy).collect();
        copy.numbers = self.numbers.clone();
        (copy.fixed, copy.dead, copy.refused) = (self.fixed, self.dead, self.refused.clone());
        copy
    }

    /// Which of an epoch's transactions the records go into.
    pub fn shard(&self) -> usize {
        self.writer.shard
    }

    pub fn open(&mut self, outlet: Arc<Outlet>) {
        self.outlet = Some(outlet);
    }

    pub fn outlet(&self) -> Option<&Arc<Outlet>> {
        self.outlet.as_ref()
    }

    /// What was sent since the last seal, by route.
    pub fn seal(&mut self) -> Vec<Sealed> {
        let seal = |lane: &mut Lane| Sealed { route: lane.route, records: std::mem::take(&mut lane.sent) };
        self.lanes.iter_mut().map(seal).collect()
    }

    /// Gives the outlet back: records of the next epoch go through another.
    pub fn close(&mut self) {
        (self.outlet, self.question) = (None, None);
        self.lanes.iter_mut().for_each(|lane| lane.handle = None);
    }

    /// The next epoch's records go through the same outlet: they count under numbers of their own.
    pub fn renumber(&mut self) {
        for lane in &mut self.lanes {
            lane.route = self.routes.add(Route { writer: self.writer.clone(), topic: lane.topic.clone() });
        }
    }

    /// How many records were left out or went to the dead letters.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Sends a message, or does with it what is to be done with those that are refused. False if it has
    /// to be given again: there was no room. `broken` says why it has no value that could be written.
    pub fn give(&mut self, to: To<&str>, message: &Outgoing<'_>, broken: Option<&str>) -> Result<bool> {
        let why = match broken {
            Some(why) => why.to_owned(),
            None => match self.send(to, message)? {
                Sent::Yes => return Ok(true),
                Sent::Full => return Ok(false),
                Sent::Refused(why) => why,
            },
        };
        self.refuse(to, message, &why)
    }

    /// Gives what was kept, in order, as far as there is room; whether all of it is gone.
    pub fn give_all(&mut self, kept: &mut VecDeque<Kept>) -> Result<bool> {
        while let Some(first) = kept.front() {
            if !self.give(first.to(), &first.message(), first.broken.as_deref())? {
                break;
            }
            kept.pop_front();
        }
        self.tell();
        Ok(kept.is_empty())
    }

    /// Tells the outlet how many records were sent: once a batch.
    pub fn tell(&mut self) {
        if let Some(outlet) = &self.outlet {
            outlet.count_sent(std::mem::take(&mut self.untold));
        }
    }

    #[inline]
    fn send(&mut self, to: To<&str>, message: &Outgoing<'_>) -> Result<Sent> {
        let lane = match to {
            To::Fixed => self.fixed.ok_or_else(|| Error::new(ErrorKind::Internal, "a sink without a topic"))?,
            To::Named(topic) => match self.numbers.get(topic) {
                Some(&lane) => lane,
                None => match self.known(topic, false)? {
                    None => return Ok(Sent::Full),
                    Some(Known::Refused(why)) => return Ok(Sent::Refused(why)),
                    Some(Known::Topic { partitions, .. }) => self.add(topic, partitions)?,
                },
            },
        };
        if let Some(partition) = message.partition
            && let Some(answer) = self.misses(lane, partition)?
        {
            return Ok(answer);
        }
        self.send_in(lane, message)
    }

    /// What to answer for a partition that the topic does not have.
    fn misses(&mut self, number: usize, partition: i32) -> Result<Option<Sent>> {
        if (0..self.lanes[number].partitions).contains(&partition) {
            return Ok(None);
        }
        let topic = self.lanes[number].topic.clone();
        // Another writer may have learnt of it.
        if let Some(Known::Topic { partitions, .. }) = self.routes.look(&topic, Instant::now()) {
            self.lanes[number].partitions = partitions;
            if (0..partitions).contains(&partition) {
                return Ok(None);
            }
        }
        if partition >= 0 && (self.is_asking(&topic) || self.routes.may_have_grown(&topic, Instant::now())) {
            match self.known(&topic, true)? {
                None => return Ok(Some(Sent::Full)),
                Some(Known::Refused(why)) => return Ok(Some(Sent::Refused(why))),
                Some(Known::Topic { partitions, .. }) => self.lanes[number].partitions = partitions,
            }
        }
        let count = self.lanes[number].partitions;
        let why = || format!("the topic {topic} has no partition {partition}, only 0 to {}", count - 1);
        Ok((!(0..count).contains(&partition)).then(|| Sent::Refused(why())))
    }

    fn send_in(&mut self, number: usize, message: &Outgoing<'_>) -> Result<Sent> {
        let Some(outlet) = &self.outlet else { return Ok(Sent::Full) };
        let lane = &mut self.lanes[number];
        let handle = match &lane.handle {
            Some(handle) => handle,
            None => lane.handle.insert(outlet.topic(&lane.name)?),
        };
        match handle.send(message, lane.route) {
            Ok(()) => {
                lane.sent += 1;
                self.untold += 1;
                Ok(Sent::Yes)
            }
            Err(Code::QueueFull) => Ok(Sent::Full),
            Err(Code::MessageSizeTooLarge) => Ok(Sent::Refused(format!(
                "a record of {} bytes is too large for Kafka: raise message.max.bytes here and max.message.bytes of \
                 the topic {}",
                message.value.map_or(0, <[u8]>::len),
                lane.topic
            ))),
            Err(Code::UnknownTopic | Code::UnknownPartition) => {
                let topic = lane.topic.clone();
                self.doubts(&topic)
            }
            Err(error @ Code::TopicAuthorizationFailed) => {
                Ok(Sent::Refused(format!("the topic {} cannot be written to: {error}", lane.topic)))
            }
            Err(error) => Err(Error::new(ErrorKind::Sink, "librdkafka took no record").caused_by(error)),
        }
    }

    /// What to answer where this producer knows no such topic or partition: what the brokers say. It may have looked
    /// long ago, or have asked one that did not know. A question that is asked through it tells it, too.
    fn doubts(&mut self, topic: &str) -> Result<Sent> {
        let known = match self.routes.look(topic, Instant::now()) {
            Some(known @ Known::Refused(_)) if !self.is_asking(topic) => Some(known),
            _ => self.known(topic, true)?,
        };
        Ok(match known {
            Some(Known::Refused(why)) => Sent::Refused(why),
            Some(Known::Topic { .. }) => {
                // It knows now: the next try is soon.
                self.waiters.later();
                Sent::Full
            }
            None => Sent::Full,
        })
    }

    fn is_asking(&self, topic: &str) -> bool {
        self.question.as_ref().is_some_and(|question| question.topic == topic)
    }

    /// What is known of a topic, `None` while a question about it is under way. `anew`: what was known
    /// before does not count.
    fn known(&mut self, topic: &str, anew: bool) -> Result<Option<Known>> {
        if !is_askable(topic) {
            return Ok(Some(Known::Refused(format!("{topic:?} is no name of a topic"))));
        }
        if !self.is_asking(topic) {
            if let (Some(known), false) = (self.routes.look(topic, Instant::now()), anew) {
                return Ok(Some(known));
            }
            self.question = Some(Question { topic: topic.to_owned(), asked: None, missing_since: None });
        }
        let Some(question) = &mut self.question else { return Ok(None) };
        let now = Instant::now();
        let Some(asked) = &question.asked else {
            if question.missing_since.is_some_and(|since| now.duration_since(since) < DOUBT) {
                self.waiters.later();
            } else if let Some(outlet) = &self.outlet {
                let waiters = self.waiters.clone();
                question.asked = Some(outlet.ask_about(topic, ANSWER_WITHIN, move || waiters.wake()));
            }
            return Ok(None);
        };
        let found = match asked.wait(Duration::ZERO) {
            None => return Ok(None),
            Some(Answer::Topics(Ok(found))) => found.into_iter().next(),
            Some(Answer::Topics(Err(why))) => {
                self.errors.report(format_args!("asking about the topic {topic}: {why}"));
                None
            }
            Some(_) => None,
        };
        question.asked = None;
        let Some(found) = found else {
            self.waiters.later();
            return Ok(None);
        };
        if found.error == Some(Code::UnknownTopicOrPartition) && question.missing_since.is_none() {
            question.missing_since = Some(now);
            self.waiters.later();
            return Ok(None);
        }
        self.question = None;
        Ok(Some(self.routes.learn(topic, &found, now)))
    }

    fn refuse(&mut self, to: To<&str>, message: &Outgoing<'_>, why: &str) -> Result<bool> {
        let topic = match to {
            To::Named(topic) => topic.to_owned(),
            To::Fixed => self.fixed.map(|lane| self.lanes[lane].topic.clone()).unwrap_or_default(),
        };
        let place = match (self.on_refused.clone(), self.dead) {
            (OnRefused::DeadLetter(dead), Some(lane)) => {
                let mut headers = message.headers.clone();
                let letter = letter(message, &mut headers, why, &topic, self.record_max);
                match self.send_in(lane, &letter)? {
                    Sent::Yes => {}
                    Sent::Full => return Ok(false),
                    Sent::Refused(again) => {
                        let message = format!("{why}; and as a dead letter: {again}");
                        return Err(Error::new(ErrorKind::Sink, message));
                    }
                }
                format!("to {dead}")
            }
            (OnRefused::Skip, _) => "left out".to_owned(),
            (OnRefused::Stop | OnRefused::DeadLetter(_), _) => {
                let message =
                    format!("{why}. Or let such records go elsewhere with .on_refused(OnRefused::DeadLetter(..))");
                return Err(Error::new(ErrorKind::Sink, message));
            }
        };
        self.refused.fetch_add(1, Ordering::Relaxed);
        if let Some(held_back) = self.notice.due(Instant::now()) {
            tracing::warn!(target: "staunch::kafka", sink = self.writer.sink, held_back, "a record {place}: {why}");
        }
        Ok(true)
    }
}

impl Lane {
    fn copy(&self) -> Self {
        let (topic, name) = (self.topic.clone(), self.name.clone());
        Self { topic, name, partitions: self.partitions, route: self.route, handle: None, sent: 0 }
    }
}

/// Whether a broker can be asked about such a name at all.
fn is_askable(topic: &str) -> bool {
    !topic.is_empty() && topic.len() <= 249 && !topic.contains('\0')
}

fn letter<'a>(
    message: &Outgoing<'a>,
    headers: &'a mut Headers,
    why: &str,
    topic: &str,
    record_max: u64,
) -> Outgoing<'a> {
    headers.add("staunch.refused.reason", why).add("staunch.refused.topic", topic);
    let key = message.key.map_or(0, <[u8]>::len);
    let beside = RECORD_HEAD + key + headers.bytes() + headers.len() * HEADER_HEAD + LENGTH_HEADER;
    let room = usize::try_from(record_max).unwrap_or(usize::MAX).saturating_sub(beside).min(LETTER_VALUE_MAX);
    let value = message.value.map(|value| {
        if value.len() > room {
            headers.add("staunch.refused.bytes", value.len().to_string());
        }
        &value[..value.len().min(room)]
    });
    // The partition was meant for the other topic.
    Outgoing { value, headers, partition: None, ..*message }
}
