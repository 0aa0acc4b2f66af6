//! [`Brokers`]: what the protocol asks of a Kafka cluster, and the answers.

use crate::error::Result;
use std::time::Duration;

/// The brokers of one cluster. Questions are asked again, inside, while a broker is away or busy; an
/// error means that there was no answer in time, or one that no repetition changes, and names the broker or
/// partition. Time is behind this trait, too, so that a simulation can let it pass.
///
/// This is also where prepared transactions of the brokers' own (KIP-939) would slot in: with
/// `InitProducerId` version 6 (`enable2Pc`, `keepPreparedTxn`) a prepared transaction never expires and
/// can be resumed, so a cluster that offers it would answer [`Self::describe`] with a state of its own
/// (`Prepared`: open, and safe from the timeout), and [`Self::end`] would stay as it is. On Kafka 4.3.1
/// `keepPreparedTxn` is refused.
pub trait Brokers {
    /// The time since some moment in the past; never goes back.
    fn now(&self) -> Duration;

    /// Lets time pass before the same question is asked again.
    fn pause(&mut self, time: Duration);

    /// What the coordinator knows of a transactional id; `None` if nothing (DescribeTransactions).
    ///
    /// # Errors
    /// No answer in time, or a missing right.
    fn describe(&mut self, id: &str) -> Result<Option<Described>>;

    /// Ends the open transaction of a producer session, whichever that is (EndTxn, version 4 or
    /// before). The answer is the broker's error code, and decides nothing.
    ///
    /// # Errors
    /// No answer in time.
    fn end(&mut self, id: &str, producer: Producer, commit: bool) -> Result<i16>;

    /// Starts a new producer session of a transactional id (InitProducerId): aborts what the id has
    /// open and locks out whoever was using it. Its transactions last as long as the sink's do now.
    ///
    /// # Errors
    /// No answer in time, or a missing right.
    fn take_over(&mut self, id: &str) -> Result<Producer>;

    /// The transactional ids that begin so, of all brokers (ListTransactions).
    ///
    /// # Errors
    /// A broker did not answer in time, or some ids have no coordinator now: what it coordinates is not known.
    fn list(&mut self, prefix: &str) -> Result<Vec<Listed>>;

    /// The topic of this name; `None` if there was none, even after waiting for a broker that starts.
    ///
    /// # Errors
    /// No answer in time.
    fn topic(&mut self, name: &str) -> Result<Option<Topic>>;

    /// The first offset that the log still has (ListOffsets).
    ///
    /// # Errors
    /// No answer in time.
    fn log_start(&mut self, topic: &str, partition: i32) -> Result<i64>;

    /// Whether a topic is compacted (DescribeConfigs: `cleanup.policy`); `None` if it may not be known.
    ///
    /// # Errors
    /// No answer in time.
    fn is_compacted(&mut self, topic: &str) -> Result<Option<bool>>;

    /// Looks at one offset of one partition. One partition in a request, as the lists of aborted
    /// transactions of further ones are incomplete.
    ///
    /// # Errors
    /// No answer in time, or a missing right.
    fn peek(&mut self, topic: &str, partition: i32, offset: i64, isolation: Isolation) -> Result<Peek>;

    /// The transactions that are open in these partitions, as their leaders know it (DescribeProducers, KIP-664).
    ///
    /// # Errors
    /// No answer in time, or a missing right.
    fn open_in(&mut self, partitions: &[(&str, i32)]) -> Result<Vec<OpenIn>>;

    /// Reads on from an offset, whatever is committed or not, to the first control batch of a producer.
    ///
    /// # Errors
    /// No answer in time.
    fn find_marker(&mut self, topic: &str, partition: i32, from: i64, producer_id: i64) -> Result<Marker>;

    /// Makes partitions part of a producer's transaction, which begins with the first one
    /// (AddPartitionsToTxn, version 3 or before).
    ///
    /// # Errors
    /// No answer in time, a missing right, or the producer was locked out.
    fn add_partitions(&mut self, id: &str, producer: Producer, partitions: &[(&str, i32)]) -> Result<()>;

    /// Counts the records that [`copy`](Self::copy) would copy, and writes nothing.
    ///
    /// # Errors
    /// No answer in time, or a missing right.
    fn count(&mut self, range: &SessionRange<'_>) -> Result<Counted>;

    /// Writes the batches of one producer session in a range of a partition once more, at its end, as
    /// another producer; checks their checksums; leaves out what cannot be copied.
    ///
    /// # Errors
    /// No answer in time, a missing right, or the producer was locked out.
    fn copy(&mut self, range: &CopyRange<'_>) -> Result<Copied>;
}

/// Which records a look at a log shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// All.
    Uncommitted,
    /// Those below the last stable offset, with the list of aborted transactions.
    Committed,
}

/// A producer session of a transactional id. With librdkafka's protocol it can hold many transactions
/// one after the other: a single one is named by its start time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Producer {
    /// The producer's id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
}

