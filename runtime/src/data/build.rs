//! From a wired node to its copy on a worker: the typed half of the graph.
//!
//! Nodes are built from the last to the first, so that what a node writes to is there before it.

use super::event::Barrier;
use super::link::{LinkEnds, one_to_one};
use super::outputs::Wired;
use super::port::BuildPort;
use super::process::{Core, OperatorStage};
use super::push::{Discard, FailJob, Next, TeeFn};
use super::report::Reporter;
use super::sink::{ErasedSink, SinkPush};
use super::source::SourceStage;
use crate::api::key::Key;
use crate::api::needs::Opener;
use crate::api::operator::{Operator, Timers};
use crate::api::output::Failed;
use crate::api::sink::Sink;
use crate::api::source::{ReaderContext, Source, SplitPosition, Waker};
use crate::error::{Error, ErrorKind, Result};
use crate::flow::parts::Parts;
use crate::graph::logical::{Graph, PortRef};
use crate::id::groups_of_worker;
use crate::metrics::NodeMetrics;
use crate::time::Timestamp;
use std::any::Any;
use std::cell::Cell;
use std::collections::HashMap;
use std::fmt::Display;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

/// A chain's head: what a worker steps.
pub(crate) trait Stage {
    /// Does a bounded piece of work.
    fn step(&mut self, now: Timestamp) -> Result<Step>;
    /// Asks a source share to let a barrier follow what it has read.
    fn inject(&mut self, _barrier: Barrier) {}
    /// The positions that a source share reported for this epoch are committed.
    fn committed(&mut self, _epoch: crate::id::Epoch) {}
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// There may be more to do at once.
    Worked,
    /// Nothing to do before somebody wakes the worker, or this time.
    Idle { wake_at: Timestamp },
}

/// The blob of one part of an operator's state.
pub(crate) type RestoredState = Arc<Vec<u8>>;

/// What a worker restores of one operator.
#[derive(Default)]
pub(crate) struct RestoredOperator {
    /// The watermark to start with.
    pub watermark: Timestamp,
    /// The blobs that hold key groups of this worker, among others.
    pub parts: Vec<RestoredState>,
}

/// What a worker has to know to build its copy of the graph.
pub(crate) struct WorkerPlan {
    pub job: String,
    pub worker: usize,
    pub workers: usize,
    pub graph: Arc<Graph>,
    pub builds: Arc<Vec<Arc<dyn BuildNode>>>,
    pub tees: Arc<HashMap<PortRef, Arc<dyn Any + Send + Sync>>>,
    pub parts: Parts,
    /// By (node, input).
    pub links: HashMap<(usize, usize), LinkEnds>,
    /// By sink node: its writer.
    pub writers: HashMap<usize, Box<dyn Any + Send>>,
    /// By operator node.
    pub states: HashMap<usize, RestoredOperator>,
    /// By source node, of those that the checkpoint lists: the others start for the first time.
    pub positions: Arc<HashMap<usize, Vec<SplitPosition>>>,
    pub waker: Waker,
    pub aligned: bool,
    /// When the worker starts.
    pub now: Timestamp,
    pub metrics: Arc<Vec<NodeMetrics>>,
}

/// Builds one worker's copy of the graph.
pub struct WorkerBuilder<'a> {
    pub(crate) plan: &'a mut WorkerPlan,
    pub(crate) reporter: Reporter,
    /// The worker's processing time, kept up to date by the worker.
    now: Rc<Cell<Timestamp>>,
    /// Chained nodes that are built, by node: a `Box<Next<T>>`.
    chained: HashMap<usize, Box<dyn Any>>,
    /// The channels' ends, by (node, input).
    senders: HashMap<(usize, usize), Box<dyn Any + Send>>,
    receivers: HashMap<(usize, usize), Box<dyn Any + Send>>,
    pub(crate) stages: Vec<Box<dyn Stage>>,
}

pub(crate) fn erased_bug(what: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("the graph's types do not fit together ({what}): a bug in this crate"))
}

