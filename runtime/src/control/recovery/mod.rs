//! What to do with a checkpoint when a program starts: restore it, refuse it, or see that all is done.
//!
//! Everything that does not fit is said at once, before anything runs. Pure: it reads a manifest and a
//! plan, and must not know where state is kept or how it is decoded.

#[cfg(test)]
mod tests;

use super::manifest::{CheckpointKind, Cut, Manifest, OperatorCut, StatePart};
use super::message::{OperatorSpec, Topology};
use crate::api::sink::Committable;
use crate::api::source::SplitPosition;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{Epoch, groups_of_worker};
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::ops::Range;

/// How a program goes on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Recovery {
    /// There is no checkpoint: everything starts from its beginning.
    Fresh,
    /// Go on from a checkpoint.
    Restore(RestorePlan),
    /// Bounded input was processed to its end. Only settle what the checkpoint lists, then finish.
    Finished(RestorePlan),
}

/// Who reads what of a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RestorePlan {
    /// The checkpoint's number.
    pub(crate) epoch: Epoch,
    /// What the sources get, by id. A source that is not listed is new.
    pub(crate) sources: BTreeMap<String, RestoredSource>,
    /// What each worker reads, by operator. An operator that is not listed is new.
    pub(crate) operators: BTreeMap<String, Vec<WorkerRestore>>,
    /// What each participant has to settle, oldest first. Participants that are not listed have
    /// nothing; they recover all the same.
    pub(crate) committables: BTreeMap<String, Vec<Committable>>,
    /// What is left behind, for people. Empty unless dropping was allowed.
    pub(crate) dropped: Vec<String>,
}

/// Where a source goes on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RestoredSource {
    /// All splits, of all workers.
    pub(crate) splits: Vec<SplitPosition>,
    /// It had ended on every worker.
    pub(crate) finished: bool,
}

/// What a worker reads for one operator.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WorkerRestore {
    /// The parts that hold groups of its own, and perhaps others, in the order in which they are read.
    pub(crate) parts: Vec<StatePart>,
    /// The watermark to start with: the lowest among those who kept these groups.
    pub(crate) watermark: Timestamp,
}

/// Decides. `allow_dropped_state`: state of operators and positions of sources that the program no
/// longer has are left behind instead of refused.
///
/// # Errors
/// [`ErrorKind::State`] with everything that does not fit.
pub(crate) fn decide(restored: Option<&Manifest>, program: &Topology, allow_dropped_state: bool) -> Result<Recovery> {
    let Some(manifest) = restored else { return Ok(Recovery::Fresh) };
    let cut = &manifest.cut;
    let mut reasons = Vec::new();
    let mut dropped = Vec::new();
    for operator in &cut.operators {
        match program.operators.iter().find(|spec| spec.id == operator.id) {
            Some(spec) => reasons.extend(layout_differs(spec, operator)),
            None => dropped.push(format!("the state of operator `{}` ({})", operator.id, operator.layout.text)),
        }
    }
    for source in cut.sources.iter().filter(|source| !program.sources.contains(&source.id)) {
        dropped.push(format!("the positions of source `{}`", source.id));
    }
    if !allow_dropped_state {
        reasons.extend(dropped.drain(..).map(|what| {
            format!(
                "the program has no place for {what}: bring it back under this id, or leave it behind with \
                 `--allow-dropped-state`"
            )
        }));
    }
    reasons.extend(orphans(&cut.committables, program));
    if !reasons.is_empty() {
        return Err(refusal(manifest, &reasons));
    }
    let plan = RestorePlan {
        epoch: cut.epoch,
        sources: cut
            .sources
            .iter()
            .filter(|source| program.sources.contains(&source.id))
            .map(|source| {
                let restored = RestoredSource { splits: source.splits.clone(), finished: source.finished };
                (source.id.clone(), restored)
            })
            .collect(),
        operators: cut
            .operators
            .iter()
            .filter(|operator| program.operators.iter().any(|spec| spec.id == operator.id))
            .map(|operator| (operator.id.clone(), share_out(operator, cut, program.workers)))
            .collect(),
        committables: by_participant(&cut.committables),
        dropped,
    };
    // A source that was added since has not been read.
    let all_finished = || program.sources.iter().all(|id| plan.sources.get(id).is_some_and(|it| it.finished));
    Ok(match cut.kind {
        CheckpointKind::End if !program.endless && all_finished() => Recovery::Finished(plan),
        _ => Recovery::Restore(plan),
    })
}

fn refusal(manifest: &Manifest, reasons: &[String]) -> Error {
    let Manifest { cut, .. } = manifest;
    let list: String = reasons.iter().map(|reason| format!("\n  - {reason}")).collect();
    Error::new(ErrorKind::State, format!("{} {} does not fit this program:{list}", cut.kind, cut.epoch))
}

fn layout_differs(spec: &OperatorSpec, written: &OperatorCut) -> Option<String> {
    (!spec.layout.reads(&written.layout)).then(|| {
        format!(
            "the state of operator `{}` has another shape ({}): give the new one another id, or change it back\n      \
             checkpoint: {}\n      program:    {}",
            spec.id,
            spec.layout.differences(&written.layout).join("; "),
            written.layout.text,
            spec.layout.text
        )
    })
}

/// Output that was promised but has nobody to commit it. Never dropped, whatever is allowed.
fn orphans(committables: &[Committable], program: &Topology) -> Vec<String> {
    by_participant(committables)
        .keys()
        .filter(|participant| !program.sinks.iter().any(|sink| sink.participant == **participant))
        .map(|participant| {
            format!(
                "it lists output of `{participant}` that may not be committed yet, and the program has no such sink: \
                 start the former program once and stop it cleanly, or keep the sink"
            )
        })
        .collect()
}

fn by_participant(committables: &[Committable]) -> BTreeMap<String, Vec<Committable>> {
    let mut sorted: BTreeMap<String, Vec<Committable>> = BTreeMap::new();
    for committable in committables {
        sorted.entry(committable.participant.clone()).or_default().push(committable.clone());
    }
    for list in sorted.values_mut() {
        list.sort_by_key(|committable| committable.epoch);
    }
    sorted
}

/// Gives each worker the parts that hold key groups of its own.
fn share_out(operator: &OperatorCut, cut: &Cut, workers: usize) -> Vec<WorkerRestore> {
    let (workers_then, at_end) = (cut.workers, cut.kind == CheckpointKind::End);
    (0..workers)
        .map(|worker| {
            let mine = groups_of_worker(worker, workers);
            let parts = operator.parts.iter().filter(|part| overlap(&part.groups, &mine)).cloned().collect();
            // A watermark promises that nothing earlier comes. Among workers that promised different
            // things only the weakest promise holds for all; a later one would call good records late.
            let watermark = (0..workers_then)
                .filter(|then| overlap(&groups_of_worker(*then, workers_then), &mine))
                .map(|then| operator.watermarks.get(then).copied().unwrap_or_default())
                .min()
                // All input had ended. Where some is read after all it must not be late. (Before that, an operator whose
                // own inputs have ended is past everything.)
                .filter(|watermark| !at_end || *watermark < Timestamp::MAX)
                .unwrap_or_default();
            WorkerRestore { parts, watermark }
        })
        .collect()
}

fn overlap(left: &Range<u32>, right: &Range<u32>) -> bool {
    left.start.max(right.start) < left.end.min(right.end)
}
