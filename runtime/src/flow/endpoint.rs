//! Wires sources and sinks: what the generated `open` and `write` call, and the ends of streams.

use super::handle::Shared;
use super::inputs::UnkeyedInput;
use super::parts::Parts;
use super::stand_in::{ShowFn, build_sink, build_source};
use super::stream::Stream;
use crate::api::needs::Needs;
use crate::api::output::Failed;
use crate::api::sink::Sink;
use crate::api::source::Source;
use crate::data::build::{BuildDrain, BuildNode, BuildSink, BuildSource};
use crate::error::Result;
use crate::graph::logical::{Input, Node, NodeKind, Port, PortRef};
use std::any::type_name;
use std::fmt::Display;
use std::sync::Arc;

/// A function that describes a source: implemented by `#[source]`.
pub trait SourceFn: 'static {
    /// The id where none is given with `at`.
    const ID: &'static str;
    /// What the function returns.
    type Source: Source;
    /// Calls the function with its parts of the configuration.
    ///
    /// # Errors
    /// A missing part, or what the function returns.
    fn describe(parts: &Parts) -> Result<Self::Source>;
}

/// A function that describes a sink: implemented by `#[sink]`.
pub trait SinkFn: 'static {
    /// The id where none is given with `at`.
    const ID: &'static str;
    /// What the function returns.
    type Sink: Sink;
    /// Calls the function with its parts of the configuration.
    ///
    /// # Errors
    /// A missing part, or what the function returns.
    fn describe(parts: &Parts) -> Result<Self::Sink>;

    /// How a record is shown to people and compared by the crash test: by its `Debug`, else its
    /// `Serialize`; `None` when it has neither.
    #[must_use]
    fn show() -> ShowFn<<Self::Sink as Sink>::Record> {
        None
    }

    /// Writes a stream to this sink, under the id.
    fn wire(id: &str, input: impl UnkeyedInput<<Self::Sink as Sink>::Record>) {
        wire_sink::<Self>(id, input.stream());
    }
}

fn node(id: &str, kind: NodeKind, describe: String) -> Node {
    let (inputs, outputs, needs) = (Vec::new(), Vec::new(), Needs::default());
    Node { id: id.to_owned(), kind, describe, inputs, outputs, needs, state: None, participant: None, endless: false }
}

fn input(from: PortRef) -> Vec<Input> {
    vec![Input { name: "records", from, key: None }]
}

pub(super) fn wire_source<S: SourceFn>(wiring: &Shared, id: &str) -> Stream<<S::Source as Source>::Record> {
    let described = S::describe(&wiring.borrow().parts);
    let record = type_name::<<S::Source as Source>::Record>();
    let mut made = node(id, NodeKind::Source, String::new());
    made.outputs.push(Port { name: "records", record });
    let mut at = wiring.borrow_mut();
    let build: Arc<dyn BuildNode> = match described {
        Ok(source) => {
            made.describe = source.describe();
            made.endless = !source.is_bounded();
            build_source(at.stand_ins.as_deref(), id, source)
        }
        Err(error) => {
            at.errors.push(error.at(format_args!("source `{id}`")));
            Arc::new(BuildSource::<S::Source> { source: None })
        }
    };
    let port = PortRef { node: at.add(made, build), port: 0 };
    drop(at);
    Stream::new(wiring.clone(), port)
}

fn wire_sink<S: SinkFn + ?Sized>(id: &str, stream: Stream<<S::Sink as Sink>::Record>) {
    let mut wiring = stream.wiring.borrow_mut();
    let described = S::describe(&wiring.parts);
    let mut made = node(id, NodeKind::Sink, String::new());
    made.inputs = input(stream.port);
    let build: Arc<dyn BuildNode> = match described {
        Ok(sink) => {
            made.describe = sink.describe();
            made.participant = Some(sink.participant(id));
            build_sink(wiring.stand_ins.as_deref(), id, sink, S::show())
        }
        Err(error) => {
            wiring.errors.push(error.at(format_args!("sink `{id}`")));
            Arc::new(BuildSink::<S::Sink> { sink: None })
        }
    };
    wiring.add(made, build);
}

fn wire_drain<T: Send + 'static>(stream: &Stream<T>, what: &str, build: Arc<dyn BuildNode>) {
    let mut wiring = stream.wiring.borrow_mut();
    let from = &wiring.graph.nodes[stream.port.node];
    let id = format!("{}.{}.{what}", from.id, from.outputs[stream.port.port].name);
    let mut made = node(&id, NodeKind::Drain, what.to_owned());
    made.inputs = input(stream.port);
    wiring.add(made, build);
}

pub(super) fn wire_discard<T: Send + 'static>(stream: Stream<T>) {
    wire_drain(&stream, "discard", Arc::new(BuildDrain::<T>::discard()));
}

pub(super) fn wire_fail_job<E: Display + Send + 'static>(stream: Stream<Failed<E>>) {
    wire_drain(&stream, "fail-job", Arc::new(BuildDrain::<Failed<E>>::fail_job()));
}
