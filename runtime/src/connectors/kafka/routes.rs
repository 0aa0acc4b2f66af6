//! What all writers of a participant share: the numbers under which delivery reports count, and what
//! is known of the topics.

#![expect(clippy::disallowed_methods, reason = "deadlines of real brokers, threads of real clients")]

use super::producer::Outlet;
use super::raw::{Answer, Found};
use crate::error::{Error, ErrorKind, Result};
use rdkafka::types::RDKafkaErrorCode;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A broker that has just started may not know a topic yet: it has to say so twice, this far apart.
const DOUBT: Duration = Duration::from_millis(400);
/// How long it is believed that a topic does not exist, or has no more partitions.
const BELIEVED: Duration = Duration::from_secs(10);
/// A pipeline that makes up topic names fills no more memory than this with those that do not exist.
const REFUSED_MAX: usize = 1_000;

/// A sink's writer on one worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Writer {
    pub sink: String,
    pub worker: usize,
    /// Which of an epoch's transactions its records go into: always the same, so that their order is kept.
    pub shard: usize,
}

/// One writer's records for one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub writer: Writer,
    pub topic: String,
}

/// What is known of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Topic {
        id: String,
        partitions: i32,
    },
    /// It cannot be written to.
    Refused(String),
}

pub(super) struct Routes {
    state: Mutex<State>,
    /// Recovery reads what was written in transactions: a topic that may not be read must not be written to.
    exactly_once: bool,
}

#[derive(Default)]
struct State {
    routes: Vec<Route>,
    /// Numbers whose records have all arrived.
    free: Vec<usize>,
    topics: HashMap<String, (Known, Instant)>,
    /// Of each topic that could be written to, also when it cannot be any more.
    ids: HashMap<String, String>,
}

