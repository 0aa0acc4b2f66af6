//! A sink's writer at the end of a chain: write; at a barrier, seal. And the sink itself with its type
//! erased, as the job opens it.

use super::build::erased_bug;
use super::event::Control;
use super::push::Push;
use super::report::{Report, Reporter};
use crate::api::batch::Batch;
use crate::api::sink::{Sink, SinkContext, SinkWriter, TwoPhaseCommit, WriterContext};
use crate::api::transactions::TransactionTool;
use crate::crash::crash_point;
use crate::error::{Error, Result};
use crate::metrics::NodeMetrics;
use std::any::Any;
use std::sync::Arc;

/// The end of a chain.
pub(crate) struct SinkPush<W> {
    pub node: usize,
    pub id: String,
    pub writer: W,
    pub reporter: Reporter,
    pub metrics: Arc<Vec<NodeMetrics>>,
    /// Of the writer, as it was counted last.
    pub left_out: u64,
}

impl<W> SinkPush<W> {
    fn named(&self, error: Error) -> Error {
        error.at(format_args!("sink `{}`", self.id))
    }
}

impl<W: SinkWriter> Push<W::Record> for SinkPush<W> {
    fn ready(&mut self) -> Result<bool> {
        self.writer.ready().map_err(|error| self.named(error))
    }

    fn batch(&mut self, batch: &mut Batch<W::Record>) -> Result<()> {
        self.metrics[self.node].received(batch.len() as u64);
        self.writer.write(batch).map_err(|error| self.named(error))
    }

    fn control(&mut self, control: Control) -> Result<()> {
        if let Control::Barrier(barrier) = control {
            let share = self.writer.seal(barrier.epoch).map_err(|error| self.named(error))?;
            crash_point("sealed");
            let left_out = self.writer.left_out();
            self.metrics[self.node].left_out(left_out.saturating_sub(self.left_out));
            self.left_out = left_out;
            self.reporter.send(Report::Sealed { node: self.node, epoch: barrier.epoch, share });
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A participant with its type erased; the type comes back when a sink makes its writers.
pub(crate) trait Participant: TwoPhaseCommit + Any {
    fn as_any(&mut self) -> &mut dyn Any;
}

impl<P: TwoPhaseCommit> Participant for P {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// A sink with its type erased.
pub(crate) trait ErasedSink {
    fn open_participant(&self, context: &SinkContext<'_>) -> Result<Box<dyn Participant>>;
    fn make_writer(
        &self,
        participant: &mut dyn Participant,
        context: &WriterContext<'_>,
    ) -> Result<Box<dyn Any + Send>>;
    fn transaction_tool(&self) -> Result<Option<Box<dyn TransactionTool>>>;
}

impl<S: Sink> ErasedSink for S {
    fn open_participant(&self, context: &SinkContext<'_>) -> Result<Box<dyn Participant>> {
        Ok(Box::new(self.open(context)?))
    }

    fn make_writer(
        &self,
        participant: &mut dyn Participant,
        context: &WriterContext<'_>,
    ) -> Result<Box<dyn Any + Send>> {
        let participant = participant.as_any().downcast_mut::<S::Participant>();
        let participant =
            participant.ok_or_else(|| erased_bug("sinks of different types share a participant's name"))?;
        Ok(Box::new(self.writer(participant, context)?))
    }

    fn transaction_tool(&self) -> Result<Option<Box<dyn TransactionTool>>> {
        self.transactions()
    }
}
