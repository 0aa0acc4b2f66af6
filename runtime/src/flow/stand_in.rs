//! Connectors that take the place of those that a pipeline describes, so that a simulation can run the
//! pipeline as it is.
//!
//! The record types are known here and nowhere else: whoever provides the stand-ins is handed records
//! whose type is erased, and gives such back. Everything else of a source or sink is kept: its event
//! time, its participant's name, its key.

use crate::api::batch::Batch;
use crate::api::metadata::{Metadata, Origin};
use crate::api::sink::{Committable, Delivery, Share, Sink, SinkContext, SinkWriter, TwoPhaseCommit, WriterContext};
use crate::api::source::{EventTime, Polled, ReaderContext, Source, SourceReader, SplitPosition};
use crate::control::permit::{CommitPermit, Published, Recovery};
use crate::data::build::{BuildNode, BuildSink, BuildSource, erased_bug};
use crate::data::sink::Participant;
use crate::error::Result;
use crate::id::Epoch;
use crate::time::Timestamp;
use std::any::{Any, TypeId};
use std::marker::PhantomData;
use std::sync::Arc;

/// A record whose type is known elsewhere.
pub(crate) type AnyRecord = Box<dyn Any + Send>;

/// Finds the key that a sink gives a record.
pub(crate) type AnyKey = Arc<dyn Fn(&dyn Any) -> Option<Vec<u8>> + Send + Sync>;

/// How records of `T` are shown, if they can be.
pub type ShowFn<T> = Option<fn(&T) -> String>;

/// Shows a record to people.
pub(crate) type AnyShow = Arc<dyn Fn(&dyn Any) -> String + Send + Sync>;

/// Provides stand-ins while a pipeline is wired.
pub(crate) trait StandIns {
    /// For the source with this id, whose records are of this type.
    fn source(&self, id: &str, record: TypeId) -> Arc<dyn SourceStandIn>;
    fn sink(&self, sink: SinkFacts) -> Arc<dyn SinkStandIn>;
}

/// What is kept of a sink whose place is taken.
pub(crate) struct SinkFacts {
    pub id: String,
    pub participant: String,
    pub record: TypeId,
    pub delivery: Delivery,
    pub key: AnyKey,
    /// `None`: its records have no form for people.
    pub show: Option<AnyShow>,
}

pub(crate) trait SourceStandIn: Send + Sync {
    fn reader(&self, context: &ReaderContext<'_>) -> Result<Box<dyn ReaderStandIn>>;
}

/// Reads one worker's splits.
pub(crate) trait ReaderStandIn {
    /// The next records of one split, with what [`SourceReader::poll`] says of them.
    fn poll(&mut self, records: &mut Vec<(AnyRecord, Timestamp)>) -> Result<Polled>;
    fn positions(&self) -> Vec<SplitPosition>;
}

pub(crate) trait SinkStandIn: Send + Sync {
    fn open(&self, context: &SinkContext<'_>) -> Result<Box<dyn Participant>>;
    fn writer(&self, participant: &mut dyn Any, context: &WriterContext<'_>) -> Result<Box<dyn WriterStandIn>>;
}

/// Writes one worker's records.
pub(crate) trait WriterStandIn: Send {
    fn ready(&mut self) -> Result<bool>;
    fn write(&mut self, records: &mut dyn Iterator<Item = (AnyRecord, Timestamp)>) -> Result<()>;
    fn seal(&mut self, epoch: Epoch) -> Result<Vec<u8>>;
}

/// In the place of a source of `T`.
pub(super) struct StandInSource<T> {
    pub describe: String,
    pub event_time: Option<EventTime<T>>,
    pub stand_in: Arc<dyn SourceStandIn>,
}

impl<T: Send + 'static> Source for StandInSource<T> {
    type Record = T;
    type Reader = StandInReader<T>;

    fn describe(&self) -> String {
        self.describe.clone()
    }

    fn event_time(&self) -> Option<EventTime<T>> {
        self.event_time.clone()
    }

    fn reader(&self, context: &ReaderContext<'_>) -> Result<StandInReader<T>> {
        let origin = (context.wants.origin || context.wants.metadata).then(|| Arc::from(context.id));
        let (reader, records) = (self.stand_in.reader(context)?, Vec::new());
        Ok(StandInReader { reader, records, origin, record: PhantomData })
    }
}

pub(super) struct StandInReader<T> {
    reader: Box<dyn ReaderStandIn>,
    records: Vec<(AnyRecord, Timestamp)>,
    /// The source's id, where origins are asked for.
    origin: Option<Arc<str>>,
    record: PhantomData<fn() -> T>,
}

impl<T> StandInReader<T> {
    /// Where the first of the records is from that were just read; `None` where nobody asks.
    fn first(&self, polled: Polled) -> Option<Origin> {
        let (source, Polled::Records { split }) = (self.origin.clone()?, polled) else { return None };
        // The split's own name, which is the same whoever reads it: its place among a reader's is not.
        let at = self.reader.positions().into_iter().nth(split)?;
        let offset = at.position.as_i64().unwrap_or(0).saturating_sub_unsigned(self.records.len() as u64);
        Some(Origin { source, partition: at.split.parse().unwrap_or(i32::MAX), offset })
    }
}

impl<T: 'static> SourceReader for StandInReader<T> {
    type Record = T;

