//! [`SimulatedBrokers`]: a cluster of the world, as the transaction protocol asks it.

use super::cluster::Delayed;
use super::{Connection, timeout_ms};
use crate::error::{Error, ErrorKind, Result};
use crate::transaction::{
    Brokers, Copied, CopyRange, Counted, Described, Isolation, Listed, Marker, OpenIn, Peek, Producer, SessionRange,
    Topic,
};
use std::time::Duration;

pub(super) struct SimulatedBrokers(pub Connection);

impl SimulatedBrokers {
    fn timeout_ms(&self) -> i32 {
        timeout_ms(self.0.world.with(|state| state.kafka.timeout))
    }
}

/// A topic's id. None is ever deleted.
pub(super) fn id_of_topic(topic: &str) -> String {
    format!("id-{topic}")
}

/// A request that the cluster refuses.
pub(super) fn refused(what: &str, code: i16) -> Error {
    Error::new(ErrorKind::Sink, format!("{what} is refused: error {code}"))
}

impl Brokers for SimulatedBrokers {
    fn now(&self) -> Duration {
        Duration::from_millis(self.0.world.with(|state| state.now_ms))
    }

    fn pause(&mut self, time: Duration) {
        if self.0.world.enter(self.0.pid, "sink-pause") {
            self.0.world.with(|state| state.now_ms += u64::try_from(time.as_millis()).unwrap_or(0));
        }
    }

    fn describe(&mut self, id: &str) -> Result<Option<Described>> {
        self.0.ask("sink-describe", "a description", |cluster, _| cluster.describe(id))
    }

    fn end(&mut self, id: &str, producer: Producer, commit: bool) -> Result<i16> {
        let later = Delayed::End { id: id.to_owned(), producer, commit };
        let code = self.0.send("sink-end", "an end", Some(later), |cluster, _| cluster.end(id, producer, commit))?;
        self.0.say(|| format!("asks to {} {id} (error {code})", if commit { "commit" } else { "abort" }));
        Ok(code)
    }

    fn take_over(&mut self, id: &str) -> Result<Producer> {
        let timeout_ms = self.timeout_ms();
        let later = Delayed::TakeOver { id: id.to_owned(), timeout_ms };
        let taken = self
            .0
            .send("sink-take-over", "a take-over", Some(later), |cluster, _| cluster.take_over(id, timeout_ms))?;
        self.0.say(|| format!("takes {id} over"));
        Ok(taken)
    }

    fn list(&mut self, prefix: &str) -> Result<Vec<Listed>> {
        self.0.ask("sink-list", "a list", |cluster, _| cluster.list(prefix))
    }

    fn topic(&mut self, name: &str) -> Result<Option<Topic>> {
        Ok(Some(Topic { id: id_of_topic(name), partitions: 1 }))
    }

    fn log_start(&mut self, topic: &str, partition: i32) -> Result<i64> {
        self.0.ask("sink-log-start", "a look", |cluster, _| cluster.log_start(topic, partition))
    }

    fn is_compacted(&mut self, _topic: &str) -> Result<Option<bool>> {
        Ok(Some(false))
    }

    fn peek(&mut self, topic: &str, partition: i32, offset: i64, isolation: Isolation) -> Result<Peek> {
        self.0.ask("sink-peek", "a look", |cluster, _| cluster.peek(topic, partition, offset, isolation))
    }

    fn open_in(&mut self, partitions: &[(&str, i32)]) -> Result<Vec<OpenIn>> {
        self.0.ask("sink-open-in", "a question for open transactions", |cluster, _| cluster.open_in(partitions))
    }

    fn find_marker(&mut self, topic: &str, partition: i32, from: i64, producer_id: i64) -> Result<Marker> {
        self.0.ask("sink-marker", "a search", |cluster, _| cluster.find_marker(topic, partition, from, producer_id))
    }

    fn add_partitions(&mut self, id: &str, producer: Producer, partitions: &[(&str, i32)]) -> Result<()> {
        let added = self.0.ask("sink-add", "an addition", |cluster, now_ms| {
            partitions.iter().try_for_each(|(topic, partition)| cluster.add(id, producer, topic, *partition, now_ms))
        });
        added?.map_err(|code| refused("an addition of partitions", code))
    }

    fn count(&mut self, range: &SessionRange<'_>) -> Result<Counted> {
        let records = self.0.ask("sink-count", "a count", |cluster, _| cluster.count(range))?;
        Ok(Counted { records, left_out: None })
    }

    fn copy(&mut self, range: &CopyRange<'_>) -> Result<Copied> {
        let copied = self.0.ask("sink-copy", "a copy", |cluster, _| cluster.copy(range))?;
        let copied = copied.map_err(|code| refused("a copy", code))?;
        self.0.say(|| format!("writes {} records of `{}` once more, as {}", copied.records, range.of.topic, range.id));
        Ok(copied)
    }
}
