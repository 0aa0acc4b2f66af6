//! A graph for people: as text for a terminal, as DOT for Graphviz, as Mermaid for Markdown.
//!
//! All three show what runs in one chain (records are handed on by a call) and where records cross
//! between workers (channels). Pure; the formats are told apart here and nowhere else.

use super::layout;
use super::logical::{Graph, Input, Node, NodeKind};
use super::names::short;
use std::fmt::Write;

/// A form in which a graph can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GraphFormat {
    /// A tree of lines, for a terminal.
    Text,
    /// The language of Graphviz.
    Dot,
    /// The language of Mermaid, which Markdown viewers draw.
    Mermaid,
    /// What checkpoints hold: operators' ids, keys, schemas and timers. Kept as a golden file it makes a
    /// change of the state's format a reviewed diff.
    Layout,
}

/// Shows a graph as it runs on so many workers.
pub(crate) fn show(graph: &Graph, workers: usize, format: GraphFormat) -> String {
    match format {
        GraphFormat::Text => Tree::new(graph).text(workers),
        GraphFormat::Dot => dot(graph, workers),
        GraphFormat::Mermaid => mermaid(graph, workers),
        GraphFormat::Layout => layout::text(graph),
    }
}

fn title(graph: &Graph, workers: usize) -> String {
    let counted = |number: usize, noun: &str| format!("{number} {noun}{}", if number == 1 { "" } else { "s" });
    let (nodes, chains) = (counted(graph.nodes.len(), "node"), counted(chains(graph).len(), "chain"));
    format!("{}: {}, {nodes} in {chains}", graph.name, counted(workers, "worker"))
}

/// The nodes of each chain: a node that reads a channel, or a source, and what is called from there.
fn chains(graph: &Graph) -> Vec<Vec<usize>> {
    let mut chains: Vec<Vec<usize>> = Vec::new();
    let mut of = Vec::with_capacity(graph.nodes.len());
    for (at, node) in graph.nodes.iter().enumerate() {
        let chain = if graph.is_chained(at) { of[node.inputs[0].from.node] } else { chains.len() };
        if chain == chains.len() {
            chains.push(Vec::new());
        }
        chains[chain].push(at);
        of.push(chain);
    }
    chains
}

/// What flows along an edge: `Order by str`, with the names of outputs and inputs where there are several.
fn edge(graph: &Graph, node: &Node, input: &Input) -> String {
    let from = &graph.nodes[input.from.node];
    let output = &from.outputs[input.from.port];
    let mut label = short(output.record);
    if from.outputs.len() > 1 {
        label = format!("{}: {label}", output.name);
    }
    if let Some(key) = &input.key {
        label = format!("{label} by {}", short(key));
    }
    if node.inputs.len() > 1 {
        label = format!("{label} to {}", input.name);
    }
    label
}

/// What a node is, beside its id.
fn about(node: &Node) -> String {
    let mut about = node.kind.to_string();
    // A description that only repeats the kind and the id says nothing.
    if !node.describe.is_empty()
        && node.kind != NodeKind::Drain
        && node.describe != format!("{} {}", node.kind, node.id)
    {
        about = format!("{about}, {}", node.describe.strip_prefix("operator ").unwrap_or(&node.describe));
    }
    if let Some(state) = &node.state {
        about = format!("{about}, state by {}", short(&state.key));
    }
    about
}

/// Walks the graph from its sources; a node with several inputs is drawn where it is met first.
struct Tree<'a> {
    graph: &'a Graph,
    drawn: Vec<bool>,
    text: String,
}

impl<'a> Tree<'a> {
    fn new(graph: &'a Graph) -> Self {
        Self { graph, drawn: vec![false; graph.nodes.len()], text: String::new() }
    }

    fn text(mut self, workers: usize) -> String {
        let _ = writeln!(self.text, "{}", title(self.graph, workers));
        let _ = writeln!(self.text, "──▶ a call within a worker   ══▶ channels between workers");
        let graph = self.graph;
        for (at, node) in graph.nodes.iter().enumerate().filter(|(_, node)| node.inputs.is_empty()) {
            let _ = writeln!(self.text, "\n{} ({})", node.id, about(node));
            self.drawn[at] = true;
            self.below(at, "");
        }
        self.text
    }

