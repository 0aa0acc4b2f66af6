//! Kafka: [`KafkaSource`] and [`KafkaSink`].
//!
//! ```text
//! source  reader  start     a worker's partitions, read in batches; where each one begins and ends
//! sink    writer            records to bytes to librdkafka; never blocks a worker
//! participant               two-phase commit; what is decided, and when, is in `crate::transaction`
//! pool  producer  tally     transactional producers, one transaction per epoch and shard, delivery reports
//! brokers                   the cluster, as the protocol asks it
//! checks                    what is looked at before a sink writes
//! wire                      the protocol itself, for what librdkafka cannot do
//! settings  security        one set of options, for librdkafka and for the wire
//! raw                       the unsafe calls into librdkafka
//! ```
//!
//! The protocol rests on KIP-98 (transactions) and KIP-664 (describing them). librdkafka has no way
//! to resume a dead process's transaction: its `init_transactions` aborts it. So a committable names
//! the transaction, and recovery ends it over the wire before any producer is created.

#![allow(clippy::disallowed_methods, reason = "I/O at the edge: deadlines of real brokers, threads of real clients")]

mod brokers;
mod checks;
mod log;
mod notice;
mod participant;
mod pool;
mod position;
mod producer;
mod raw;
mod reader;
mod security;
mod settings;
mod sink;
mod source;
mod start;
mod tally;
#[doc(hidden)]
pub mod wire;
mod writer;

pub use participant::KafkaParticipant;
pub use reader::KafkaReader;
pub use security::{Sasl, Security, Tls};
pub use sink::KafkaSink;
pub use source::{KafkaSource, StartAt};
pub use writer::KafkaWriter;

pub use crate::transaction::{KafkaCommittable, PartitionRange, WriterShare};
