use super::check::{self, Problem, check};
use super::logical::{Graph, Input, KeyedState, Node, NodeKind, Port, PortRef};
use super::show::{GraphFormat, show};
use super::{layout, names};
use crate::api::needs::Needs;
use crate::api::state::Schema;
use crate::error::{Error, ErrorKind};

fn node(id: &str, kind: NodeKind, from: &[(usize, usize)], outputs: &[(&'static str, &'static str)]) -> Node {
    Node {
        id: id.to_owned(),
        kind,
        describe: String::new(),
        inputs: from
            .iter()
            .map(|(node, port)| Input { name: "in", from: PortRef { node: *node, port: *port }, key: None })
            .collect(),
        outputs: outputs.iter().map(|(name, record)| Port { name, record }).collect(),
        needs: Needs::default(),
        state: None,
        participant: None,
        endless: false,
    }
}

/// lines -> split =by str=> count -> totals, and count's failures -> discard.
fn word_count() -> Graph {
    let mut count = node(
        "count",
        NodeKind::Operator,
        &[(1, 0)],
        &[("out", "app::Total"), ("failed", "staunch::api::output::Failed<app::Bad>")],
    );
    count.describe = "operator count".into();
    count.inputs[0].key = Some("str".into());
    let fields = vec![
        ("seen".to_owned(), Schema::Leaf("u64".into())),
        (
            "last".to_owned(),
            Schema::Of(
                "Option".into(),
                vec![Schema::Struct("Total".into(), vec![("at".into(), Schema::Leaf("i64".into()))])],
            ),
        ),
    ];
    count.state = Some(KeyedState {
        key: "str".into(),
        schema: Schema::Struct("count".into(), fields),
        event_timers: true,
        processing_timers: false,
    });
    let mut lines = node("lines", NodeKind::Source, &[], &[("records", "alloc::string::String")]);
    lines.describe = "file \"in.txt\"".into();
    Graph {
        name: "word_count".into(),
        nodes: vec![
            lines,
            node("split", NodeKind::Operator, &[(0, 0)], &[("words", "alloc::string::String")]),
            count,
            node("totals", NodeKind::Sink, &[(2, 0)], &[]),
            node("count.failed.discard", NodeKind::Drain, &[(2, 1)], &[]),
        ],
    }
}

fn problems(graph: &Graph) -> Vec<Problem> {
    check::problems(graph, &|_| false, &|_| false)
}

#[test]
fn a_sound_graph_has_no_problems() {
    assert_eq!(problems(&word_count()), []);
    check(&word_count(), Vec::new(), |_| false, |_| false).unwrap();
}

#[test]
fn equal_ids_are_told_once_with_all_their_kinds() {
    let mut graph = word_count();
    graph.nodes[1].id = "lines".into();
    graph.nodes.push(node("totals", NodeKind::Sink, &[(2, 0)], &[]));
    let found = problems(&graph);
    assert_eq!(found.len(), 2);
    let said = found[0].to_string();
    assert!(
        said.contains("2 nodes have the id `lines` (source, operator)") && said.contains("lines::at(\"lines_2\")"),
        "{said}"
    );
    assert!(found[1].to_string().contains("`totals` (sink, sink)"));
}

#[test]
fn sinks_may_share_a_participant_and_drains_an_id() {
    let mut graph = word_count();
    graph.nodes.push(node("copies", NodeKind::Sink, &[(2, 0)], &[]));
    graph.nodes.push(node("count.failed.discard", NodeKind::Drain, &[(2, 1)], &[]));
    for node in graph.nodes.iter_mut().filter(|node| node.kind == NodeKind::Sink) {
        node.participant = Some("kafka".into());
    }
    assert_eq!(problems(&graph), []);
}

#[test]
fn ids_that_cannot_name_a_file_are_refused() {
    for id in ["", "a/b", "..", "über", "a b", &"x".repeat(101)] {
        let mut graph = word_count();
        graph.nodes[1].id = id.to_owned();
        assert_eq!(problems(&graph), [Problem::IllegalId { id: id.to_owned() }]);
    }
}

#[test]
fn an_output_that_nothing_reads_is_named() {
    let mut graph = word_count();
    graph.nodes.truncate(4);
    let found = problems(&graph);
    assert_eq!(found.len(), 1);
    let said = found[0].to_string();
    assert!(
        said.contains("the output `failed` of `count` (a stream of `Failed<Bad>`)") && said.contains(".discard()"),
        "{said}"
    );
    graph.nodes.truncate(2);
    assert!(problems(&graph)[1].to_string().contains("the output of `split` (a stream of `String`)"));
}

#[test]
fn a_graph_needs_a_source_and_a_sink() {
    assert_eq!(problems(&Graph::default()), [Problem::NoSource, Problem::NoSink]);
    let mut graph = word_count();
    graph.nodes[3].kind = NodeKind::Drain;
    assert_eq!(problems(&graph), [Problem::NoSink]);
}

