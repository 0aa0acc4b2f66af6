//! The layout of a pipeline's state as text: ids, keys' types, schemas, timers.
//!
//! Kept as a golden file beside the pipeline it makes every change of what checkpoints hold a reviewed
//! diff. Pure; it must not know how state is stored.

use super::logical::Graph;
use crate::api::state::Schema;
use std::fmt::Write;

/// What one operator keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OperatorLayout<'a> {
    id: &'a str,
    /// The key's type.
    key: &'a str,
    /// The shape of one key's state.
    schema: &'a Schema,
    event_timers: bool,
    processing_timers: bool,
}

/// What each keyed operator keeps, in the order of ids, so that rewiring alone changes nothing.
fn layouts(graph: &Graph) -> Vec<OperatorLayout<'_>> {
    let mut layouts: Vec<OperatorLayout<'_>> = graph
        .nodes
        .iter()
        .filter_map(|node| {
            let state = node.state.as_ref()?;
            Some(OperatorLayout {
                id: &node.id,
                key: &state.key,
                schema: &state.schema,
                event_timers: state.event_timers,
                processing_timers: state.processing_timers,
            })
        })
        .collect();
    layouts.sort_by_key(|layout| layout.id);
    layouts
}

/// The golden text. One field a line, so that a diff shows the field.
pub(super) fn text(graph: &Graph) -> String {
    let mut text =
        format!("# What checkpoints of `{}` hold. A change here is a change of the state's format.\n", graph.name);
    for layout in layouts(graph) {
        let timers = match (layout.event_timers, layout.processing_timers) {
            (false, false) => "none",
            (true, false) => "event time",
            (false, true) => "processing time",
            (true, true) => "event time, processing time",
        };
        // Writing to a string cannot fail.
        let _ = write!(text, "\n[{}]\nkey: {}\ntimers: {timers}\nstate: ", layout.id, layout.key);
        schema(&mut text, layout.schema, 0);
        text.push('\n');
    }
    text
}

fn schema(text: &mut String, shape: &Schema, depth: usize) {
    match shape {
        Schema::Struct(name, parts) => {
            text.push_str(name);
            fields(text, parts, depth);
        }
        Schema::Enum(name, variants) => {
            let _ = write!(text, "{name} one of");
            for (variant, parts) in variants {
                let _ = write!(text, "\n{:indent$}{variant}", "", indent = 2 * (depth + 1));
                fields(text, parts, depth + 1);
            }
        }
        Schema::Of(name, parts) if parts.iter().any(is_deep) => {
            let _ = write!(text, "{name} of");
            for part in parts {
                let _ = write!(text, "\n{:indent$}", "", indent = 2 * (depth + 1));
                schema(text, part, depth + 1);
            }
        }
        flat => {
            let _ = write!(text, "{flat}");
        }
    }
}

fn fields(text: &mut String, fields: &[(String, Schema)], depth: usize) {
    for (name, shape) in fields {
        let _ = write!(text, "\n{:indent$}{name}: ", "", indent = 2 * (depth + 1));
        schema(text, shape, depth + 1);
    }
}

/// Whether the shape has fields, which get lines of their own.
fn is_deep(shape: &Schema) -> bool {
    match shape {
        Schema::Struct(..) | Schema::Enum(..) => true,
        Schema::Of(_, parts) => parts.iter().any(is_deep),
        _ => false,
    }
}