impl<'a> WorkerBuilder<'a> {
    /// Builds all nodes; returns the chains' heads, the last of the graph first.
    pub(crate) fn build(
        plan: &'a mut WorkerPlan,
        reporter: Reporter,
        now: Rc<Cell<Timestamp>>,
    ) -> Result<Vec<Box<dyn Stage>>> {
        let (mut senders, mut receivers) = (HashMap::new(), HashMap::new());
        for (input, ends) in plan.links.drain() {
            senders.insert(input, ends.senders);
            receivers.insert(input, ends.receivers);
        }
        let mut builder = Self { plan, reporter, now, chained: HashMap::new(), senders, receivers, stages: Vec::new() };
        let builds = builder.plan.builds.clone();
        for node in (0..builds.len()).rev() {
            builds[node].build(&mut builder, node)?;
        }
        Ok(builder.stages)
    }

    /// What takes the batches of an output.
    pub(crate) fn next<T: 'static>(&mut self, port: PortRef) -> Result<Next<T>> {
        let builds = self.plan.builds.clone();
        let consumers: Vec<_> = self.plan.graph.consumers(port).collect();
        let mut nexts = Vec::new();
        for (node, input) in consumers {
            let next = if self.plan.graph.is_chained(node) {
                self.chained.remove(&node).ok_or_else(|| erased_bug("not built"))?
            } else {
                let senders = self.senders.remove(&(node, input)).ok_or_else(|| erased_bug("no link"))?;
                builds[node].writer(self, node, input, senders)?
            };
            nexts.push(*next.downcast::<Next<T>>().map_err(|_| erased_bug("record type"))?);
        }
        if nexts.len() == 1 {
            return Ok(nexts.remove(0));
        }
        let tee = self.plan.tees.get(&port).cloned().ok_or_else(|| erased_bug("no copier"))?;
        let tee = tee.downcast::<TeeFn<T>>().map_err(|_| erased_bug("copier"))?;
        Ok(tee.tee(nexts))
    }

    fn chain<T: 'static>(&mut self, node: usize, next: Next<T>) {
        self.chained.insert(node, Box::new(next));
    }

    pub(crate) fn groups(&self) -> Range<u32> {
        groups_of_worker(self.plan.worker, self.plan.workers)
    }
}

/// The typed half of a node.
pub(crate) trait BuildNode: Send + Sync {
    /// The channels of an input, for all workers; only for inputs that are not chained.
    fn link(&self, _input: usize, _keyed: bool, wakers: &[Waker]) -> Vec<LinkEnds> {
        one_to_one::<()>(wakers)
    }

    /// The writing end of an input, for the node that it reads: a `Box<Next<T>>`.
    fn writer(
        &self,
        _b: &mut WorkerBuilder<'_>,
        _node: usize,
        _input: usize,
        _senders: Box<dyn Any + Send>,
    ) -> Result<Box<dyn Any>> {
        Err(erased_bug("not an operator"))
    }

