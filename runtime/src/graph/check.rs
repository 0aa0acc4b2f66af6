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
pub(super) enum Problem {
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

/// Whether there is something of a type.
type Has<'a> = &'a dyn Fn(TypeId) -> bool;

/// Checks a graph: what went wrong while it was wired, then what is wrong with the whole. The closures
/// say which parts of the configuration, and which resources, the pipeline provides.
///
/// # Errors
/// [`ErrorKind::Graph`] with everything that is wrong.
pub(crate) fn check(
    graph: &Graph,
    wiring: Vec<Error>,
    has_config: impl Fn(TypeId) -> bool,
    has_resource: impl Fn(TypeId) -> bool,
) -> Result<()> {
    to_error(graph, wiring, &problems(graph, &has_config, &has_resource)).map_or(Ok(()), Err)
}

/// All problems of a graph.
pub(super) fn problems(graph: &Graph, has_config: Has<'_>, has_resource: Has<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    ids(graph, &mut problems);
    ends(graph, &mut problems);
    for (at, node) in graph.nodes.iter().enumerate() {
        dangling(graph, at, node, &mut problems);
        needs(node, has_config, has_resource, &mut problems);
    }
    problems
}

/// One error of everything.
fn to_error(graph: &Graph, mut wiring: Vec<Error>, problems: &[Problem]) -> Option<Error> {
    if wiring.len() == 1 && problems.is_empty() {
        // A wrong setting in a description stays what it is.
        return wiring.pop().map(|error| error.at(format_args!("pipeline `{}`", graph.name)));
    }
    let told: Vec<String> =
        wiring.iter().map(Error::to_string).chain(problems.iter().map(Problem::to_string)).collect();
    let name = &graph.name;
    let message = match told.len() {
        0 => return None,
        1 => format!("pipeline `{name}`: {}", told.concat()),
        count => format!("pipeline `{name}` has {count} errors:\n  - {}", told.join("\n  - ")),
    };
    Some(Error::new(ErrorKind::Graph, message))
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

fn needs(node: &Node, has_config: Has<'_>, has_resource: Has<'_>, problems: &mut Vec<Problem>) {
    let missing = |wanted: &[Wanted], has: Has<'_>| {
        let names = wanted.iter().filter(|wanted| !has(wanted.id)).map(|wanted| wanted.name);
        names.collect::<Vec<_>>()
    };
    for wanted in missing(&node.needs.configs, has_config) {
        problems.push(Problem::MissingConfig { node: node.id.clone(), wanted });
    }
    for wanted in missing(&node.needs.resources, has_resource) {
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
