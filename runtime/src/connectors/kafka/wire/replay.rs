//! Copies the batches of one producer session to the end of the same partition, as another producer.
//!
//! Raw: records are never taken apart, so keys, values, headers and timestamps stay as they are, compressed
//! or not. Several requests are on their way at a time. Whatever goes wrong, the same batches are sent again
//! with the same sequence numbers: the broker stores each once. A batch that is not for this topic any more is
//! left out, and those behind it move up.
//!
//! Produce stays at version 11 and AddPartitionsToTxn at 3: later ones belong to producers of another
//! kind (KIP-890).

#![expect(clippy::disallowed_methods, reason = "deadlines of real brokers, threads of real clients")]

use super::connection::Connection;
use super::left_out::{LeftOut, is_about_batch};
use super::network::{Network, Trouble, code_text, is_passing, text, trouble};
use super::records::{Batch, next_sequence};
use super::session::SessionReader;
use crate::crash::crash_point;
use crate::error::{Error, ErrorKind, Result};
use crate::transaction::{Copied, CopyRange, Producer, SessionRange};
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{AddPartitionsToTxnRequest, ProduceRequest, ProducerId, TopicName, TransactionalId};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Requests on their way: as many as a broker remembers of each producer, to tell what it has stored.
const IN_FLIGHT_MAX: usize = 5;
/// The pause before batches are sent again.
const PAUSE: Duration = Duration::from_millis(20);
/// How long a broker may wait for its followers.
const STORED_WITHIN_MS: i32 = 10_000;
/// Time between two lines of progress.
const TELL_EVERY: Duration = Duration::from_secs(2);
/// CORRUPT_MESSAGE is worth another try with Kafka's clients; here the checksum was just made.
const CORRUPT: i16 = 2;
/// NOT_ENOUGH_REPLICAS (also a broker that does not know of the transaction yet) and CONCURRENT_TRANSACTIONS: the batch
/// was certainly not stored. Other answers that pass may come after it was.
const NOT_STORED: &[i16] = &[19, 51];
/// What comes behind a batch that was refused: OUT_OF_ORDER_SEQUENCE_NUMBER.
const OUT_OF_ORDER: i16 = 45;

impl Network {
    /// Makes partitions part of a transaction.
    pub async fn add_partitions(
        &mut self,
        id: &str,
        producer: Producer,
        partitions: &[(&str, i32)],
        deadline: Instant,
    ) -> Result<()> {
        self.until(deadline, &format!("adding partitions to the transaction {id}"), async |network| {
            let coordinator = network.coordinator(id, deadline).await?;
            let mut topics: Vec<AddPartitionsToTxnTopic> = Vec::new();
            for &(topic, partition) in partitions {
                match topics.iter_mut().find(|known| &**known.name == topic) {
                    Some(known) => known.partitions.push(partition),
                    None => topics.push(
                        AddPartitionsToTxnTopic::default()
                            .with_name(TopicName(text(topic)))
                            .with_partitions(vec![partition]),
                    ),
                }
            }
            let request = AddPartitionsToTxnRequest::default()
                .with_v3_and_below_transactional_id(TransactionalId(text(id)))
                .with_v3_and_below_producer_id(ProducerId(producer.id))
                .with_v3_and_below_producer_epoch(producer.epoch)
                .with_v3_and_below_topics(topics);
            let answer = network.ask(&coordinator, request, 3..=3, deadline).await?.1;
            let results = answer.results_by_topic_v3_and_below.iter().flat_map(|topic| &topic.results_by_partition);
            // OPERATION_NOT_ATTEMPTED says only that another partition was refused.
            let mut codes: Vec<i16> = results.map(|result| result.partition_error_code).collect();
            codes.sort_by_key(|&code| (code == 0, code == 55));
            match codes.first() {
                None => Err(Trouble::Passing("an empty answer".to_owned())),
                Some(0) => Ok(()),
                Some(&code) => Err(trouble(code, "AddPartitionsToTxn")),
            }
        })
        .await
    }

    /// Copies; `within` is how long nothing may move on.
    pub async fn copy(&mut self, range: &CopyRange<'_>, within: Duration) -> Result<Copied> {
        let now = Instant::now();
        let copied = Copied { records: 0, first: -1, last: -1, left_out: None };
        let copier = Copier {
            network: self,
            range,
            within,
            connection: None,
            window: VecDeque::new(),
            sequence: 0,
            is_known: false,
            copied,
            left_out: LeftOut::default(),
            moved: now,
            tell_at: now + TELL_EVERY,
        };
        copier.run().await
    }
}