    /// Makes the worker's copy.
    fn build(&self, builder: &mut WorkerBuilder<'_>, node: usize) -> Result<()>;

    /// The sink, if it is one.
    fn sink(&self) -> Option<&dyn ErasedSink> {
        None
    }
}

/// An operator with its inputs.
pub(crate) struct BuildOperator<O, K: ?Sized> {
    pub ports: Vec<Arc<dyn BuildPort<O, K>>>,
}

impl<O, K> BuildNode for BuildOperator<O, K>
where
    O: Operator<Outputs: Wired> + Timers<K>,
    K: Key + ?Sized,
{
    fn link(&self, input: usize, keyed: bool, wakers: &[Waker]) -> Vec<LinkEnds> {
        self.ports[input].link(keyed, wakers)
    }

    fn writer(
        &self,
        b: &mut WorkerBuilder<'_>,
        node: usize,
        input: usize,
        senders: Box<dyn Any + Send>,
    ) -> Result<Box<dyn Any>> {
        let keyed = b.plan.graph.nodes[node].inputs[input].key.is_some();
        self.ports[input].writer(keyed, senders)
    }

    fn build(&self, b: &mut WorkerBuilder<'_>, node: usize) -> Result<()> {
        let nexts = <O::Outputs as Wired>::nexts(b, node)?;
        let graph = b.plan.graph.clone();
        let id = graph.nodes[node].id.clone();
        let parts = &b.plan.parts;
        let mut opener = Opener {
            operator: &id,
            worker: b.plan.worker,
            config: &|wanted| parts.find_config(wanted),
            resource: &|wanted| parts.find_resource(wanted),
        };
        let env = O::open(&mut opener)?;
        let mut core = Core::<O, K>::new(node, id, b.groups(), env, nexts, b.now.clone(), b.plan.metrics.clone());
        if graph.is_chained(node) {
            let chained = self.ports[0].chain(core);
            b.chained.insert(node, chained);
            return Ok(());
        }
        let restored = b.plan.states.remove(&node).unwrap_or_default();
        core.watermark = restored.watermark;
        core.restore(restored.parts)?;
        let mut ports = Vec::new();
        for (input, port) in self.ports.iter().enumerate() {
            let receivers = b.receivers.remove(&(node, input)).ok_or_else(|| erased_bug("input without its link"))?;
            ports.push(port.open(receivers)?);
        }
        let keyed = graph.nodes[node].state.is_some();
        b.stages.push(Box::new(OperatorStage::new(core, ports, keyed, b.plan.aligned, b.reporter.clone())));
        Ok(())
    }
}

/// A source; `None` when its description failed, which the graph's errors tell.
pub(crate) struct BuildSource<S> {
    pub source: Option<Arc<S>>,
}

impl<S: Source> BuildNode for BuildSource<S> {
    fn build(&self, b: &mut WorkerBuilder<'_>, node: usize) -> Result<()> {
        let source = self.source.as_ref().ok_or_else(|| erased_bug("source without description"))?;
        let out = b.next::<S::Record>(PortRef { node, port: 0 })?;
        let id = b.plan.graph.nodes[node].id.clone();
        let restored = b.plan.positions.get(&node).map(Vec::as_slice);
        let context = ReaderContext {
            id: &id,
            job: &b.plan.job,
            worker: b.plan.worker,
            workers: b.plan.workers,
            restored,
            wants: b.plan.graph.wants(node),
            waker: b.plan.waker.clone(),
        };
        let reader = source.reader(&context).map_err(|error| error.at(format_args!("source `{id}`")))?;
        let (reporter, metrics) = (b.reporter.clone(), b.plan.metrics.clone());
        b.stages.push(Box::new(SourceStage::<S>::new(
            node,
            &id,
            reader,
            (source.event_time(), b.plan.now),
            out,
            reporter,
            metrics,
        )));
        Ok(())
    }
}

/// A sink; `None` when its description failed, which the graph's errors tell.
pub(crate) struct BuildSink<S> {
    pub sink: Option<Arc<S>>,
}

impl<S: Sink> BuildNode for BuildSink<S> {
    fn build(&self, b: &mut WorkerBuilder<'_>, node: usize) -> Result<()> {
        let writer = b.plan.writers.remove(&node).ok_or_else(|| erased_bug("sink without writer"))?;
        let writer = *writer.downcast::<S::Writer>().map_err(|_| erased_bug("writer"))?;
        let id = b.plan.graph.nodes[node].id.clone();
        let (reporter, metrics) = (b.reporter.clone(), b.plan.metrics.clone());
        let push = SinkPush { node, id, writer, reporter, metrics, left_out: 0 };
        b.chain::<S::Record>(node, Box::new(push));
        Ok(())
    }

    fn sink(&self) -> Option<&dyn ErasedSink> {
        self.sink.as_deref().map(|sink| sink as &dyn ErasedSink)
    }
}

/// The end of a stream without a sink.
pub(crate) struct BuildDrain<T> {
    make: fn(&WorkerPlan, usize) -> Next<T>,
}

impl<T: 'static> BuildDrain<T> {
    pub fn discard() -> Self {
        Self { make: |plan, node| Box::new(Discard { node, metrics: plan.metrics.clone() }) }
    }
}

impl<E: Display + 'static> BuildDrain<Failed<E>> {
    pub fn fail_job() -> Self {
        Self { make: |_, _| Box::new(FailJob) }
    }
}

impl<T: 'static> BuildNode for BuildDrain<T> {
    fn build(&self, b: &mut WorkerBuilder<'_>, node: usize) -> Result<()> {
        let next = (self.make)(b.plan, node);
        b.chain(node, next);
        Ok(())
    }
}