    fn poll(&mut self, batch: &mut Batch<T>) -> Result<Polled> {
        let polled = self.reader.poll(&mut self.records)?;
        let first = self.first(polled);
        for (offset, (record, time)) in (0..).zip(self.records.drain(..)) {
            let record = record.downcast::<T>().map_err(|_| erased_bug("record of a stand-in"))?;
            match &first {
                Some(first) => {
                    let origin = Origin { offset: first.offset.saturating_add(offset), ..first.clone() };
                    batch.push_with_metadata(*record, time, Metadata { origin, ..Metadata::default() });
                }
                None => batch.push(*record, time),
            }
        }
        Ok(polled)
    }

    fn positions(&self) -> Vec<SplitPosition> {
        self.reader.positions()
    }
}

/// In the place of a sink of `T`.
pub(super) struct StandInSink<T> {
    pub describe: String,
    pub participant: String,
    pub stand_in: Arc<dyn SinkStandIn>,
    pub record: PhantomData<fn(T)>,
}

impl<T: Send + 'static> Sink for StandInSink<T> {
    type Record = T;
    type Participant = StandInParticipant;
    type Writer = StandInWriter<T>;

    fn describe(&self) -> String {
        self.describe.clone()
    }

    fn participant(&self, _id: &str) -> String {
        self.participant.clone()
    }

    fn open(&self, context: &SinkContext<'_>) -> Result<StandInParticipant> {
        Ok(StandInParticipant(self.stand_in.open(context)?))
    }

    fn writer(&self, participant: &mut StandInParticipant, context: &WriterContext<'_>) -> Result<StandInWriter<T>> {
        let writer = self.stand_in.writer(participant.0.as_any(), context)?;
        Ok(StandInWriter { writer, record: PhantomData })
    }
}

pub(super) struct StandInWriter<T> {
    writer: Box<dyn WriterStandIn>,
    record: PhantomData<fn(T)>,
}

impl<T: Send + 'static> SinkWriter for StandInWriter<T> {
    type Record = T;

    fn ready(&mut self) -> Result<bool> {
        self.writer.ready()
    }

    fn write(&mut self, batch: &mut Batch<T>) -> Result<()> {
        self.writer.write(&mut batch.drain().map(|(record, time)| (Box::new(record) as AnyRecord, time)))
    }

    fn seal(&mut self, epoch: Epoch) -> Result<Vec<u8>> {
        self.writer.seal(epoch)
    }
}

/// A participant of any stand-in: sinks of different records can share one.
pub(super) struct StandInParticipant(Box<dyn Participant>);

impl TwoPhaseCommit for StandInParticipant {
    fn recover(&mut self, published: Vec<Published>, recovery: &mut Recovery<'_>) -> Result<()> {
        self.0.recover(published, recovery)
    }

    fn prepare(&mut self, epoch: Epoch, shares: Vec<Share>) -> Result<Option<Vec<u8>>> {
        self.0.prepare(epoch, shares)
    }

    fn commit(&mut self, committable: &Committable, permit: &CommitPermit) -> Result<()> {
        self.0.commit(committable, permit)
    }

    fn abort(&mut self, committable: &Committable) -> Result<()> {
        self.0.abort(committable)
    }
}

/// The source as described, or its stand-in.
pub(super) fn build_source<S: Source>(stand_ins: Option<&dyn StandIns>, id: &str, source: S) -> Arc<dyn BuildNode> {
    let Some(stand_ins) = stand_ins else { return Arc::new(BuildSource { source: Some(Arc::new(source)) }) };
    let (describe, event_time) = (source.describe(), source.event_time());
    let stand_in = stand_ins.source(id, TypeId::of::<S::Record>());
    let source = StandInSource::<S::Record> { describe, event_time, stand_in };
    Arc::new(BuildSource { source: Some(Arc::new(source)) })
}

/// The sink as described, or its stand-in.
pub(super) fn build_sink<S: Sink>(
    stand_ins: Option<&dyn StandIns>,
    id: &str,
    sink: S,
    show: ShowFn<S::Record>,
) -> Arc<dyn BuildNode> {
    let Some(stand_ins) = stand_ins else { return Arc::new(BuildSink { sink: Some(Arc::new(sink)) }) };
    let (describe, participant, delivery) = (sink.describe(), sink.participant(id), sink.delivery());
    let show =
        show.map(|show| -> AnyShow { Arc::new(move |record| record.downcast_ref().map_or_else(String::new, show)) });
    let key: AnyKey = Arc::new(move |record| record.downcast_ref().and_then(|record| sink.key_of(record)));
    let record = TypeId::of::<S::Record>();
    let facts = SinkFacts { id: id.to_owned(), participant: participant.clone(), record, delivery, key, show };
    let stand_in = stand_ins.sink(facts);
    let sink = StandInSink::<S::Record> { describe, participant, stand_in, record: PhantomData };
    Arc::new(BuildSink { sink: Some(Arc::new(sink)) })
}
