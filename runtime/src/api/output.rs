//! What operators emit, and how it is collected.

use super::batch::{BATCH_RECORDS, Batch};
use super::metadata::{Metadata, Origin};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A stream of records that leave an operator: `#[output] words: &mut Output<String>`.
#[derive(Debug)]
pub struct Output<T> {
    pub(crate) batch: Batch<T>,
    /// The time of the record being processed.
    now: Timestamp,
}

impl<T> Default for Output<T> {
    fn default() -> Self {
        Self { batch: Batch::default(), now: Timestamp::MIN }
    }
}

impl<T> Output<T> {
    /// Emits a record with the time of the record, or timer, that is being processed.
    #[inline]
    pub fn emit(&mut self, record: T) {
        self.batch.records.push(record);
    }

    /// Emits a record with an event time of its own.
    #[inline]
    pub fn emit_at(&mut self, record: T, time: Timestamp) {
        // Records emitted before by the same call get the current time first, so that the columns stay in step.
        self.batch.times.resize(self.batch.records.len(), self.now);
        self.batch.push(record, time);
    }
}

/// A record that an operator could not process, with where it came from.
///
/// The second stream of an operator that returns `Result<T, E>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failed<E> {
    /// What the operator returned.
    pub error: E,
    /// The id of the operator that failed.
    pub operator: String,
    /// The record's position in its source, where the source knows it.
    pub origin: Option<Origin>,
    /// The record's event time.
    pub time: Timestamp,
}

/// The outputs of an operator as a tuple of record types: `()`, `(A,)`, `(A, B)`, … up to four.
///
/// Implemented by this crate only.
pub trait Outputs: 'static {
    /// One [`Output`] for each type.
    type Collectors: Default + 'static;

    /// The time of the record that is processed next.
    fn begin(collectors: &mut Self::Collectors, time: Timestamp);

    /// Gives everything emitted since the last call its time (and metadata, where it is carried).
    /// Called after each record, so it must cost next to nothing.
    fn stamp(collectors: &mut Self::Collectors, time: Timestamp, metadata: Option<&Metadata>);

    /// Whether one of the outputs has a full batch.
    fn is_full(collectors: &Self::Collectors) -> bool;
}

impl<T> Output<T> {
    #[inline(always)]
    fn stamp(&mut self, time: Timestamp, metadata: Option<&Metadata>) {
        let records = self.batch.records.len();
        if self.batch.times.len() != records {
            self.batch.times.resize(records, time);
        }
        if let Some(metadata) = metadata
            && self.batch.metadata.len() != records
        {
            self.batch.metadata.resize(records, metadata.clone());
        }
    }
}

macro_rules! outputs {
    ($($T:ident $at:tt),*) => {
        impl<$($T: Send + 'static),*> Outputs for ($($T,)*) {
            type Collectors = ($(Output<$T>,)*);
            #[inline(always)]
            #[allow(unused_variables)]
            fn begin(collectors: &mut Self::Collectors, time: Timestamp) {
                $(collectors.$at.now = time;)*
            }
            #[inline(always)]
            #[allow(unused_variables)]
            fn stamp(collectors: &mut Self::Collectors, time: Timestamp, metadata: Option<&Metadata>) {
                $(collectors.$at.stamp(time, metadata);)*
            }
            #[inline(always)]
            #[allow(unused_variables)]
            fn is_full(collectors: &Self::Collectors) -> bool {
                false $(|| collectors.$at.batch.len() >= BATCH_RECORDS)*
            }
        }
    };
}
outputs!();
outputs!(A 0);
outputs!(A 0, B 1);
outputs!(A 0, B 1, C 2);
outputs!(A 0, B 1, C 2, D 3);
