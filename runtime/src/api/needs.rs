//! What an operator asks for beside records: parts of the configuration, resources, metadata.
//!
//! Asked for when the graph is built, so that what is missing is refused before anything connects;
//! handed out when a worker opens the operator.

use crate::error::{Error, ErrorKind, Result};
use std::any::{Any, TypeId, type_name};
use std::sync::Arc;

/// A type that an operator wants, by its identity and its name for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub(crate) id: TypeId,
    pub(crate) name: &'static str,
}

/// The list of what an operator wants.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    pub(crate) configs: Vec<Wanted>,
    pub(crate) resources: Vec<Wanted>,
    pub(crate) origin: bool,
    pub(crate) metadata: bool,
}

impl Needs {
    /// `#[config] limits: &Limits` wants `Limits`.
    pub fn config<C: 'static>(&mut self) {
        self.configs.push(Wanted { id: TypeId::of::<C>(), name: type_name::<C>() });
    }

    /// `#[resource] client: &mut Client` wants `Client`.
    pub fn resource<R: 'static>(&mut self) {
        self.resources.push(Wanted { id: TypeId::of::<R>(), name: type_name::<R>() });
    }

    /// A fallible operator wants each record's [`Origin`](super::metadata::Origin).
    pub fn origin(&mut self) {
        self.origin = true;
    }

    /// `#[metadata]` wants each record's [`Metadata`](super::metadata::Metadata), origin included.
    pub fn metadata(&mut self) {
        self.origin = true;
        self.metadata = true;
    }
}

/// Makes one resource for one worker.
pub(crate) type MakeResource = Arc<dyn Fn(usize) -> Result<Box<dyn Any>> + Send + Sync>;

/// Hands an operator what it asked for, on the worker that opens it.
pub struct Opener<'a> {
    pub(crate) operator: &'a str,
    pub(crate) worker: usize,
    pub(crate) config: &'a dyn Fn(TypeId) -> Option<Arc<dyn Any + Send + Sync>>,
    pub(crate) resource: &'a dyn Fn(TypeId) -> Option<MakeResource>,
}

impl Opener<'_> {
    /// The id under which the operator stands in the graph.
    #[must_use]
    pub fn operator(&self) -> &str {
        self.operator
    }

    /// The part of the configuration of this type.
    ///
    /// # Errors
    /// [`ErrorKind::Graph`] when the pipeline provides none.
    pub fn config<C: Send + Sync + 'static>(&mut self) -> Result<Arc<C>> {
        (self.config)(TypeId::of::<C>()).and_then(|part| part.downcast().ok()).ok_or_else(|| {
            let (operator, name) = (self.operator, type_name::<C>());
            Error::new(ErrorKind::Graph, format!("operator `{operator}` wants the configuration `{name}`, which nobody provides; add `flow.provide(|config| config.….clone())` to the pipeline, or `.provide(…)` to the harness"))
        })
    }

    /// This worker's resource of this type.
    ///
    /// # Errors
    /// [`ErrorKind::Graph`] when the pipeline makes none; whatever making it returns.
    pub fn resource<R: 'static>(&mut self) -> Result<R> {
        let name = type_name::<R>();
        let operator = self.operator;
        let make = (self.resource)(TypeId::of::<R>()).ok_or_else(|| {
            Error::new(ErrorKind::Graph, format!("operator `{operator}` wants the resource `{name}`, which nobody makes; add `flow.resource(|config, worker| Ok(…))` to the pipeline, or `.resource(…)` to the harness"))
        })?;
        let made =
            make(self.worker).map_err(|error| error.at(format_args!("resource `{name}` of operator `{operator}`")))?;
        made.downcast()
            .map(|made| *made)
            .map_err(|_| Error::new(ErrorKind::Internal, format!("resource `{name}` has another type")))
    }
}
