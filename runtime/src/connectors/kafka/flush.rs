//! A wait until Kafka has taken what it was given. When that takes long, it is told why: the brokers are asked
//! which partitions have no leader, and who does not answer.

#![expect(clippy::disallowed_methods, reason = "deadlines of real brokers, threads of real clients")]

use super::producer::Outlet;
use super::settings::Settings;
use super::wire::Cluster;
use crate::error::{Error, ErrorKind, Result};
use crate::stop::Cancellation;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long librdkafka flushes before delivery reports are looked at again.
const STEP: Duration = Duration::from_millis(100);
/// A wait is told of when it has taken so long, and again after each further while.
const TELL_AFTER: Duration = Duration::from_secs(5);
const TELL_EVERY: Duration = Duration::from_secs(10);

/// What a flush waits for.
pub(super) struct Awaited {
    /// The topics of the records that were not taken.
    pub topics: BTreeSet<String>,
    /// How many records.
    pub records: u64,
}

/// One wait.
pub(super) struct Flush<'a> {
    settings: &'a Settings,
    deadline: Instant,
    cancellation: Cancellation,
    tell_at: Instant,
    /// What held it up when it was last looked at.
    held_up_by: Option<String>,
}

impl<'a> Flush<'a> {
    /// Begins to wait, at most until the deadline or the attempt's end.
    pub fn new(settings: &'a Settings, deadline: Instant, cancellation: Cancellation) -> Self {
        Self { settings, deadline, cancellation, tell_at: Instant::now() + TELL_AFTER, held_up_by: None }
    }

    /// Waits a little.
    ///
    /// # Errors
    /// A record was not delivered, or the time is up: with what held it up.
    pub fn step(&mut self, outlet: &Outlet, awaited: impl FnOnce() -> Awaited) -> Result<()> {
        self.check(outlet)?;
        if Instant::now() >= self.tell_at {
            self.tell(outlet, &awaited());
            self.tell_at = Instant::now() + TELL_EVERY;
        }
        outlet.flush_or_pause(STEP);
        Ok(())
    }

    fn check(&self, outlet: &Outlet) -> Result<()> {
        self.cancellation.check()?;
        let in_time = || {
            let message = "Kafka did not take all records before the transaction's timeout";
            let late = Instant::now() >= self.deadline;
            if late { Err(Error::new(ErrorKind::Timeout, message)) } else { Ok(()) }
        };
        outlet.check().and_then(|()| in_time()).map_err(|error| match &self.held_up_by {
            Some(why) => error.caused_by(why.clone()),
            None => error,
        })
    }

    fn tell(&mut self, outlet: &Outlet, awaited: &Awaited) {
        let why = self.ask(outlet, &awaited.topics);
        let left_s = self.deadline.saturating_duration_since(Instant::now()).as_secs();
        tracing::warn!(
            target: "staunch::kafka",
            records = awaited.records,
            left_s,
            "waiting for Kafka to take the records of a checkpoint: {why}"
        );
        self.held_up_by = Some(why);
    }

    /// By connections of its own, so that it sees what any other client would.
    fn ask(&self, outlet: &Outlet, topics: &BTreeSet<String>) -> String {
        let cluster = Cluster::of(self.settings);
        let id = Some(outlet.id.as_str()).filter(|id| !id.is_empty());
        let found = match cluster {
            Ok(mut cluster) => {
                cluster.cancelled_by(self.cancellation.clone());
                cluster.held_up_by(id, topics)
            }
            Err(error) => vec![error.to_string()],
        };
        if found.is_empty() {
            return format!("all leaders of {} answer: they are slow, or refuse for a while", names(topics));
        }
        found.join("; ")
    }
}

fn names(topics: &BTreeSet<String>) -> String {
    topics.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
