//! The two ends of a pipeline under test: what it reads, and what it has written.

use crate::testing::named::Named;
use crate::testing::simulation::{MakeRecord, Simulation};
use crate::time::Timestamp;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

/// A source of a pipeline under test.
pub struct PipelineSource<'a, T> {
    simulation: &'a Simulation,
    id: String,
    record: PhantomData<fn(T)>,
}

/// Makes clones of a record. Records can be sent to other threads, not necessarily shared by them.
pub(in crate::testing) fn maker<T: Clone + Send + 'static>(record: T) -> MakeRecord {
    let record = Mutex::new(record);
    Arc::new(move || Box::new(record.lock().unwrap_or_else(PoisonError::into_inner).clone()))
}

impl<'a, T: Send + 'static> PipelineSource<'a, T> {
    #[track_caller]
    pub(super) fn new(simulation: &'a Simulation, id: &str) -> Self {
        if let Err(wrong) = Named::new::<T>(id).check("source", &simulation.known_sources()) {
            panic!("{wrong}");
        }
        Self { simulation, id: id.to_owned(), record: PhantomData }
    }

    /// Appends a record to the source's first partition. Its event time is what the source takes from it, if it
    /// does.
    pub fn push(&mut self, record: impl Into<T>) -> &mut Self
    where
        T: Clone,
    {
        self.push_to(0, Timestamp::MIN, record)
    }

    /// Appends a record with an event time.
    pub fn push_at(&mut self, time: Timestamp, record: impl Into<T>) -> &mut Self
    where
        T: Clone,
    {
        self.push_to(0, time, record)
    }

    /// Appends a record to one of the source's partitions, from 0. Partition `n` is read by worker `n` modulo the
    /// number of workers.
    pub fn push_to(&mut self, partition: usize, time: Timestamp, record: impl Into<T>) -> &mut Self
    where
        T: Clone,
    {
        self.simulation.push(&self.id, partition, maker::<T>(record.into()), time);
        self
    }

    /// Ends this source: what was pushed is all there is.
    pub fn end(&mut self) -> &mut Self {
        self.simulation.end_source(&self.id);
        self
    }
}

/// A sink of a pipeline under test.
pub struct PipelineSink<'a, T> {
    simulation: &'a Simulation,
    id: String,
    record: PhantomData<fn() -> T>,
}

impl<'a, T: 'static> PipelineSink<'a, T> {
    #[track_caller]
    pub(super) fn new(simulation: &'a Simulation, id: &str) -> Self {
        if let Err(wrong) = Named::new::<T>(id).check("sink", &simulation.known_sinks()) {
            panic!("{wrong}");
        }
        Self { simulation, id: id.to_owned(), record: PhantomData }
    }
}

impl<T: Clone + 'static> PipelineSink<'_, T> {
    /// What readers of committed data see: of sinks with Kafka transactions in the order of the log, of others in
    /// that of commits, within one by worker, within that as written.
    #[must_use]
    pub fn committed(&self) -> Vec<T> {
        self.committed_with_times().into_iter().map(|(record, _)| record).collect()
    }

    /// As [`committed`](Self::committed), with event times.
    #[must_use]
    pub fn committed_with_times(&self) -> Vec<(T, Timestamp)> {
        self.simulation.world.with(|state| cloned(state.committed(&self.id)))
    }

    /// What is written or prepared, and neither committed nor aborted.
    #[must_use]
    pub fn uncommitted(&self) -> Vec<T> {
        let records = self.simulation.world.with(|state| cloned(state.uncommitted(&self.id)));
        records.into_iter().map(|(record, _)| record).collect()
    }
}

fn cloned<'a, T: Clone + 'static>(
    records: impl Iterator<Item = &'a (crate::flow::stand_in::AnyRecord, Timestamp)>,
) -> Vec<(T, Timestamp)> {
    records.filter_map(|(record, time)| record.downcast_ref::<T>().map(|record| (record.clone(), *time))).collect()
}
