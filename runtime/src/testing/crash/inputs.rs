//! What a pipeline under test is given.

use crate::api::source::Source;
use crate::flow::SourceFn;
use crate::testing::named::Named;
use crate::testing::pipeline::maker;
use crate::testing::simulation::Splits;
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The record type of a `#[source]` function's source.
type RecordOf<S> = <<S as SourceFn>::Source as Source>::Record;

/// A pipeline's configuration and all records that its sources will read.
#[must_use = "inputs do nothing by themselves; give them to `crash_test`"]
pub struct Inputs<C> {
    pub(super) config: Arc<C>,
    pub(super) sources: BTreeMap<String, Splits>,
    /// The sources as they were named, to be compared with those of the pipeline.
    pub(super) named: Vec<Named>,
}

impl<C> Inputs<C> {
    /// No records yet. A source that is given none has none.
    pub fn new(config: C) -> Self {
        Self { config: Arc::new(config), sources: BTreeMap::new(), named: Vec::new() }
    }

    /// Records of a source, as one partition: their order is kept. Each further call for the same source adds a
    /// partition.
    pub fn source<S: SourceFn>(self, records: impl IntoIterator<Item = impl Into<RecordOf<S>>>) -> Self
    where
        RecordOf<S>: Clone,
    {
        self.partition::<S>(S::ID, records.into_iter().map(|record| (Timestamp::MIN, record)))
    }

    /// As [`source`](Self::source), each record with its event time.
    pub fn source_with_times<S: SourceFn>(
        self,
        records: impl IntoIterator<Item = (Timestamp, impl Into<RecordOf<S>>)>,
    ) -> Self
    where
        RecordOf<S>: Clone,
    {
        self.partition::<S>(S::ID, records)
    }

    /// As [`source_with_times`](Self::source_with_times), for a source that was opened under another id, with `at`.
    pub fn partition<S: SourceFn>(
        mut self,
        id: &str,
        records: impl IntoIterator<Item = (Timestamp, impl Into<RecordOf<S>>)>,
    ) -> Self
    where
        RecordOf<S>: Clone,
    {
        self.named.push(Named::new::<RecordOf<S>>(id));
        let made = records.into_iter().map(|(time, record)| (maker::<RecordOf<S>>(record.into()), time));
        self.sources.entry(id.to_owned()).or_default().splits.push(made.collect());
        self
    }
}