/// A batch that was not acknowledged yet.
struct Sent {
    batch: Batch,
    sequence: i32,
    /// The request that it went out with, on the current connection.
    correlation: Option<i32>,
    /// It went out before, and it is not known whether it was stored, or still will be.
    is_loose: bool,
}

/// What a broker says of a batch.
enum Verdict {
    Stored { offset: i64 },
    Refused { code: i16, said: String },
}

/// Whether an answer rules out that the batch is stored.
fn is_refused(code: i16) -> bool {
    code == OUT_OF_ORDER || is_about_batch(code) || NOT_STORED.contains(&code)
}

/// The answer to a batch that was sent.
async fn answer(
    connection: &mut Connection,
    correlation: i32,
    deadline: Instant,
) -> Result<PartitionProduceResponse, Trouble> {
    let answer = connection.finish::<ProduceRequest>(correlation, 9..=11, deadline).await?;
    let found = answer.responses.into_iter().flat_map(|topic| topic.partition_responses).next();
    found.ok_or_else(|| Trouble::Passing("an empty answer".to_owned()))
}

struct Copier<'a> {
    network: &'a mut Network,
    range: &'a CopyRange<'a>,
    within: Duration,
    connection: Option<Connection>,
    window: VecDeque<Sent>,
    sequence: i32,
    /// The broker has stored a batch of this producer. Before, it would take any sequence number for the
    /// first one, so the first batch travels alone.
    is_known: bool,
    copied: Copied,
    left_out: LeftOut,
    /// When something was acknowledged last.
    moved: Instant,
    tell_at: Instant,
}