    fn below(&mut self, at: usize, indent: &str) {
        let graph = self.graph;
        let mut readers: Vec<(usize, &Input)> = Vec::new();
        for (node, it) in graph.nodes.iter().enumerate() {
            readers.extend(it.inputs.iter().filter(|input| input.from.node == at).map(|input| (node, input)));
        }
        for (number, (node, input)) in readers.iter().enumerate() {
            let last = number + 1 == readers.len();
            let it = &graph.nodes[*node];
            let arrow = if graph.is_chained(*node) { "──▶" } else { "══▶" };
            let branch = if last { "└" } else { "├" };
            let _ = write!(self.text, "{indent}{branch}─ {} {arrow} {}", edge(graph, it, input), it.id);
            if std::mem::replace(&mut self.drawn[*node], true) {
                self.text.push_str(" (see above)\n");
                continue;
            }
            let _ = writeln!(self.text, " ({})", about(it));
            self.below(*node, &format!("{indent}{}   ", if last { " " } else { "│" }));
        }
    }
}

fn dot(graph: &Graph, workers: usize) -> String {
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let mut text = format!("digraph \"{}\" {{\n", quoted(&graph.name));
    let _ = writeln!(
        text,
        "  label=\"{}\"; labelloc=t; rankdir=LR; node [shape=box, style=rounded];",
        quoted(&title(graph, workers))
    );
    for (number, chain) in chains(graph).iter().enumerate() {
        let _ = writeln!(text, "  subgraph cluster_{number} {{\n    label=\"\"; style=dashed;");
        for at in chain {
            let node = &graph.nodes[*at];
            let shape = match node.kind {
                NodeKind::Source | NodeKind::Sink => ", shape=cylinder, style=solid",
                NodeKind::Drain => ", shape=plain",
                NodeKind::Operator => "",
            };
            let _ = writeln!(text, "    n{at} [label=\"{}\\n{}\"{shape}];", quoted(&node.id), quoted(&about(node)));
        }
        text.push_str("  }\n");
    }
    for (at, node) in graph.nodes.iter().enumerate() {
        for input in &node.inputs {
            let crossing = if graph.is_chained(at) { "" } else { ", penwidth=2" };
            let label = quoted(&edge(graph, node, input));
            let _ = writeln!(text, "  n{} -> n{at} [label=\"{label}\"{crossing}];", input.from.node);
        }
    }
    text + "}\n"
}

fn mermaid(graph: &Graph, workers: usize) -> String {
    // Mermaid takes HTML's entities within quotes, without the ampersand: `#quot;`.
    let quoted =
        |text: &str| text.replace('#', "#35;").replace('"', "#quot;").replace('<', "#lt;").replace('>', "#gt;");
    // The title is a line of YAML; in single quotes only they have a meaning.
    let mut text = format!("---\ntitle: '{}'\n---\nflowchart LR\n", title(graph, workers).replace('\'', "''"));
    for (number, chain) in chains(graph).iter().enumerate() {
        let _ = writeln!(text, "  subgraph chain{number} [\" \"]");
        for at in chain {
            let node = &graph.nodes[*at];
            let (open, close) = match node.kind {
                NodeKind::Source | NodeKind::Sink => ("[(", ")]"),
                NodeKind::Drain => ("((", "))"),
                NodeKind::Operator => ("(", ")"),
            };
            let _ = writeln!(text, "    n{at}{open}\"{}<br/>{}\"{close}", quoted(&node.id), quoted(&about(node)));
        }
        let _ = writeln!(text, "  end\n  style chain{number} fill:none,stroke-dasharray:4");
    }
    for (at, node) in graph.nodes.iter().enumerate() {
        for input in &node.inputs {
            let arrow = if graph.is_chained(at) { "-->" } else { "==>" };
            let _ = writeln!(text, "  n{} {arrow}|\"{}\"| n{at}", input.from.node, quoted(&edge(graph, node, input)));
        }
    }
    text
}
