//! The logical graph: what was wired, before it is planned for workers.

use crate::api::needs::Needs;
use crate::api::state::Schema;

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NodeKind {
    Source,
    Operator,
    Sink,
    /// Counts and drops, or fails the job: the end of a stream that has no sink.
    Drain,
}

/// One output of a node. Nodes are numbered as they are wired, so a node's inputs come from nodes with
/// smaller numbers: a cycle cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PortRef {
    pub node: usize,
    pub port: usize,
}

/// What is known of an output.
#[derive(Clone, Debug)]
pub struct Port {
    pub name: &'static str,
    pub record: &'static str,
}

/// One input of a node, and where it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub name: &'static str,
    pub from: PortRef,
    /// The key's type where records are spread over the workers by key.
    pub key: Option<String>,
}

/// The key's type and the shape of one key's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyedState {
    pub key: String,
    pub schema: Schema,
    pub event_timers: bool,
    pub processing_timers: bool,
}

/// A node of the graph.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub id: String,
    pub kind: NodeKind,
    /// One line for people.
    pub describe: String,
    pub inputs: Vec<Input>,
    pub outputs: Vec<Port>,
    pub needs: Needs,
    /// What the node keeps per key; `None` for nodes that are not keyed.
    pub state: Option<KeyedState>,
    /// The name of the sink's participant in the two-phase commit.
    pub participant: Option<String>,
    /// A source that does not end.
    pub endless: bool,
}

/// Everything that a pipeline function wired.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graph {
    pub name: String,
    pub nodes: Vec<Node>,
}

impl Graph {
    /// The inputs that read an output.
    pub fn consumers(&self, port: PortRef) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.nodes.iter().enumerate().flat_map(move |(node, it)| {
            it.inputs.iter().enumerate().filter(move |(_, input)| input.from == port).map(move |(at, _)| (node, at))
        })
    }

    /// Whether an input is part of its producer's chain: handed over by a call, not through a channel.
    pub fn is_chained(&self, node: usize) -> bool {
        let node = &self.nodes[node];
        node.inputs.len() == 1 && node.inputs[0].key.is_none()
    }

    /// What the source at `node` has to put into batches for the operators that its records reach.
    pub fn wants(&self, node: usize) -> crate::api::source::Wants {
        let mut wants = crate::api::source::Wants::default();
        let mut reached = vec![false; self.nodes.len()];
        reached[node] = true;
        for (at, it) in self.nodes.iter().enumerate().skip(node + 1) {
            if it.inputs.iter().any(|input| reached[input.from.node]) {
                reached[at] = true;
                wants.origin |= it.needs.origin;
                wants.metadata |= it.needs.metadata;
            }
        }
        wants
    }
}
