//! Exactly-once over Kafka transactions: what is decided and in which order, without a client, a
//! socket, a thread, a clock or randomness.
//!
//! ```text
//! committable   what a manifest keeps of prepared transactions
//! brokers       what is asked of a cluster, time included          (a trait)
//! producers     what is asked of live transactional producers      (a trait)
//! ids           whose a transactional id is
//! rotation      when one may be used again
//! fate  ask     whether a transaction was committed: the rules, and whom to ask in which order
//! settle        commits what a manifest lists, whoever prepared it
//! markers       ends a decided transaction where Kafka forgot to
//! foresee       what recovery would do, for people
//! replay        writes an aborted transaction's records again, from the broker's log
//! participant   prepare, commit, abort, recover: all of it together
//! ```
//!
//! The Kafka connector implements the traits with librdkafka and a wire client. A simulated cluster
//! may implement them just as well: one thread is enough, and time passes where
//! [`Brokers::pause`] is called.
//!
//! # What must hold
//!
//! - A committable is bytes in a manifest, never a live handle, and only what a durable manifest lists
//!   is committed.
//! - A transactional id is used again only when a later manifest that no longer lists it is durable
//!   ([`Rotation`]), and only by the attempt whose slot it carries; recovery takes over ids of earlier
//!   attempts alone ([`Ids`]), and a listed one only when its end is decided, to write it where it is missing.
//! - A transaction has ended when it has in every partition that it wrote to, not when its coordinator says so
//!   (`markers`): before that it stays listed, and its producer begins no other one.
//! - Epochs are committed in order. A replayed transaction lies behind everything in the log, so the
//!   younger ones that are listed with it are written again behind it.
//! - `EndTxn`'s answer decides nothing: "committed before" and "lost" look alike. Only the fate decides.
//! - Absence of evidence is never taken for an abort.
//!
//! Sources: KIP-98 (transactions), KIP-664 (describing them), KIP-890 (why `EndTxn` stays at version 4
//! with producers of the former kind), KAFKA-17754 (why a producer is retired).

mod ask;
mod brokers;
mod committable;
mod fate;
mod foresee;
mod ids;
mod markers;
mod participant;
mod producers;
mod replay;
mod rotation;
mod settle;
#[cfg(test)]
mod tests;

pub use ask::ask;
pub use brokers::{
    BatchHeader, Brokers, Copied, CopyRange, Counted, Described, Isolation, Listed, Marker, OpenIn, Peek, Producer,
    SessionRange, Topic,
};
pub use committable::{KafkaCommittable, PartitionRange, WriterShare};
pub use fate::Fate;
pub use foresee::foresee;
pub use ids::Ids;
pub use participant::{Transactions, Written, margin};
pub use producers::{Answer, LiveProducer, make_ready};
pub use rotation::{Rotation, SharedRotation, Wanted};
pub use settle::reach_open;