impl Copier<'_> {
    async fn run(mut self) -> Result<Copied> {
        let mut reader = SessionReader::new(&self.range.of, self.within);
        while let Some(batch) = reader.next(self.network).await? {
            self.take(batch).await?;
        }
        while !self.window.is_empty() {
            self.acknowledge().await?;
        }
        self.copied.left_out = reader.left_out.or_else(|| self.left_out.reason());
        Ok(self.copied)
    }

    /// Sends a batch; waits while too many are on their way.
    async fn take(&mut self, batch: Batch) -> Result<()> {
        let (sequence, records) = (self.sequence, batch.count);
        self.window.push_back(Sent { batch, sequence, correlation: None, is_loose: false });
        self.sequence = next_sequence(sequence, records);
        if self.connection.is_some() && self.is_known {
            // Trouble shows when its answer is waited for.
            if self.send_waiting().await.is_err() {
                self.hang_up();
            }
        }
        while self.window.len() >= if self.is_known { IN_FLIGHT_MAX } else { 1 } {
            self.acknowledge().await?;
        }
        Ok(())
    }

    /// Sends what has not been sent on this connection.
    async fn send_waiting(&mut self) -> Result<(), Trouble> {
        let &CopyRange { id, of: SessionRange { topic, partition, .. }, to } = self.range;
        let deadline = Instant::now() + self.within;
        let connection = match &mut self.connection {
            Some(connection) => connection,
            empty => {
                let leader = self.network.leader(topic, partition, deadline).await?;
                empty.insert(self.network.open(&leader, deadline).await?)
            }
        };
        for sent in self.window.iter_mut().filter(|sent| sent.correlation.is_none()) {
            let records = sent.batch.restamped(to, sent.sequence);
            let data = PartitionProduceData::default().with_index(partition).with_records(Some(records));
            let data = TopicProduceData::default().with_name(TopicName(text(topic))).with_partition_data(vec![data]);
            let request = ProduceRequest::default()
                .with_transactional_id(Some(TransactionalId(text(id))))
                .with_acks(-1)
                .with_timeout_ms(STORED_WITHIN_MS)
                .with_topic_data(vec![data]);
            let started = connection.start(&request, 9..=11, deadline).await;
            // Also what was sent in part: who knows which part.
            sent.is_loose |= started.is_err();
            sent.correlation = Some(started?);
        }
        Ok(())
    }

    /// Gives the connection up. Answers that are still to come are of no use: all is sent again, in order.
    fn hang_up(&mut self) {
        self.connection = None;
        for sent in &mut self.window {
            sent.is_loose |= sent.correlation.take().is_some();
        }
    }

    /// What became of the oldest batch on its way.
    async fn settled(&mut self) -> Result<Verdict, Trouble> {
        self.send_waiting().await?;
        let deadline = Instant::now() + self.within;
        let correlation = self.window.front().and_then(|sent| sent.correlation);
        let (Some(connection), Some(correlation)) = (&mut self.connection, correlation) else {
            return Err(Trouble::Passing("nothing is on its way".to_owned()));
        };
        let found = answer(connection, correlation, deadline).await?;
        let said = found.error_message.map(|said| said.to_string()).unwrap_or_default();
        match found.error_code {
            0 => Ok(Verdict::Stored { offset: found.base_offset }),
            code if is_about_batch(code) => Ok(Verdict::Refused { code, said }),
            CORRUPT => {
                let message =
                    format!("Produce: the broker finds a damaged batch, whose checksum was just made ({said})");
                Err(Trouble::Final(Error::new(ErrorKind::Sink, message)))
            }
            code if is_passing(code) => {
                if let Some(sent) = self.window.front_mut().filter(|_| NOT_STORED.contains(&code)) {
                    sent.correlation = None;
                }
                Err(trouble(code, "Produce"))
            }
            code => Err(match trouble(code, "Produce") {
                Trouble::Final(error) if !said.is_empty() => {
                    Trouble::Final(Error::new(error.kind(), format!("{} ({said})", error.message())))
                }
                trouble => trouble,
            }),
        }
    }

    /// Waits until the oldest batch on its way is stored, or left out.
    async fn acknowledge(&mut self) -> Result<()> {
        let &CopyRange { id, of: SessionRange { topic, partition, .. }, .. } = self.range;
        let place = format!("writing again to {topic}/{partition} as {id}");
        loop {
            let why = match self.settled().await {
                Ok(Verdict::Stored { offset }) => {
                    self.count(offset);
                    return Ok(());
                }
                Ok(Verdict::Refused { code, said }) => {
                    return self.leave_out(code, &said).await.map_err(|error| error.at(place));
                }
                Err(Trouble::Passing(why)) => why,
                Err(Trouble::Final(error)) => return Err(error.at(place)),
                Err(Trouble::Refused(right)) => return Err(right.error(&self.network.principal()).at(place)),
            };
            self.hang_up();
            self.network.forget_brokers();
            if self.moved.elapsed() >= self.within {
                let message = format!("{place}: nothing was stored for {} s: {why}", self.within.as_secs());
                return Err(Error::new(ErrorKind::Sink, message));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Goes on without the oldest batch, whose sequence numbers are those of the next one then. Whatever is on its way
    /// behind it was sent with later ones and is refused; a copy of it that was stored late would be taken for its
    /// successor, which would be lost. So all answers are awaited first, and where there is none to await, the attempt
    /// ends: the next one writes as another producer.
    async fn leave_out(&mut self, code: i16, said: &str) -> Result<()> {
        let Some(refused) = self.window.pop_front() else { return Ok(()) };
        let mut unsettled = refused.is_loose || self.window.iter().any(|sent| sent.is_loose);
        let deadline = Instant::now() + self.within;
        for correlation in self.window.iter_mut().filter_map(|sent| sent.correlation.take()) {
            let answered = match &mut self.connection {
                Some(connection) => answer(connection, correlation, deadline).await.ok(),
                None => None,
            };
            unsettled |= answered.is_none_or(|answer| !is_refused(answer.error_code));
        }
        if unsettled {
            let message =
                format!("a batch was refused ({}), and not all answers about those around it came", code_text(code));
            return Err(Error::new(ErrorKind::Sink, message));
        }
        self.left_out.add(code, refused.batch.header.first, refused.batch.bytes(), said);
        self.sequence = refused.sequence;
        for sent in &mut self.window {
            sent.sequence = self.sequence;
            self.sequence = next_sequence(self.sequence, sent.batch.count);
        }
        self.moved = Instant::now();
        Ok(())
    }

    fn count(&mut self, offset: i64) {
        let Some(Sent { batch, .. }) = self.window.pop_front() else { return };
        let records = u64::try_from(batch.count).unwrap_or(0);
        if self.copied.records == 0 {
            self.copied.first = offset;
        }
        self.copied.records += records;
        self.copied.last = offset + i64::from(batch.count) - 1;
        self.is_known = true;
        self.moved = Instant::now();
        crash_point("kafka-replay-copying");
        if self.moved >= self.tell_at {
            self.tell_at = self.moved + TELL_EVERY;
            let &CopyRange { id, of: SessionRange { topic, partition, .. }, .. } = self.range;
            tracing::info!(target: "staunch::kafka", topic, partition, id, records = self.copied.records, "writing again");
        }
    }
}
