//! Kafka: [`KafkaSource`] and [`KafkaSink`].
//!
//! ```text
//! source  start  place  ask where each of a worker's partitions begins and ends
//! position                  as it is kept in checkpoints; whether it is still there
//! reader  watch  wanted     they are read in batches; new ones are found
//! sink  message             what of a record goes where in a message
//! writer  lanes  routes     messages to librdkafka: which topic, what is refused; never blocks a worker
//! participant               two-phase commit; what is decided, and when, is in `crate::transaction`
//! pool  producer  tally     transactional producers, one transaction per epoch and shard, delivery reports
//! flush                     waits for those reports, and tells what holds them up
//! brokers                   the cluster, as the protocol asks it
//! checks                    what is looked at before a sink writes
//! tool                      what the commands about transactions see
//! wire                      the protocol itself, for what librdkafka cannot do
//! settings  security  reach one set of options, for librdkafka and for the wire
//! raw                       the unsafe calls into librdkafka
//! ```
//!
//! The protocol rests on KIP-98 (transactions) and KIP-664 (describing them). librdkafka has no way
//! to resume a dead process's transaction: its `init_transactions` aborts it. So a committable names
//! the transaction, and recovery ends it over the wire before any producer is created.
//!
//! # Rights
//!
//! Where brokers have an authorizer, the user of an exactly-once sink needs: Write (which includes Describe)
//! on the TransactionalIds with the prefix `<job name>/`; Write, Describe and Read on each output topic, as
//! recovery looks at what was written. DescribeConfigs on the topics and on the cluster is for the checks at
//! the start, which are left out without it. What is missing is named when the job starts; of a topic that records
//! name, it is named when the first of them comes, and [`on_refused`](KafkaSink::on_refused) says what happens to them.

mod ask;
mod brokers;
mod checks;
mod flush;
mod lanes;
mod log;
mod message;
mod notice;
mod participant;
mod place;
mod pool;
mod position;
mod producer;
mod raw;
mod reach;
mod reader;
mod routes;
mod security;
mod settings;
mod sink;
mod source;
mod start;
mod tally;
mod tool;
mod wanted;
mod watch;
#[doc(hidden)]
pub mod wire;
mod writer;

pub use message::{Headers, OnRefused};
pub use participant::KafkaParticipant;
pub use reader::KafkaReader;
pub use security::{Sasl, Security, Tls};
pub use sink::KafkaSink;
pub use source::{KafkaSource, OnLostOffsets, StartAt};
pub use writer::KafkaWriter;

pub use crate::transaction::{KafkaCommittable, PartitionRange, WriterShare};
