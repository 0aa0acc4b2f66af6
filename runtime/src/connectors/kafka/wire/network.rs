//! Finds the right broker for each question, and asks again while brokers are away or busy.

#![expect(clippy::disallowed_methods, reason = "deadlines of real brokers, threads of real clients")]

use super::connection::{Access, Connection};
use super::refusal;
use crate::error::{Error, ErrorKind, Result};
use crate::stop::Cancellation;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{FindCoordinatorRequest, MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::{Request, StrBytes};
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

pub(super) type Address = (String, u16);

/// The pause before a question is asked again.
const PAUSE: Duration = Duration::from_millis(50);
/// After this time it is told what is waited for, and again each time that the second one has passed.
const TELL_AFTER: Duration = Duration::from_secs(5);
const TELL_EVERY: Duration = Duration::from_secs(10);

/// UNKNOWN_TOPIC_OR_PARTITION.
pub(super) const UNKNOWN_TOPIC: i16 = 3;

pub(super) struct Network {
    bootstrap: Vec<Address>,
    /// The brokers that others told of: one of them may be up when those given are not.
    learnt: Vec<Address>,
    access: Access,
    connections: HashMap<Address, Connection>,
    /// The coordinators of transactional ids, and the leaders of partitions.
    coordinators: HashMap<String, Address>,
    leaders: HashMap<(String, i32), Address>,
    pub cancellation: Cancellation,
}

/// Why a question has no answer yet.
pub(super) enum Trouble {
    /// Worth asking again.
    Passing(String),
    /// Asking again does not help.
    Final(Error),
    /// The brokers do not allow it.
    Refused(refusal::Right),
}

/// A broker's error code in words.
pub(super) fn code_text(code: i16) -> String {
    ResponseError::try_from_code(code).map_or_else(|| format!("error {code}"), |error| format!("{error} ({code})"))
}

impl Network {
    pub fn new(brokers: &str, access: Access) -> Result<Self> {
        let address = |broker: &str| {
            let (host, port) = broker.rsplit_once(':')?;
            Some((host.trim_matches(['[', ']']).to_owned(), port.parse().ok()?))
        };
        let bootstrap: Option<Vec<Address>> = brokers.split(',').map(address).collect();
        let bootstrap = bootstrap.ok_or_else(|| {
            Error::new(ErrorKind::Config, format!("{brokers:?} is no list of brokers: write host:port,host:port"))
        })?;
        let (connections, coordinators, leaders) = (HashMap::new(), HashMap::new(), HashMap::new());
        let (learnt, cancellation) = (Vec::new(), Cancellation::default());
        Ok(Self { bootstrap, learnt, access, connections, coordinators, leaders, cancellation })
    }

    /// Who the brokers take us for, for people.
    pub fn principal(&self) -> String {
        self.access.security.principal()
    }

    /// The brokers that were given.
    pub fn given(&self) -> Vec<Address> {
        self.bootstrap.clone()
    }

    /// Asks this one first from now on.
    pub fn prefer(&mut self, broker: &Address) {
        self.bootstrap.retain(|other| other != broker);
        self.bootstrap.insert(0, broker.clone());
    }

    /// Why there is no answer, for people.
    pub fn words(&self, trouble: Trouble) -> String {
        match trouble {
            Trouble::Passing(why) => why,
            Trouble::Final(error) => error.to_string(),
            Trouble::Refused(right) => right.error(&self.principal()).to_string(),
        }
    }

    /// Asks until there is an answer or the deadline has passed.
    pub async fn until<T>(
        &mut self,
        deadline: Instant,
        what: &str,
        mut attempt: impl AsyncFnMut(&mut Self) -> Result<T, Trouble>,
    ) -> Result<T> {
        let mut tell_at = Instant::now() + TELL_AFTER;
        loop {
            let why = match attempt(self).await {
                Ok(answer) => return Ok(answer),
                Err(Trouble::Final(error)) => return Err(error.at(what)),
                Err(Trouble::Refused(right)) => return Err(right.error(&self.principal()).at(what)),
                Err(Trouble::Passing(why)) => why,
            };
            self.cancellation.check().map_err(|error| error.at(what))?;
            if Instant::now() + PAUSE >= deadline {
                let brokers: Vec<String> = self.bootstrap.iter().map(|(host, port)| format!("{host}:{port}")).collect();
                let message = format!("{what}: no answer from Kafka at {} in time: {why}", brokers.join(","));
                return Err(Error::new(ErrorKind::Sink, message));
            }
            if Instant::now() >= tell_at {
                tell_at = Instant::now() + TELL_EVERY;
                let left_s = deadline.saturating_duration_since(Instant::now()).as_secs();
                tracing::info!(target: "staunch::kafka", what, why, left_s, "waiting for Kafka");
            }
            // Whoever was asked may not be the right one any more. Connections that failed are gone already.
            self.forget_brokers();
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// One request to one broker; the connection is kept.
    pub async fn ask<R: Request>(
        &mut self,
        address: &Address,
        request: R,
        versions: RangeInclusive<i16>,
        deadline: Instant,
    ) -> Result<(i16, R::Response), Trouble> {
        // Taken out while in use: a connection that failed half way is not put back.
        let mut connection = match self.connections.remove(address) {
            Some(connection) => connection,
            None => Connection::open(&address.0, address.1, &self.access, deadline).await?,
        };
        let answer = connection.call(request, versions, deadline).await?;
        self.connections.insert(address.clone(), connection);
        Ok(answer)
    }

    /// A connection of the caller's own.
    pub async fn open(&self, address: &Address, deadline: Instant) -> Result<Connection, Trouble> {
        Connection::open(&address.0, address.1, &self.access, deadline).await
    }

    /// Coordinators and leaders have moved, perhaps.
    pub fn forget_brokers(&mut self) {
        self.coordinators.clear();
        self.leaders.clear();
    }

    /// Any broker that answers; the one that did last time first.
    pub async fn ask_any<R: Request + Clone>(
        &mut self,
        request: R,
        versions: RangeInclusive<i16>,
        deadline: Instant,
    ) -> Result<(i16, R::Response), Trouble> {
        let mut trouble = Trouble::Passing("no broker is given".to_owned());
        for (at, address) in self.bootstrap.clone().into_iter().enumerate() {
            match self.ask(&address, request.clone(), versions.clone(), deadline).await {
                Err(Trouble::Passing(why)) => trouble = Trouble::Passing(why),
                answer => {
                    self.bootstrap[..=at].rotate_right(1);
                    return answer;
                }
            }
        }
        for address in self.learnt.clone() {
            match self.ask(&address, request.clone(), versions.clone(), deadline).await {
                Err(Trouble::Passing(why)) => trouble = Trouble::Passing(why),
                answer => return answer,
            }
        }
        Err(trouble)
    }

    pub async fn metadata(&mut self, topic: Option<&str>, deadline: Instant) -> Result<MetadataResponse, Trouble> {
        let named = |topic: &str| MetadataRequestTopic::default().with_name(Some(TopicName(text(topic))));
        let topics = topic.map(named).into_iter().collect();
        let request = MetadataRequest::default()
            .with_topics(Some(topics))
            .with_allow_auto_topic_creation(false)
            .with_include_topic_authorized_operations(true);
        let metadata = self.ask_any(request, 11..=12, deadline).await?.1;
        let brokers = metadata.brokers.iter().filter_map(|broker| address(&broker.host, broker.port).ok());
        self.learnt = brokers.filter(|broker| !self.bootstrap.contains(broker)).collect();
        Ok(metadata)
    }

    pub async fn cluster_id(&mut self, deadline: Instant) -> Result<String> {
        self.until(deadline, "asking for the cluster's id", async |network| {
            let metadata = network.metadata(None, deadline).await?;
            Ok(metadata.cluster_id.map(|id| id.to_string()).unwrap_or_default())
        })
        .await
    }

    pub async fn topic_id(&mut self, topic: &str, deadline: Instant) -> Result<Option<String>> {
        // A broker that has just started knows no topics yet: that there is none counts only when time is up, and
        // when nothing was left unanswered since but the last question of all, which had no time.
        let (mut is_unknown, mut unanswered) = (false, 0);
        let asking = format!("asking for the topic {topic}");
        let found = self.until(deadline, &asking, async |network| {
            unanswered += 1;
            let metadata = network.metadata(Some(topic), deadline).await?;
            unanswered = 0;
            let Some(found) = metadata.topics.first() else { return Err(trouble(0, topic)) };
            is_unknown = found.error_code == UNKNOWN_TOPIC;
            match found.error_code {
                0 => Ok(found.topic_id.to_string()),
                code => Err(trouble(code, topic)),
            }
        });
        match found.await {
            Err(_) if is_unknown && unanswered <= 1 => Ok(None),
            found => found.map(Some),
        }
    }

    pub async fn coordinator(&mut self, id: &str, deadline: Instant) -> Result<Address, Trouble> {
        if let Some(known) = self.coordinators.get(id) {
            return Ok(known.clone());
        }
        let request = FindCoordinatorRequest::default().with_key_type(1).with_key(text(id));
        let answer = self.ask_any(request, 3..=3, deadline).await?.1;
        match answer.error_code {
            0 => {
                let address = address(&answer.host, answer.port)?;
                self.coordinators.insert(id.to_owned(), address.clone());
                Ok(address)
            }
            code => Err(trouble(code, "FindCoordinator")),
        }
    }

    pub async fn leader(&mut self, topic: &str, partition: i32, deadline: Instant) -> Result<Address, Trouble> {
        let key = (topic.to_owned(), partition);
        if let Some(known) = self.leaders.get(&key) {
            return Ok(known.clone());
        }
        let metadata = self.metadata(Some(topic), deadline).await?;
        let found = metadata.topics.first().ok_or_else(|| Trouble::Passing("no metadata".to_owned()))?;
        if found.error_code != 0 {
            return Err(trouble(found.error_code, topic));
        }
        let leader =
            found.partitions.iter().find(|found| found.partition_index == partition).map(|found| found.leader_id);
        let broker = metadata.brokers.iter().find(|broker| Some(broker.node_id) == leader);
        let broker = broker.ok_or_else(|| Trouble::Passing(format!("{topic}/{partition} has no leader")))?;
        let address = address(&broker.host, broker.port)?;
        self.leaders.insert(key, address.clone());
        Ok(address)
    }
}

pub(super) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(super) fn address(host: &StrBytes, port: i32) -> Result<Address, Trouble> {
    let port = u16::try_from(port).map_err(|_| Trouble::Passing(format!("port {port} of broker {host}")))?;
    Ok((host.to_string(), port))
}

/// Loading, not available, moved, not the leader, busy, not enough replicas: Kafka's retriable errors.
pub(super) fn is_passing(code: i16) -> bool {
    ResponseError::try_from_code(code).is_some_and(|error| error.is_retriable()) || code == 51
}

pub(super) fn trouble(code: i16, what: &str) -> Trouble {
    if let Some(right) = refusal::right(code, what) {
        return Trouble::Refused(right);
    }
    let message = format!("{what}: {}", code_text(code));
    if is_passing(code) || code == 0 {
        Trouble::Passing(message)
    } else {
        Trouble::Final(Error::new(ErrorKind::Sink, message))
    }
}
