//! A sink that calls a function for each record, at least once.

use crate::api::batch::Batch;
use crate::api::sink::{Committable, Delivery, Share, Sink, SinkContext, SinkWriter, TwoPhaseCommit, WriterContext};
use crate::control::permit::{CommitPermit, Published, Recovery};
use crate::error::Result;
use crate::id::Epoch;
use crate::time::Timestamp;
use std::marker::PhantomData;

/// A sink that calls `call` for each record with its event time, as soon as it arrives: **at least
/// once**, because records since the last checkpoint come again after a restart.
///
/// Each worker calls a clone of its own: what the closure owns is the worker's, what it shares it
/// shares through an `Arc`.
///
/// ```
/// use staunch::connectors::memory::each;
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// let total = Arc::new(AtomicU64::new(0));
/// let sum = total.clone();
/// let sink = each(move |amount: u64, _time| {
///     sum.fetch_add(amount, Ordering::Relaxed);
/// });
/// # let _: staunch::connectors::memory::FnSink<u64, _> = sink;
/// ```
pub fn each<T, F>(call: F) -> FnSink<T, F>
where
    T: Send + 'static,
    F: FnMut(T, Timestamp) + Clone + Send + Sync + 'static,
{
    FnSink { call, record: PhantomData }
}

/// See [`each`].
pub struct FnSink<T, F> {
    call: F,
    record: PhantomData<fn(T)>,
}

impl<T, F> Sink for FnSink<T, F>
where
    T: Send + 'static,
    F: FnMut(T, Timestamp) + Clone + Send + Sync + 'static,
{
    type Record = T;
    type Participant = NothingToCommit;
    type Writer = FnWriter<T, F>;

    fn describe(&self) -> String {
        "a function, at least once".to_owned()
    }

    fn delivery(&self) -> Delivery {
        Delivery::AtLeastOnce
    }

    fn open(&self, _context: &SinkContext<'_>) -> Result<NothingToCommit> {
        Ok(NothingToCommit)
    }

    fn writer(&self, _: &mut NothingToCommit, _context: &WriterContext<'_>) -> Result<FnWriter<T, F>> {
        Ok(FnWriter { call: self.call.clone(), record: PhantomData })
    }
}

/// One worker's clone of the function.
pub struct FnWriter<T, F> {
    call: F,
    record: PhantomData<fn(T)>,
}

impl<T: 'static, F: FnMut(T, Timestamp) + Send + 'static> SinkWriter for FnWriter<T, F> {
    type Record = T;

    fn write(&mut self, batch: &mut Batch<T>) -> Result<()> {
        for (record, time) in batch.drain() {
            (self.call)(record, time);
        }
        Ok(())
    }

    fn seal(&mut self, _epoch: Epoch) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }
}

/// The participant of a sink whose effects happen as records arrive.
pub struct NothingToCommit;

impl TwoPhaseCommit for NothingToCommit {
    fn recover(&mut self, _published: Vec<Published>, _recovery: &mut Recovery<'_>) -> Result<()> {
        Ok(())
    }

    fn prepare(&mut self, _epoch: Epoch, _shares: Vec<Share>) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn commit(&mut self, _committable: &Committable, _permit: &CommitPermit) -> Result<()> {
        Ok(())
    }

    fn abort(&mut self, _committable: &Committable) -> Result<()> {
        Ok(())
    }
}
