//! What must hold of a graph that types cannot say. Every problem is told, each with what to write.
//!
//! Pure. Runs before anything connects. It must not know what sources, operators and sinks do.

use super::logical::{Graph, Node, NodeKind, PortRef};
use super::names::short;
use crate::api::needs::Wanted;
use crate::error::{Error, ErrorKind, Result};
use std::any::TypeId;
use std::collections::BTreeMap;
use std::fmt;

/// Ids name metrics, files and transactions; longer ones are cut off where they are shown.
const ID_BYTES_MAX: usize = 100;

/// Something about a graph that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// Several nodes have one id.
    DuplicateId { id: String, kinds: Vec<NodeKind> },
    /// An id has characters that cannot be part of file names and transactional ids.
    IllegalId { id: String },
    /// Nothing reads an output.
    Dangling { node: String, output: &'static str, outputs: usize, record: String },
    /// Nothing comes in.
    NoSource,
    /// Nothing leaves.
    NoSink,
    /// An operator wants a part of the configuration that is not provided.
    MissingConfig { node: String, wanted: &'static str },
    /// An operator wants a resource that is not made.
    MissingResource { node: String, wanted: &'static str },
}

/// What a pipeline provides to its operators.
pub(crate) struct Provided<'a> {
    /// Whether there is a configuration, or a part of it, of a type.
    pub has_config: &'a dyn Fn(TypeId) -> bool,
    /// Whether there is a recipe for a resource of a type.
    pub has_resource: &'a dyn Fn(TypeId) -> bool,
}

/// Checks a graph.
///
/// # Errors
/// All problems, in the order of the graph.
pub(crate) fn check(graph: &Graph, provided: &Provided<'_>) -> Result<(), Vec<Problem>> {
    let mut problems = Vec::new();
    ids(graph, &mut problems);
    ends(graph, &mut problems);
    for (at, node) in graph.nodes.iter().enumerate() {
        dangling(graph, at, node, &mut problems);
        needs(node, provided, &mut problems);
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// One error of everything that is wrong with a graph: what went wrong while it was wired, then what
/// the checks found. `None` when nothing is.
pub(crate) fn to_error(graph: &Graph, wiring: &[Error], problems: &[Problem]) -> Option<Error> {
    let mut told: Vec<String> = wiring.iter().map(Error::to_string).collect();
    told.extend(problems.iter().map(Problem::to_string));
    // A wrong setting in a description stays what it is when nothing else is wrong.
    let kind = match wiring {
        [only] if problems.is_empty() => only.kind(),
        _ => ErrorKind::Graph,
    };
    let name = &graph.name;
    match told.len() {
        0 => None,
        1 => Some(Error::new(kind, format!("pipeline `{name}`: {}", told.concat()))),
        count => Some(Error::new(kind, format!("pipeline `{name}` has {count} errors:\n  - {}", told.join("\n  - ")))),
    }
}

fn ids(graph: &Graph, problems: &mut Vec<Problem>) {
    let mut seen: BTreeMap<&str, Vec<NodeKind>> = BTreeMap::new();
    // Drains are named after what they end and are not looked up by their ids.
    for node in graph.nodes.iter().filter(|node| node.kind != NodeKind::Drain) {
        let kinds = seen.entry(&node.id).or_default();
        if kinds.is_empty() && !is_legal(&node.id) {
            problems.push(Problem::IllegalId { id: node.id.clone() });
        }
        kinds.push(node.kind);
    }
    for (id, kinds) in seen.into_iter().filter(|(_, kinds)| kinds.len() > 1) {
        problems.push(Problem::DuplicateId { id: id.to_owned(), kinds });
    }
}

fn is_legal(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    !id.is_empty() && id.len() <= ID_BYTES_MAX && !id.starts_with('.') && id.bytes().all(plain)
}

fn ends(graph: &Graph, problems: &mut Vec<Problem>) {
    let has = |kind: NodeKind| graph.nodes.iter().any(|node| node.kind == kind);
    if !has(NodeKind::Source) {
        problems.push(Problem::NoSource);
    }
    if !has(NodeKind::Sink) {
        problems.push(Problem::NoSink);
    }
}

fn dangling(graph: &Graph, at: usize, node: &Node, problems: &mut Vec<Problem>) {
    for (port, output) in node.outputs.iter().enumerate() {
        if graph.consumers(PortRef { node: at, port }).next().is_none() {
            problems.push(Problem::Dangling {
                node: node.id.clone(),
                output: output.name,
                outputs: node.outputs.len(),
                record: short(output.record),
            });
        }
    }
}

fn needs(node: &Node, provided: &Provided<'_>, problems: &mut Vec<Problem>) {
    let missing = |wanted: &[Wanted], has: &dyn Fn(TypeId) -> bool| {
        let names = wanted.iter().filter(|wanted| !has(wanted.id)).map(|wanted| wanted.name);
        names.collect::<Vec<_>>()
    };
    for wanted in missing(&node.needs.configs, provided.has_config) {
        problems.push(Problem::MissingConfig { node: node.id.clone(), wanted });
    }
    for wanted in missing(&node.needs.resources, provided.has_resource) {
        problems.push(Problem::MissingResource { node: node.id.clone(), wanted });
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateId { id, kinds } => {
                let kinds: Vec<String> = kinds.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "{} nodes have the id `{id}` ({}); give all but one a name where they are used: `{id}::at(\"{id}_2\")`",
                    kinds.len(),
                    kinds.join(", ")
                )
            }
            Self::IllegalId { id } => write!(
                f,
                "the id `{id}` cannot name files and transactions; give `at` a name of 1 to {ID_BYTES_MAX} of the characters \
                 a-z, A-Z, 0-9, `_`, `-` and `.`, not starting with `.`"
            ),
            Self::Dangling { node, output, outputs, record } => {
                write!(f, "nothing reads ")?;
                match outputs {
                    1 => write!(f, "the output of `{node}`")?,
                    _ => write!(f, "the output `{output}` of `{node}`")?,
                }
                write!(f, " (a stream of `{record}`); write it to a sink, or end it with `.discard()`")
            }
            Self::NoSource => f.write_str("nothing comes in; open a source: `lines::open(flow)`"),
            Self::NoSink => f.write_str("nothing leaves; write a stream to a sink: `totals::write(stream)`"),
            Self::MissingConfig { node, wanted } => write!(
                f,
                "operator `{node}` wants the configuration `{wanted}`, which the pipeline does not provide; add \
                 `flow.provide(|config| config.….clone())`"
            ),
            Self::MissingResource { node, wanted } => write!(
                f,
                "operator `{node}` wants the resource `{wanted}`, which the pipeline does not make; add \
                 `flow.resource(|config, worker| Ok(…))`"
            ),
        }
    }
}

impl fmt::Display for NodeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Operator => "operator",
            Self::Sink => "sink",
            Self::Drain => "end",
        })
    }
}
