//! The channels of an attempt: for each input that is not chained, on all workers.

use crate::api::source::Waker;
use crate::data::link::LinkEnds;
use crate::job::Wired;
use std::collections::HashMap;

/// Each worker's ends, by (node, input).
pub(super) type Links = Vec<HashMap<(usize, usize), LinkEnds>>;

pub(super) fn connect(wired: &Wired, wakers: &[Waker]) -> Links {
    let mut links: Links = wakers.iter().map(|_| HashMap::new()).collect();
    for (at, node) in wired.graph.nodes.iter().enumerate() {
        if wired.graph.is_chained(at) {
            continue;
        }
        for (number, input) in node.inputs.iter().enumerate() {
            let ends = wired.builds[at].link(number, input.key.is_some(), wakers);
            for (worker, ends) in links.iter_mut().zip(ends) {
                worker.insert((at, number), ends);
            }
        }
    }
    links
}