/// A transactional id that some broker coordinates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The id.
    pub id: String,
    /// As in [`Described`].
    pub state: String,
    /// The id of the producer that it belongs to now.
    pub producer_id: i64,
}

/// What the coordinator says of a transactional id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// `Empty`, `Ongoing`, `PrepareCommit`, `CompleteCommit`, `PrepareAbort`, `CompleteAbort`, ...
    pub state: String,
    /// The session that the id belongs to now.
    pub producer: Producer,
    /// When the transaction began, by the broker's clock in milliseconds since 1970; -1 without one.
    pub start_ms: i64,
    /// After how many milliseconds the broker aborts it.
    pub timeout_ms: i32,
    /// The partitions that its open transaction has been given: topic and number.
    pub partitions: Vec<(String, i32)>,
}

/// What a broker says at one offset of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peek {
    /// 0, or 1 (OFFSET_OUT_OF_RANGE) where the log has no such offset. Any other error is none of a look.
    pub code: i16,
    /// Behind the last record that is shown at all, as far as the leader knows; -1 with an error.
    pub high_watermark: i64,
    /// The batch that covers the offset, or the next one.
    pub batch: Option<BatchHeader>,
    /// The aborted transactions that the broker names with the batch: producer id and first offset.
    pub aborted: Vec<(i64, i64)>,
}

impl Peek {
    /// Whether the offset is in a batch of records that a producer session wrote.
    #[must_use]
    pub fn is_data_of(&self, producer: Producer, offset: i64) -> bool {
        self.batch.is_some_and(|batch| batch.is_data_of(producer, offset))
    }

    /// Whether this says nothing of what is at the offset: a new leader shows nothing from its high
    /// watermark on until its followers have fetched, though it has the records (KIP-101).
    #[must_use]
    pub fn is_too_early(&self, offset: i64) -> bool {
        self.code == 0 && self.batch.is_none() && offset >= self.high_watermark
    }
}

/// Whose batch it is and what it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// The offset of its first record.
    pub first: i64,
    /// The offset of its last record.
    pub last: i64,
    /// Whether it holds a transaction's end instead of records.
    pub control: bool,
    /// The producer's id, or -1.
    pub producer_id: i64,
    /// The producer's epoch.
    pub producer_epoch: i16,
}

impl BatchHeader {
    /// Whether these are records that a producer session wrote, and the offset is among them.
    #[must_use]
    pub fn is_data_of(&self, producer: Producer, offset: i64) -> bool {
        let same = self.producer_id == producer.id && self.producer_epoch == producer.epoch;
        same && !self.control && self.first <= offset && offset <= self.last
    }
}

/// The topic that has a name now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Another one for each topic that ever had the name.
    pub id: String,
    /// How many partitions it has.
    pub partitions: i32,
}

/// A transaction that has no end yet in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenIn {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Whose it is. A producer has one open in a partition, at the most, even if its coordinator knows of a younger one.
    pub producer_id: i64,
    /// The offset of its first record there.
    pub first: i64,
}

/// How a transaction ends in the log of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Marker {
    /// Its marker.
    Found {
        /// A commit marker; else one of an abort.
        committed: bool,
        /// The producer epoch in it: one more than the transaction's when the broker's time was up.
        epoch: i16,
    },
    /// There is none up to the log's end.
    NotYet,
    /// Later records of the same producer come first: its own marker is gone.
    Overwritten,
    /// The log could not be read there, and why.
    Unreadable(String),
}

/// What a producer session has written to a range of a partition.
#[derive(Clone, Debug)]
pub struct SessionRange<'a> {
    /// Whose batches.
    pub from: Producer,
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The first offset.
    pub first: i64,
    /// The last offset.
    pub last: i64,
}

/// What could be copied of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// How many records.
    pub records: u64,
    /// Why something would be left out, or why there is less than expected; the first reason.
    pub left_out: Option<String>,
}

/// What [`Brokers::copy`] copies.
#[derive(Clone, Debug)]
pub struct CopyRange<'a> {
    /// What is copied.
    pub of: SessionRange<'a>,
    /// The transactional id of the new transaction.
    pub id: &'a str,
    /// Who writes it; its first to this partition.
    pub to: Producer,
}

/// What was copied of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// How many records.
    pub records: u64,
    /// The offset of the first one in its new place; -1 if there is none.
    pub first: i64,
    /// The offset of the last one.
    pub last: i64,
    /// Why something was left out, or why there was less than expected; the first reason.
    pub left_out: Option<String>,
}