#[test]
fn a_source_that_reaches_no_sink_may_be_discarded() {
    let mut graph = word_count();
    graph.nodes.push(node("pings", NodeKind::Source, &[], &[("records", "u8")]));
    graph.nodes.push(node("pings.records.discard", NodeKind::Drain, &[(5, 0)], &[]));
    assert_eq!(problems(&graph), []);
}

#[test]
fn parts_that_are_wanted_must_be_provided() {
    struct Limits;
    struct Client;
    let mut graph = word_count();
    graph.nodes[2].needs.config::<Limits>();
    graph.nodes[2].needs.resource::<Client>();
    let found = problems(&graph);
    assert_eq!(found.len(), 2);
    assert!(
        found[0].to_string().contains("`count` wants the configuration") && found[0].to_string().contains("Limits")
    );
    assert!(found[1].to_string().contains("flow.resource"));
    check(&graph, Vec::new(), |id| id == std::any::TypeId::of::<Limits>(), |_| true).unwrap();
}

#[test]
fn everything_wrong_is_one_error() {
    let wiring = || vec![Error::new(ErrorKind::Config, "no topic").at("source `lines`")];
    let graph = Graph { name: "p".into(), nodes: Vec::new() };
    let error = check(&graph, wiring(), |_| false, |_| false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Graph);
    let expected = "pipeline `p` has 3 errors:\n  - source `lines`: no topic\n  - nothing comes in";
    assert!(error.to_string().starts_with(expected), "{error}");
    let alone = check(&word_count(), wiring(), |_| false, |_| false).unwrap_err();
    assert_eq!(alone.kind(), ErrorKind::Config);
}

#[test]
fn type_names_lose_their_paths() {
    for (long, expected) in [
        ("u64", "u64"),
        ("alloc::string::String", "String"),
        ("core::option::Option<(my::app::A, &str)>", "Option<(A, &str)>"),
        ("[my::T; 4]", "[T; 4]"),
    ] {
        assert_eq!(names::short(long), expected);
    }
}

#[test]
fn the_text_is_a_tree() {
    let expected = "\
word_count: 4 workers, 5 nodes in 2 chains
──▶ a call within a worker   ══▶ channels between workers

lines (source, file \"in.txt\")
└─ String ──▶ split (operator)
    └─ String by str ══▶ count (operator, state by str)
        ├─ out: Total ──▶ totals (sink)
        └─ failed: Failed<Bad> ──▶ count.failed.discard (end)
";
    assert_eq!(show(&word_count(), 4, GraphFormat::Text), expected);
}

#[test]
fn a_node_with_two_inputs_is_drawn_once() {
    let mut graph = word_count();
    graph.nodes.push(node("more", NodeKind::Source, &[], &[("records", "String")]));
    graph.nodes.push(node("both", NodeKind::Operator, &[(5, 0), (5, 0)], &[]));
    let text = show(&graph, 1, GraphFormat::Text);
    assert!(text.contains("1 worker, 7 nodes in 4 chains"), "{text}");
    assert!(text.contains("├─ String to in ══▶ both (operator)\n└─ String to in ══▶ both (see above)\n"), "{text}");
}

#[test]
fn dot_and_mermaid_box_the_chains_and_escape_text() {
    let dot = show(&word_count(), 2, GraphFormat::Dot);
    for part in [
        "subgraph cluster_1",
        "style=dashed",
        "n0 [label=\"lines\\nsource, file \\\"in.txt\\\"\"",
        "n1 -> n2 [label=\"String by str\", penwidth=2];",
    ] {
        assert!(dot.contains(part), "{part}\n--- in ---\n{dot}");
    }
    assert_eq!(dot.matches('{').count(), dot.matches('}').count());
    let mermaid = show(&word_count(), 2, GraphFormat::Mermaid);
    for part in [
        "flowchart LR",
        "subgraph chain1",
        "n0[(\"lines<br/>source, file #quot;in.txt#quot;\")]",
        "n1 ==>|\"String by str\"| n2",
        "failed: Failed#lt;Bad#gt;",
    ] {
        assert!(mermaid.contains(part), "{part}\n--- in ---\n{mermaid}");
    }
    assert_eq!(mermaid.matches("subgraph").count(), mermaid.matches("  end\n").count());
}

#[test]
fn the_layout_is_golden_text() {
    let expected = "\
# What checkpoints of `word_count` hold. A change here is a change of the state's format.

[count]
key: str
timers: event time
state: count
  seen: u64
  last: Option of
    Total
      at: i64
";
    assert_eq!(layout::text(&word_count()), expected);
}

#[test]
fn enums_in_a_layout_have_a_line_for_each_variant() {
    let mut graph = word_count();
    let variants =
        vec![("On".to_owned(), vec![("since".to_owned(), Schema::Leaf("i64".into()))]), ("Off".to_owned(), Vec::new())];
    graph.nodes[2].state.as_mut().unwrap().schema = Schema::Enum("Lamp".into(), variants);
    assert!(layout::text(&graph).ends_with("state: Lamp one of\n  On\n    since: i64\n  Off\n"));
}
