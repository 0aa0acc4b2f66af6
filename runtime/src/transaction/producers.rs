//! [`LiveProducer`]: what the protocol asks of a transactional producer of this process.

use super::Wanted;
use crate::crash::crash_point;
use crate::error::Result;
use std::time::Duration;

/// A live transactional producer, or a handle of one. Calls may block; they come one at a time.
pub trait LiveProducer {
    /// Its transactional id.
    fn id(&self) -> &str;

    /// Takes the id over, which aborts what it had open (InitProducerId).
    ///
    /// # Errors
    /// The producer is not used.
    fn initialise(&self) -> Result<()>;

    /// Opens the next transaction.
    ///
    /// # Errors
    /// The producer is not used any more.
    fn begin(&self) -> Result<()>;

    /// Commits the open transaction.
    fn commit(&self) -> Answer;

    /// Aborts the open transaction.
    ///
    /// # Errors
    /// The producer is not used any more; the transaction is aborted by the next attempt, or by the
    /// broker when its time is up.
    fn abort(&self) -> Result<()>;

    /// How long the transaction has been open, at the most.
    fn age(&self) -> Duration;
}

/// What a live commit came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Committed, at the first request. The producer can be used again.
    Clean,
    /// Everything else, and what. The transaction may be committed or not. A request may still be on its way,
    /// and would end whatever transaction the session has open when it arrives (KAFKA-17754): the
    /// producer must not be used again.
    Unclean(String),
}

/// Makes a producer ready for the next epoch: one that was used before, or a new one, which `open`
/// creates for the number of an id.
///
/// # Errors
/// What the producer says.
pub fn make_ready<P: LiveProducer>(wanted: Wanted<P>, open: impl FnOnce(u64) -> Result<P>) -> Result<P> {
    let producer = match wanted {
        Wanted::Again(producer) => producer,
        Wanted::New(number) => {
            let producer = open(number)?;
            crash_point("kafka-before-init");
            producer.initialise()?;
            crash_point("kafka-initialised");
            producer
        }
    };
    crash_point("kafka-before-begin");
    producer.begin()?;
    crash_point("kafka-begun");
    Ok(producer)
}
