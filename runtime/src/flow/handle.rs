//! The flow: the handle that a pipeline function is given.

use super::endpoint::{SourceFn, wire_source};
use super::parts::Parts;
use super::stand_in::StandIns;
use super::stream::Stream;
use crate::api::source::Source;
use crate::data::build::BuildNode;
use crate::error::{Error, Result};
use crate::graph::logical::{Graph, Node, PortRef};
use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// A pipeline: implemented by `#[pipeline]`.
pub trait Pipeline: 'static {
    /// The job's name where none is configured.
    const NAME: &'static str;
    /// The configuration that [`Flow::config`] returns.
    type Config: Send + Sync + 'static;

    /// Wires the graph.
    fn build(flow: &Flow<Self::Config>);
}

/// The configuration type of a flow, for generated code.
#[diagnostic::on_unimplemented(message = "a pipeline takes `flow: &Flow<Config>`", label = "not a `Flow`")]
pub trait FlowType {
    /// The configuration.
    type Config: Send + Sync + 'static;
}

impl<C: Send + Sync + 'static> FlowType for Flow<C> {
    type Config = C;
}

/// What has been wired so far: the graph, and the typed half of each of its nodes.
#[derive(Default)]
pub struct Wiring {
    pub(crate) graph: Graph,
    /// By node number.
    pub(crate) builds: Vec<Arc<dyn BuildNode>>,
    /// Copies the batches of an output that has several readers: a `TeeFn<T>`, by output.
    pub(crate) tees: HashMap<PortRef, Arc<dyn Any + Send + Sync>>,
    pub(crate) parts: Parts,
    /// What takes the place of the connectors, in a simulation.
    pub(crate) stand_ins: Option<Rc<dyn StandIns>>,
    /// What went wrong while wiring; reported together with what the checks find.
    pub(crate) errors: Vec<Error>,
}

pub type Shared = Rc<RefCell<Wiring>>;

impl Wiring {
    pub(crate) fn add(&mut self, node: Node, build: Arc<dyn BuildNode>) -> usize {
        self.graph.nodes.push(node);
        self.builds.push(build);
        self.graph.nodes.len() - 1
    }
}

/// What a pipeline function wires its streams on.
pub struct Flow<C> {
    pub(crate) wiring: Shared,
    config: Arc<C>,
}

impl<C: Send + Sync + 'static> Flow<C> {
    pub(crate) fn new(name: &str, config: Arc<C>, stand_ins: Option<Rc<dyn StandIns>>) -> Self {
        let mut wiring =
            Wiring { stand_ins, graph: Graph { name: name.to_owned(), nodes: Vec::new() }, ..Wiring::default() };
        wiring.parts.provide(config.clone());
        Self { wiring: Rc::new(RefCell::new(wiring)), config }
    }

    /// The configuration that the job was started with.
    #[must_use]
    pub fn config(&self) -> &C {
        &self.config
    }

    /// Makes a part of the configuration available to sources, sinks and `#[config]` parameters of its type.
    pub fn provide<P: Send + Sync + 'static>(&self, part: impl FnOnce(&C) -> P) {
        self.wiring.borrow_mut().parts.provide(Arc::new(part(&self.config)));
    }

    /// Says how to make the resource that `#[resource]` parameters of its type receive: something that is
    /// made once for each operator and worker and is not state, such as a client or a compiled pattern.
    /// `make` gets the configuration and the worker's number.
    pub fn resource<R: 'static>(&self, make: impl Fn(&C, usize) -> Result<R> + Send + Sync + 'static) {
        let config = self.config.clone();
        let make = move |worker: usize| make(&config, worker).map(|made| Box::new(made) as Box<dyn Any>);
        self.wiring.borrow_mut().parts.provide_resource(TypeId::of::<R>(), Arc::new(make));
    }

    /// Opens a source that a `#[source]` function describes: what `lines::open(flow)` calls.
    pub fn source<S: SourceFn>(&self, id: &str) -> Stream<<S::Source as Source>::Record> {
        wire_source::<S>(&self.wiring, id)
    }
}
