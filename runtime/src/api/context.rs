//! What an operator can ask for while it processes a record or a timer.

use super::metadata::{Metadata, Origin};
use super::output::Failed;
use crate::time::Timestamp;

/// Which clock a timer goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum TimeDomain {
    /// Fires when the watermark passes it.
    Event,
    /// Fires when the clock passes it.
    Processing,
}

/// A request to set or delete a timer of the current key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TimerRequest {
    Set(TimeDomain, Timestamp),
    Delete(TimeDomain, Timestamp),
}

/// The circumstances of the record or timer at hand, and what can be done for its key:
/// `#[context] cx: &mut Context<'_>`.
pub struct Context<'a> {
    pub(crate) operator: &'a str,
    pub(crate) event_time: Timestamp,
    pub(crate) watermark: Timestamp,
    pub(crate) processing_time: Timestamp,
    pub(crate) metadata: Option<&'a Metadata>,
    pub(crate) timers: &'a mut Vec<TimerRequest>,
    pub(crate) forget: bool,
}

impl Context<'_> {
    /// The record's event time, or the time a timer was set for; [`Timestamp::MIN`] if the record has none.
    #[must_use]
    #[inline]
    pub fn event_time(&self) -> Timestamp {
        self.event_time
    }

    /// The operator's current watermark: no record with this time or an earlier one is expected any more.
    #[must_use]
    #[inline]
    pub fn watermark(&self) -> Timestamp {
        self.watermark
    }

    /// The clock's time, taken once a batch.
    #[must_use]
    #[inline]
    pub fn processing_time(&self) -> Timestamp {
        self.processing_time
    }

    /// The record's metadata; empty for timers and sources that have none.
    #[must_use]
    pub fn metadata(&self) -> Option<&Metadata> {
        self.metadata
    }

    /// The record's position in its source, where known.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        self.metadata.map(|metadata| &metadata.origin)
    }

    /// An error of this operator as a record of its stream of failures, with the record's origin.
    pub fn failed<E>(&self, error: E) -> Failed<E> {
        let (operator, origin) = (self.operator.to_owned(), self.origin().cloned());
        Failed { error, operator, origin, time: self.event_time }
    }

    /// Sets an event-time timer for this key: the operator's `#[timer]` method is called once the
    /// watermark reaches `at`. Setting the same time twice sets one timer.
    #[inline]
    pub fn set_timer(&mut self, at: Timestamp) {
        self.timers.push(TimerRequest::Set(TimeDomain::Event, at));
    }

    /// Deletes an event-time timer of this key, if there is one for `at`.
    pub fn delete_timer(&mut self, at: Timestamp) {
        self.timers.push(TimerRequest::Delete(TimeDomain::Event, at));
    }

    /// Sets a processing-time timer for this key: the `#[timer(processing_time)]` method is called
    /// once the clock reaches `at`.
    pub fn set_processing_timer(&mut self, at: Timestamp) {
        self.timers.push(TimerRequest::Set(TimeDomain::Processing, at));
    }

    /// Deletes a processing-time timer of this key, if there is one for `at`.
    pub fn delete_processing_timer(&mut self, at: Timestamp) {
        self.timers.push(TimerRequest::Delete(TimeDomain::Processing, at));
    }

    /// Drops this key's state when the call returns: the next record of the key starts from the default.
    #[inline]
    pub fn forget(&mut self) {
        self.forget = true;
    }
}
