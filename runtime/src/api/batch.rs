//! A batch: records as columns, moved and recycled as one.

use super::metadata::Metadata;
use crate::time::Timestamp;

/// How many records the runtime puts in a batch, where there are enough.
pub const BATCH_RECORDS: usize = 1_024;

/// Records with their times, as columns of equal length. A batch never spans a barrier.
///
/// Sources fill batches, sinks drain them; the runtime recycles their memory.
#[derive(Clone, Debug)]
pub struct Batch<T> {
    pub(crate) records: Vec<T>,
    pub(crate) times: Vec<Timestamp>,
    /// The key's frozen hash, once the stream is keyed; else empty.
    pub(crate) hashes: Vec<u64>,
    /// Empty unless an operator further down asks for it.
    pub(crate) metadata: Vec<Metadata>,
}

impl<T> Default for Batch<T> {
    fn default() -> Self {
        Self { records: Vec::new(), times: Vec::new(), hashes: Vec::new(), metadata: Vec::new() }
    }
}

impl<T> Batch<T> {
    /// Adds a record; [`Timestamp::MIN`] is the time of a record that has none.
    #[inline]
    pub fn push(&mut self, record: T, time: Timestamp) {
        self.records.push(record);
        self.times.push(time);
    }

    /// Adds a record with its metadata, which is only legal where the source was
    /// [asked for it](super::source::ReaderContext::wants), and then for every record.
    #[inline]
    pub fn push_with_metadata(&mut self, record: T, time: Timestamp, metadata: Metadata) {
        self.push(record, time);
        self.metadata.push(metadata);
    }

    /// The number of records.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no record.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The records, in order.
    #[must_use]
    #[inline]
    pub fn records(&self) -> &[T] {
        &self.records
    }

    /// The times, as many as records.
    #[must_use]
    #[inline]
    pub fn times(&self) -> &[Timestamp] {
        &self.times
    }

    /// Removes all records, keeping the memory.
    pub fn clear(&mut self) {
        self.records.clear();
        self.times.clear();
        self.hashes.clear();
        self.metadata.clear();
    }

    /// Takes out all records with their times, keeping the memory.
    pub fn drain(&mut self) -> impl Iterator<Item = (T, Timestamp)> + '_ {
        self.hashes.clear();
        self.metadata.clear();
        self.records.drain(..).zip(self.times.drain(..))
    }
}