impl Routes {
    pub fn new(exactly_once: bool) -> Self {
        Self { state: Mutex::default(), exactly_once }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A route's number, of one epoch where there are no transactions: it travels with each of its records and
    /// comes back in their reports.
    pub fn add(&self, route: Route) -> usize {
        let mut state = self.state();
        if let Some(number) = state.free.pop() {
            state.routes[number] = route;
            return number;
        }
        state.routes.push(route);
        state.routes.len() - 1
    }

    /// No report with this number is under way any more: it can be another route's.
    pub fn free(&self, number: usize) {
        self.state().free.push(number);
    }

    /// The route with this number, and its topic's id.
    pub fn get(&self, number: usize) -> (Route, String) {
        let state = self.state();
        let route = state.routes[number].clone();
        let id = state.ids.get(&route.topic).cloned();
        (route, id.unwrap_or_default())
    }

    /// What is known, unless it is to be asked anew: that a topic is missing or may not be written to
    /// is believed for a while, that it exists until the end.
    pub fn look(&self, topic: &str, now: Instant) -> Option<Known> {
        let state = self.state();
        let (known, since) = state.topics.get(topic)?;
        let believed = matches!(known, Known::Topic { .. }) || now.duration_since(*since) < BELIEVED;
        believed.then(|| known.clone())
    }

    /// The topics that were written to.
    pub fn topics(&self) -> BTreeSet<String> {
        self.state().routes.iter().map(|route| route.topic.clone()).collect()
    }

    /// Whether the topic was last asked about so long ago that it may have got more partitions.
    pub fn may_have_grown(&self, topic: &str, now: Instant) -> bool {
        self.state().topics.get(topic).is_none_or(|(_, since)| now.duration_since(*since) >= BELIEVED)
    }

    /// Learns of a topic, waiting for the answer. For threads that may block.
    ///
    /// # Errors
    /// `Sink` if it cannot be written to, or no broker answers in time.
    pub fn resolve(&self, outlet: &Outlet, topic: &str, within: Duration) -> Result<()> {
        let deadline = Instant::now() + within;
        let mut is_doubted = true;
        loop {
            if let Some(Known::Topic { .. }) = self.look(topic, Instant::now()) {
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let found = match outlet.ask_about(topic, left, || {}).wait(left) {
                Some(Answer::Topics(Ok(found))) => found.into_iter().next(),
                Some(Answer::Topics(Err(why))) => return Err(unanswered(topic).caused_by(why)),
                _ => None,
            };
            let found = found.ok_or_else(|| unanswered(topic))?;
            if found.error == Some(RDKafkaErrorCode::UnknownTopicOrPartition) && is_doubted && DOUBT < left {
                is_doubted = false;
                std::thread::sleep(DOUBT);
                continue;
            }
            if let Known::Refused(why) = self.learn(topic, &found, Instant::now()) {
                return Err(Error::new(ErrorKind::Sink, format!("the Kafka sink: {why}")));
            }
        }
    }

    /// Takes in what a broker said of a topic.
    pub fn learn(&self, topic: &str, told: &Found, now: Instant) -> Known {
        let known = judge(topic, told, self.exactly_once);
        let mut state = self.state();
        if state.topics.len() >= REFUSED_MAX {
            state.topics.retain(|_, (known, _)| matches!(known, Known::Topic { .. }));
        }
        if let Known::Topic { id, .. } = &known {
            state.ids.insert(topic.to_owned(), id.clone());
        }
        state.topics.insert(topic.to_owned(), (known.clone(), now));
        known
    }
}

fn unanswered(topic: &str) -> Error {
    Error::new(ErrorKind::Sink, format!("no broker told about the topic {topic} in time: is Kafka up?"))
}

fn judge(topic: &str, told: &Found, exactly_once: bool) -> Known {
    let rights = if exactly_once { "Write, Describe and Read" } else { "Write and Describe" };
    match told.error {
        None if !told.may_write => {
            Known::Refused(format!("this user may not write to the topic {topic}: allow it {rights}"))
        }
        None if exactly_once && !told.may_read => Known::Refused(format!(
            "this user may not read the topic {topic}, as recovery would have to: allow it {rights}"
        )),
        None => Known::Topic { id: told.id.clone().unwrap_or_default(), partitions: told.partitions },
        Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
            Known::Refused(format!("this user may not describe the topic {topic}: allow it {rights}"))
        }
        Some(RDKafkaErrorCode::UnknownTopicOrPartition) => {
            Known::Refused(format!("the topic {topic} does not exist: create it, or correct its name"))
        }
        Some(error) => Known::Refused(format!("the topic {topic} cannot be written to: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(error: Option<RDKafkaErrorCode>, may_write: bool) -> Found {
        Found { name: "t".into(), id: Some("id".into()), partitions: 3, error, may_write, may_read: true }
    }

    #[test]
    fn a_missing_topic_is_asked_for_again_after_a_while_and_an_existing_one_is_not() {
        let (routes, now) = (Routes::new(true), Instant::now());
        assert_eq!(routes.look("t", now), None);
        let refused = routes.learn("t", &told(Some(RDKafkaErrorCode::UnknownTopicOrPartition), true), now);
        assert!(matches!(&refused, Known::Refused(why) if why.contains("t does not exist")), "{refused:?}");
        assert_eq!(routes.look("t", now), Some(refused));
        assert_eq!(routes.look("t", now + BELIEVED), None);
        let known = routes.learn("t", &told(None, true), now);
        assert_eq!(routes.look("t", now + 100 * BELIEVED), Some(known));
        assert!(!routes.may_have_grown("t", now) && routes.may_have_grown("t", now + BELIEVED));
    }

    #[test]
    fn a_right_that_is_missing_is_named() {
        let routes = Routes::new(true);
        for (error, may_write) in [(None, false), (Some(RDKafkaErrorCode::TopicAuthorizationFailed), true)] {
            let known = routes.learn("t", &told(error, may_write), Instant::now());
            assert!(matches!(&known, Known::Refused(why) if why.contains("Write")), "{known:?}");
        }
    }

    #[test]
    fn only_a_transaction_needs_to_be_read() {
        let unread = Found { may_read: false, ..told(None, true) };
        let known = Routes::new(true).learn("t", &unread, Instant::now());
        assert!(
            matches!(&known, Known::Refused(why) if why.contains("allow it Write, Describe and Read")),
            "{known:?}"
        );
        let known = Routes::new(false).learn("t", &unread, Instant::now());
        assert!(matches!(known, Known::Topic { .. }), "{known:?}");
    }

    #[test]
    fn a_route_knows_its_topics_id() {
        let routes = Routes::new(true);
        let route = Route { writer: Writer { sink: "s".into(), worker: 1, shard: 0 }, topic: "t".into() };
        assert_eq!(routes.add(route.clone()), 0);
        assert_eq!(routes.get(0), (route.clone(), String::new()));
        routes.learn("t", &told(None, true), Instant::now());
        assert_eq!(routes.get(0), (route.clone(), "id".to_owned()));
        // What was written is still in that topic.
        routes.learn("t", &told(None, false), Instant::now());
        assert_eq!(routes.get(0), (route.clone(), "id".to_owned()));
        assert_eq!(routes.add(route.clone()), 1);
        routes.free(0);
        let other = Route { topic: "u".into(), ..route.clone() };
        assert_eq!((routes.add(other.clone()), routes.add(route)), (0, 2));
        assert_eq!(routes.get(0).0, other);
    }

    #[test]
    fn names_that_do_not_exist_do_not_pile_up() {
        let routes = Routes::new(true);
        routes.learn("real", &told(None, true), Instant::now());
        for number in 0..3 * REFUSED_MAX {
            routes.learn(&number.to_string(), &told(Some(RDKafkaErrorCode::InvalidTopic), true), Instant::now());
        }
        assert!(routes.state().topics.len() <= REFUSED_MAX + 1);
        assert!(routes.look("real", Instant::now()).is_some());
    }
}
