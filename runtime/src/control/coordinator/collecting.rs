//! What has arrived of the checkpoint in flight, and what is missing. Pure.
//!
//! Must not know time, nor what happens once everything is in.

use super::{internal, unknown};
use crate::api::sink::{Committable, Share};
use crate::api::source::SplitPosition;
use crate::control::manifest::{OperatorCut, SourceCut, StatePart};
use crate::control::message::Topology;
use crate::error::Result;
use crate::id::Epoch;
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// The place of something in the topology, and its worker.
type Place = (usize, usize);

#[derive(Debug, Default)]
pub(super) struct Collecting {
    sources: BTreeMap<Place, (Vec<SplitPosition>, bool)>,
    states: BTreeMap<Place, (Timestamp, Vec<StatePart>)>,
    /// `None` once handed to the participant.
    shares: BTreeMap<Place, Option<Vec<u8>>>,
    preparing: BTreeSet<String>,
    prepared: BTreeMap<String, Option<Vec<u8>>>,
}

/// Whether something was news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accepted {
    New,
    Duplicate,
}

impl Collecting {
    pub(super) fn source(
        &mut self,
        topology: &Topology,
        worker: usize,
        id: &str,
        splits: Vec<SplitPosition>,
        finished: bool,
    ) -> Result<Accepted> {
        let place = place(topology, "source", topology.sources.iter().map(String::as_str), id, worker)?;
        Ok(insert(&mut self.sources, place, (splits, finished)))
    }

    pub(super) fn state(
        &mut self,
        topology: &Topology,
        worker: usize,
        id: &str,
        watermark: Timestamp,
        parts: Vec<StatePart>,
    ) -> Result<Accepted> {
        let ids = topology.operators.iter().map(|operator| operator.id.as_str());
        let place = place(topology, "operator", ids, id, worker)?;
        Ok(insert(&mut self.states, place, (watermark, parts)))
    }

    pub(super) fn sealed(&mut self, topology: &Topology, share: Share) -> Result<Accepted> {
        let ids = topology.sinks.iter().map(|sink| sink.id.as_str());
        let place = place(topology, "sink", ids, &share.sink, share.worker)?;
        Ok(insert(&mut self.shares, place, Some(share.bytes)))
    }

    /// A participant whose writers have all sealed, once, with their shares by sink and worker.
    pub(super) fn take_ready(&mut self, topology: &Topology) -> Option<(String, Vec<Share>)> {
        let participant = participants(topology)
            .find(|participant| !self.preparing.contains(*participant) && self.all_sealed(topology, participant))?
            .to_owned();
        self.preparing.insert(participant.clone());
        let mut shares = Vec::new();
        for ((sink, worker), bytes) in &mut self.shares {
            let spec = &topology.sinks[*sink];
            if spec.participant == participant
                && let Some(bytes) = bytes.take()
            {
                shares.push(Share { sink: spec.id.clone(), worker: *worker, bytes });
            }
        }
        Some((participant, shares))
    }

    fn all_sealed(&self, topology: &Topology, participant: &str) -> bool {
        let sinks = topology.sinks.iter().enumerate().filter(|(_, sink)| sink.participant == participant);
        sinks
            .flat_map(|(number, _)| (0..topology.workers).map(move |worker| (number, worker)))
            .all(|place| self.shares.contains_key(&place))
    }

    pub(super) fn prepared(&mut self, participant: &str, committable: Option<Vec<u8>>) -> Result<Accepted> {
        if !self.preparing.contains(participant) {
            return Err(internal(format!("a prepared checkpoint from `{participant}`, which was not asked for one")));
        }
        Ok(insert(&mut self.prepared, participant.to_owned(), committable))
    }

    /// What has been prepared, which no manifest will list now.
    pub(super) fn take_prepared(&mut self, epoch: Epoch) -> Vec<Committable> {
        let prepared = std::mem::take(&mut self.prepared).into_iter();
        prepared.filter_map(|(participant, bytes)| Some(Committable { participant, epoch, bytes: bytes? })).collect()
    }

    /// What only the checkpoint itself needs is forgotten; what its sinks wrote is not.
    pub(super) fn forget_state(&mut self) {
        self.sources.clear();
        self.states.clear();
    }

    pub(super) fn is_complete(&self, topology: &Topology) -> bool {
        self.sources.len() == topology.sources.len() * topology.workers
            && self.states.len() == topology.operators.len() * topology.workers
            && self.has_output(topology)
    }

