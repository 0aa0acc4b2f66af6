//! Reads a topic to its end as a reader of committed records does, without keeping it in memory, and
//! sees that nothing is left undecided in it.

use super::client::Client;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long the last transactions may take to be decided, and how long a read may come no further.
const WITHIN: Duration = Duration::from_secs(60);

/// A record that is being read.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    pub partition: i32,
    pub offset: i64,
    pub key: &'a [u8],
    pub value: &'a [u8],
}

impl Client {
    /// Hands over all committed records of a topic, by partition in order. It has to be all there is: a
    /// transaction that stays open, or a commit that never ends, is an error.
    ///
    /// # Errors
    /// What is open and where, or why it cannot be read; also what `each` says, with the place.
    pub fn each_committed(
        &self,
        topic: &str,
        mut each: impl FnMut(Seen<'_>) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut ends = self.decided_ends(topic)?;
        let consumer = self.reader("read_committed");
        let mut list = TopicPartitionList::new();
        for partition in ends.keys() {
            list.add_partition_offset(topic, *partition, Offset::Beginning).expect("a legal offset");
        }
        consumer.assign(&list).map_err(|error| format!("{topic}: {error}"))?;
        let mut moved = Instant::now();
        while !ends.is_empty() {
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    moved = Instant::now();
                    let (partition, offset) = (message.partition(), message.offset());
                    let (key, value) = (message.key().unwrap_or_default(), message.payload().unwrap_or_default());
                    each(Seen { partition, offset, key, value })
                        .map_err(|what| format!("{topic}/{partition} offset {offset}: {what}"))?;
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    ends.remove(&partition);
                }
                // A broker that is away for a while: then nothing moves, and that has its limit.
                Some(Err(_)) | None => {}
            }
            if moved.elapsed() > WITHIN {
                return Err(format!("{topic} cannot be read to its end: {:?} are missing", ends.keys()));
            }
        }
        Ok(())
    }

    /// The end of each partition, when nothing below it is undecided any more.
    fn decided_ends(&self, topic: &str) -> Result<BTreeMap<i32, i64>, String> {
        let (stable, all) = (self.reader("read_committed"), self.reader("read_uncommitted"));
        let deadline = Instant::now() + WITHIN;
        loop {
            let mut open = Vec::new();
            let mut ends = BTreeMap::new();
            for partition in 0..self.partitions(topic) {
                let end = |reader: &BaseConsumer| {
                    let (_, end) = reader.fetch_watermarks(topic, partition, WITHIN).map_err(|e| e.to_string())?;
                    Ok::<_, String>(end)
                };
                let (end, stable) = (end(&all)?, end(&stable)?);
                if stable < end {
                    open.push(format!("{topic}/{partition} is decided up to {stable} of {end}"));
                }
                ends.insert(partition, end);
            }
            if open.is_empty() {
                return Ok(ends);
            }
            if Instant::now() >= deadline {
                return Err(format!("a transaction stays open: {}", open.join(", ")));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn reader(&self, isolation: &str) -> BaseConsumer {
        let mut config = self.config();
        config.set("group.id", "staunch-tests").set("isolation.level", isolation).set("enable.partition.eof", "true");
        config.set("enable.auto.commit", "false").create().expect("a legal configuration")
    }
}
