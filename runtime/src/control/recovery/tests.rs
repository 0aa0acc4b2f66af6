use super::*;
use crate::api::state::Schema;
use crate::control::manifest::{Cut, SourceCut, StateLayout, StoreIdentity};
use crate::control::message::SinkSpec;
use crate::id::KEY_GROUPS;
use serde_json::json;
use uuid::Uuid;

fn layout(name: &str) -> StateLayout {
    StateLayout::new("String", Schema::Leaf(name.into()), false, false)
}

fn program(workers: usize) -> Topology {
    Topology {
        workers,
        sources: vec!["orders".into()],
        endless: false,
        operators: vec![OperatorSpec { id: "count".into(), layout: layout("u64") }],
        sinks: vec![SinkSpec { id: "out".into(), participant: "kafka".into() }],
    }
}

fn committable(participant: &str, epoch: u64) -> Committable {
    Committable { participant: participant.into(), epoch: Epoch(epoch), bytes: vec![] }
}

fn manifest(workers: usize) -> Manifest {
    let parts = (0..workers)
        .map(|worker| StatePart::of(worker, groups_of_worker(worker, workers), format!("b{worker}"), b"", 0))
        .collect();
    let watermarks = (0..workers).map(|worker| Timestamp::from_millis(100 - worker as i64)).collect();
    Manifest {
        identity: StoreIdentity { job: "totals".into(), lineage: Uuid::nil() },
        attempt: Uuid::nil(),
        published_ms: 0,
        cut: Cut {
            epoch: Epoch(7),
            kind: CheckpointKind::Checkpoint,
            triggered_ms: 0,
            workers,
            sources: vec![SourceCut {
                id: "orders".into(),
                splits: vec![SplitPosition { split: "0".into(), position: json!(5), finished: false }],
                finished: false,
            }],
            operators: vec![OperatorCut { id: "count".into(), layout: layout("u64"), watermarks, parts }],
            committables: vec![committable("kafka", 7), committable("kafka", 6)],
        },
    }
}

fn plan(manifest: &Manifest, program: &Topology) -> RestorePlan {
    match decide(Some(manifest), program, false).unwrap() {
        Recovery::Restore(plan) => plan,
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_a_checkpoint_everything_starts_anew() {
    assert_eq!(decide(None, &program(1), false).unwrap(), Recovery::Fresh);
}

#[test]
fn a_checkpoint_is_restored_oldest_committable_first() {
    let plan = plan(&manifest(1), &program(1));
    assert_eq!(plan.epoch, Epoch(7));
    assert_eq!(plan.sources["orders"].splits[0].position, json!(5));
    assert_eq!(plan.committables["kafka"], [committable("kafka", 6), committable("kafka", 7)]);
    assert!(plan.dropped.is_empty());
}

#[test]
fn key_groups_are_shared_out_over_any_number_of_workers() {
    for then in [1, 2, 3, 5] {
        for now in [1, 2, 4, 7] {
            let plan = plan(&manifest(then), &program(now));
            let mut next = 0;
            for (worker, restore) in plan.operators["count"].iter().enumerate() {
                let mine = groups_of_worker(worker, now);
                for part in &restore.parts {
                    let (start, end) = (part.groups.start.max(mine.start), part.groups.end.min(mine.end));
                    assert!(start == next && start < end, "{then} -> {now}: no gap, nothing that holds none of them");
                    next = end;
                }
                assert_eq!(next, mine.end);
                let lowest = restore.parts.iter().map(|part| 100 - part.worker as i64).min().unwrap();
                assert_eq!(restore.watermark, Timestamp::from_millis(lowest));
            }
            assert_eq!(next, KEY_GROUPS);
        }
    }
}

#[test]
fn a_finished_job_only_settles() {
    let mut manifest = manifest(1);
    manifest.cut.kind = CheckpointKind::End;
    manifest.cut.sources[0].finished = true;
    let Recovery::Finished(plan) = decide(Some(&manifest), &program(1), false).unwrap() else { panic!() };
    assert_eq!(plan.committables["kafka"].len(), 2);
}

#[test]
fn a_finished_job_whose_source_does_not_end_any_more_goes_on_and_nothing_is_late() {
    let mut manifest = manifest(2);
    manifest.cut.kind = CheckpointKind::End;
    manifest.cut.sources[0].finished = true;
    manifest.cut.operators[0].watermarks = vec![Timestamp::MAX; 2];
    let plan = plan(&manifest, &Topology { endless: true, ..program(1) });
    assert_eq!(plan.operators["count"][0].watermark, Timestamp::MIN);
    manifest.cut.operators[0].watermarks[1] = Timestamp::from_millis(7);
    let plan = self::plan(&manifest, &Topology { endless: true, ..program(1) });
    assert_eq!(plan.operators["count"][0].watermark, Timestamp::from_millis(7));
    // Before the job's end, an operator whose own inputs have ended stays past everything.
    manifest.cut.kind = CheckpointKind::Checkpoint;
    manifest.cut.operators[0].watermarks = vec![Timestamp::MAX; 2];
    let plan = self::plan(&manifest, &program(1));
    assert_eq!(plan.operators["count"][0].watermark, Timestamp::MAX);
}

#[test]
fn what_the_program_adds_starts_empty() {
    let mut program = program(1);
    program.sources.push("returns".into());
    program.operators.push(OperatorSpec { id: "new".into(), layout: layout("u8") });
    let plan = plan(&manifest(1), &program);
    assert!(!plan.sources.contains_key("returns") && !plan.operators.contains_key("new"));
}

#[test]
fn everything_that_does_not_fit_is_said_at_once() {
    let mut manifest = manifest(1);
    manifest.cut.operators[0].layout = layout("u32");
    manifest.cut.operators.push(OperatorCut { id: "gone".into(), ..manifest.cut.operators[0].clone() });
    manifest.cut.sources.push(SourceCut { id: "clicks".into(), splits: vec![], finished: false });
    manifest.cut.committables.push(committable("files", 7));
    let error = decide(Some(&manifest), &program(1), false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State);
    for expected in ["String -> u32", "String -> u64", "`gone`", "`clicks`", "`files`", "--allow-dropped-state"] {
        assert!(error.message().contains(expected), "{expected} in {error}");
    }
}

#[test]
fn dropping_is_allowed_for_state_but_never_for_output() {
    let mut manifest = manifest(1);
    let program = Topology { operators: vec![], sources: vec![], ..program(1) };
    let Recovery::Restore(plan) = decide(Some(&manifest), &program, true).unwrap() else { panic!() };
    assert_eq!(plan.dropped.len(), 2);
    assert!(plan.operators.is_empty() && plan.sources.is_empty());
    manifest.cut.committables.push(committable("files", 7));
    assert!(decide(Some(&manifest), &program, true).is_err());
}