    /// Whether everything that the sinks wrote is prepared.
    pub(super) fn has_output(&self, topology: &Topology) -> bool {
        self.shares.len() == topology.sinks.len() * topology.workers
            && participants(topology).all(|participant| self.prepared.contains_key(participant))
    }

    /// Which positions and state are missing, for people.
    pub(super) fn missing_state(&self, topology: &Topology) -> Vec<String> {
        let mut missing = Vec::new();
        for place in places(topology, topology.sources.len()).filter(|place| !self.sources.contains_key(place)) {
            missing.push(format!("source `{}` on worker {}", topology.sources[place.0], place.1));
        }
        for place in places(topology, topology.operators.len()).filter(|place| !self.states.contains_key(place)) {
            missing.push(format!("the state of operator `{}` on worker {}", topology.operators[place.0].id, place.1));
        }
        missing
    }

    /// What is missing of the sinks' output, for people.
    pub(super) fn missing_output(&self, topology: &Topology) -> Vec<String> {
        let mut missing = Vec::new();
        for place in places(topology, topology.sinks.len()).filter(|place| !self.shares.contains_key(place)) {
            missing.push(format!("sink `{}` on worker {}", topology.sinks[place.0].id, place.1));
        }
        for participant in self.preparing.iter().filter(|participant| !self.prepared.contains_key(*participant)) {
            missing.push(format!("`{participant}` to prepare"));
        }
        missing
    }

    /// The content of the cut: sources, operators, committables, in the topology's order.
    #[allow(clippy::type_complexity)]
    pub(super) fn into_content(
        mut self,
        topology: &Topology,
        epoch: Epoch,
    ) -> Result<(Vec<SourceCut>, Vec<OperatorCut>, Vec<Committable>)> {
        let mut sources = Vec::new();
        for (number, id) in topology.sources.iter().enumerate() {
            let mut source = SourceCut { id: id.clone(), splits: Vec::new(), finished: true };
            for worker in 0..topology.workers {
                let (splits, finished) = self.sources.remove(&(number, worker)).unwrap_or_default();
                source.finished &= finished;
                source.splits.extend(splits);
            }
            check_splits(&source)?;
            sources.push(source);
        }
        let mut operators = Vec::new();
        for (number, spec) in topology.operators.iter().enumerate() {
            let (watermarks, parts): (Vec<_>, Vec<_>) =
                (0..topology.workers).map(|worker| self.states.remove(&(number, worker)).unwrap_or_default()).unzip();
            let parts = parts.into_iter().flatten().collect();
            operators.push(OperatorCut { id: spec.id.clone(), layout: spec.layout.clone(), watermarks, parts });
        }
        let committables = participants(topology)
            .filter_map(|name| self.prepared.remove(name).flatten().map(|bytes| (name.to_owned(), bytes)))
            .map(|(participant, bytes)| Committable { participant, epoch, bytes })
            .collect();
        Ok((sources, operators, committables))
    }
}

/// All places of so many things, on all workers.
fn places(topology: &Topology, count: usize) -> impl Iterator<Item = Place> {
    let workers = topology.workers;
    (0..count).flat_map(move |number| (0..workers).map(move |worker| (number, worker)))
}

/// The participants' names, each once, in the order of their first sinks.
fn participants(topology: &Topology) -> impl Iterator<Item = &str> {
    let mut seen = BTreeSet::new();
    topology.sinks.iter().map(|sink| sink.participant.as_str()).filter(move |name| seen.insert(*name))
}

/// Two workers that read one split would each go on from their own position: records lost or repeated.
fn check_splits(source: &SourceCut) -> Result<()> {
    let mut seen = BTreeSet::new();
    match source.splits.iter().find(|position| !seen.insert(position.split.as_str())) {
        None => Ok(()),
        Some(twice) => Err(internal(format!("split `{}` of source `{}` from two workers", twice.split, source.id))),
    }
}

fn place<'a>(
    topology: &Topology,
    what: &str,
    mut ids: impl Iterator<Item = &'a str>,
    id: &str,
    worker: usize,
) -> Result<Place> {
    ids.position(|known| known == id)
        .filter(|_| worker < topology.workers)
        .map(|number| (number, worker))
        .ok_or_else(|| unknown(what, id, worker))
}

fn insert<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: V) -> Accepted {
    match map.entry(key) {
        std::collections::btree_map::Entry::Vacant(entry) => {
            entry.insert(value);
            Accepted::New
        }
        std::collections::btree_map::Entry::Occupied(_) => Accepted::Duplicate,
    }
}
