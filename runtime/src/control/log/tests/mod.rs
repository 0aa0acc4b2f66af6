mod takeover;

use super::retain::Retained;
use super::*;
use crate::api::sink::Committable;
use crate::api::state::Schema;
use crate::control::manifest::{CheckpointKind, OperatorCut, StateLayout, StatePart};
use crate::control::store::{Fault, MemoryStore, blob_name};
use crate::error::DataLoss;

fn store() -> MemoryStore {
    MemoryStore::new("totals", Uuid::from_u128(99))
}

fn request(attempt: u128, restore: RestoreFrom) -> ClaimRequest {
    ClaimRequest { attempt: Uuid::from_u128(attempt), info: format!("pid {attempt}"), restore, now_ms: 5 }
}

fn open(store: &MemoryStore) -> CheckpointLog {
    CheckpointLog::open(Arc::new(store.clone()), "totals").unwrap()
}

fn try_claim(store: &MemoryStore, attempt: u128, restore: RestoreFrom) -> Result<Claimed> {
    open(store).claim(&request(attempt, restore), &mut None)
}

fn claim(store: &MemoryStore, attempt: u128) -> Claimed {
    try_claim(store, attempt, RestoreFrom::Newest).unwrap()
}

fn cut(epoch: u64) -> Cut {
    Cut {
        epoch: Epoch(epoch),
        kind: CheckpointKind::Checkpoint,
        triggered_ms: 1,
        workers: 1,
        sources: vec![],
        operators: vec![],
        committables: vec![Committable { participant: "out".into(), epoch: Epoch(epoch), bytes: vec![1] }],
    }
}

/// A cut whose only state is the named blobs, which are put into the store.
fn cut_with(log: &ClaimedLog, epoch: u64, blobs: &[&str]) -> Cut {
    let parts = blobs.iter().map(|blob| {
        log.store.put_blob(blob, b"state").unwrap();
        StatePart::of(0, 0..10, (*blob).to_owned(), b"state", 1)
    });
    let layout = StateLayout::new("u64", Schema::Leaf("u64".into()), false, false);
    let operator = OperatorCut { id: "count".into(), layout, watermarks: vec![], parts: parts.collect() };
    Cut { operators: vec![operator], ..cut(epoch) }
}

fn publish(log: &mut ClaimedLog, epoch: u64) {
    match log.publish(cut(epoch), 7).unwrap() {
        Publication::Published(permit) => assert_eq!(permit.epoch(), Epoch(epoch)),
        Publication::Superseded(error) => panic!("{error}"),
    }
}

fn assert_superseded(publication: Result<Publication>) {
    assert!(matches!(publication, Ok(Publication::Superseded(error)) if error.kind() == ErrorKind::Superseded));
}

#[test]
fn an_attempt_goes_on_from_the_newest_checkpoint() {
    let store = store();
    let mut first = claim(&store, 1);
    assert!(first.restored.is_none());
    assert_eq!((first.log.attempt(), first.next_epoch), (1, Epoch(1)));
    publish(&mut first.log, 1);
    publish(&mut first.log, 2);
    let second = claim(&store, 2);
    let restored = second.restored.unwrap();
    assert_eq!((restored.cut.epoch, second.permit.epoch()), (Epoch(2), Epoch(2)));
    assert_eq!((second.log.attempt(), second.next_epoch), (4, Epoch(3)));
}

#[test]
fn a_claim_stops_a_living_predecessor() {
    let store = store();
    let mut old = claim(&store, 1);
    publish(&mut old.log, 1);
    let mut new = claim(&store, 2);
    assert_superseded(old.log.publish(cut(2), 0));
    assert_eq!(old.log.publish(cut(2), 0).unwrap_err().kind(), ErrorKind::Internal);
    publish(&mut new.log, 2);
    assert_eq!(claim(&store, 3).restored.unwrap().attempt, Uuid::from_u128(2));
}

#[test]
fn a_predecessor_that_slept_through_retention_is_stopped_too() {
    let store = store();
    let mut old = claim(&store, 1);
    publish(&mut old.log, 1);
    let mut new = claim(&store, 2);
    for epoch in 2..6 {
        publish(&mut new.log, epoch);
    }
    new.log.retain(1).unwrap();
    assert_eq!(store.list().unwrap(), [7]);
    assert_superseded(old.log.publish(cut(2), 0));
    assert_eq!(store.list().unwrap(), [7]);
}

#[test]
fn a_lost_answer_is_decided_by_reading_back() {
    for faults in [
        &[Fault::AnswerLost][..],
        &[Fault::Refused, Fault::Refused],
        &[Fault::FalselyTaken],
        &[Fault::Refused, Fault::Refused, Fault::AnswerLost],
        &[Fault::Delayed, Fault::FalselyTaken],
    ] {
        let store = store();
        let mut claimed = claim(&store, 1);
        store.fail_next(faults);
        publish(&mut claimed.log, 1);
        store.land_delayed();
        publish(&mut claimed.log, 2);
        assert_eq!(claim(&store, 2).restored.unwrap().cut.epoch, Epoch(2));
    }
}

#[test]
fn a_lost_answer_after_which_another_attempt_claimed_commits_nothing() {
    let store = store();
    let mut old = claim(&store, 1);
    store.fail_next(&[Fault::AnswerLost]);
    // The first try lands, and before it is read back somebody else claims: as if it had come later.
    old.log.store.create(2, b"whatever").unwrap_err();
    claim_over(&store);
    assert_superseded(old.log.publish(cut(1), 0));
}

fn claim_over(store: &MemoryStore) {
    store.create(3, b"a younger attempt").unwrap();
}

#[test]
fn giving_up_keeps_a_late_write_from_landing() {
    let store = store();
    let mut claimed = claim(&store, 1);
    publish(&mut claimed.log, 1);
    store.fail_next(&[Fault::Delayed, Fault::Refused, Fault::Refused]);
    let error = claimed.log.publish(cut(2), 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    assert!(error.message().contains("given up"), "{error}");
    store.land_delayed();
    assert_eq!(claim(&store, 2).restored.unwrap().cut.epoch, Epoch(1));
}

#[test]
fn giving_up_finds_out_when_the_write_had_landed() {
    let store = store();
    let mut claimed = claim(&store, 1);
    store.fail_next(&[Fault::Refused, Fault::Refused, Fault::AnswerLost]);
    publish(&mut claimed.log, 1);
    publish(&mut claimed.log, 2);
}

#[test]
fn giving_up_what_had_landed_is_no_takeover_whichever_look_at_it_fails() {
    for nth in 0..6 {
        let store = store();
        let mut claimed = claim(&store, 1);
        store.fail_next(&[Fault::Refused, Fault::Refused, Fault::AnswerLost]);
        store.fail_looks(&std::array::from_fn::<_, 6, _>(|look| look == nth));
        match claimed.log.publish(cut(1), 0) {
            Ok(Publication::Published(permit)) => assert_eq!(permit.epoch(), Epoch(1)),
            Ok(Publication::Superseded(error)) => panic!("look {nth}: {error}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Store, "look {nth}: {error}"),
        }
        store.fail_looks(&[]);
        assert_eq!(claim(&store, 2).restored.unwrap().cut.epoch, Epoch(1), "look {nth}");
    }
}

#[test]
fn a_publication_whose_fate_stays_unknown_ends_the_attempt() {
    let store = store();
    let mut claimed = claim(&store, 1);
    store.fail_next(&[Fault::Delayed, Fault::Refused, Fault::Refused, Fault::Refused, Fault::Refused, Fault::Refused]);
    let error = claimed.log.publish(cut(1), 0).unwrap_err();
    assert!(error.message().contains("unknown"), "{error}");
    assert_eq!(claimed.log.publish(cut(2), 0).unwrap_err().kind(), ErrorKind::Internal);
    store.land_delayed();
    assert_eq!(claim(&store, 2).restored.unwrap().cut.epoch, Epoch(1));
}

#[test]
fn a_damaged_newest_checkpoint_is_an_error_that_names_it_and_the_way_on() {
    let store = store();
    let mut claimed = claim(&store, 1);
    publish(&mut claimed.log, 1);
    publish(&mut claimed.log, 2);
    store.overwrite(3, b"staunch manif");
    let error = try_claim(&store, 2, RestoreFrom::Newest).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Checkpoint);
    assert!(error.message().contains("slot 3") && error.message().contains("--restore 2"), "{error}");
    assert_eq!(store.list().unwrap().len(), 3, "nothing was claimed");

    let slot = RestoreFrom::Slot { slot: 2, accept_repeats: false };
    assert_eq!(try_claim(&store, 2, slot).err().unwrap().kind(), ErrorKind::Config);
    let slot = RestoreFrom::Slot { slot: 2, accept_repeats: true };
    let chosen = try_claim(&store, 2, slot).unwrap();
    assert_eq!(chosen.restored.unwrap().cut.epoch, Epoch(1));
    assert_eq!(chosen.next_epoch, Epoch(3), "the damaged one may have been checkpoint 2");

    // The choice holds for later attempts, until something newer is published.
    let mut next = claim(&store, 3);
    assert_eq!(next.restored.unwrap().cut.epoch, Epoch(1));
    publish(&mut next.log, 3);
    assert_eq!(claim(&store, 4).restored.unwrap().cut.epoch, Epoch(3));
}

#[test]
fn only_a_checkpoint_can_be_chosen() {
    let store = store();
    let mut claimed = claim(&store, 1);
    publish(&mut claimed.log, 1);
    for slot in [1, 9] {
        let error = try_claim(&store, 2, RestoreFrom::Slot { slot, accept_repeats: true }).err().unwrap();
        assert!(error.message().contains("checkpoints list"), "{error}");
    }
    let newest = try_claim(&store, 2, RestoreFrom::Slot { slot: 2, accept_repeats: false }).unwrap();
    assert_eq!(newest.restored.unwrap().cut.epoch, Epoch(1));
}

#[test]
fn a_restored_checkpoint_can_be_published_anew_but_no_other_twice() {
    let store = store();
    let mut old = claim(&store, 1);
    publish(&mut old.log, 1);
    let mut new = claim(&store, 2);
    publish(&mut new.log, 1);
    publish(&mut new.log, 1);
    publish(&mut new.log, 2);
    for epoch in [1, 2] {
        assert_eq!(new.log.publish(cut(epoch), 0).unwrap_err().kind(), ErrorKind::Internal);
    }
}

#[test]
fn a_clean_end_leaves_nothing_to_be_settled() {
    let store = store();
    let mut log = claim(&store, 1).log;
    let listed = Committable { participant: "totals".into(), epoch: Epoch(1), bytes: vec![7] };
    let cut = Cut { committables: vec![listed], ..cut(1) };
    // Before the first checkpoint there is nothing to say, and what an earlier attempt left is not this one's.
    log.close(9).unwrap();
    assert_eq!(store.list().unwrap(), [1]);
    assert!(matches!(log.publish(cut.clone(), 10).unwrap(), Publication::Published(_)));
    log.close(11).unwrap();
    log.close(12).unwrap();
    assert_eq!(store.list().unwrap(), [1, 2, 3]);
    let restored = claim(&store, 2).restored.unwrap();
    assert_eq!(restored.cut, Cut { committables: Vec::new(), ..cut.clone() });

    // One that finds nothing left to do but to commit closes what it restored.
    let mut log = claim(&store, 3).log;
    log.close_restored(restored.cut, 13).unwrap();
    assert_eq!(store.list().unwrap().len(), 5, "nothing is listed");
    log.close_restored(cut.clone(), 13).unwrap();
    assert_eq!(store.list().unwrap().len(), 6);
    assert_eq!(claim(&store, 4).restored.unwrap().cut.committables, []);

    // A successor that has claimed goes on from what it found.
    let mut log = claim(&store, 5).log;
    assert!(matches!(log.publish(Cut { epoch: Epoch(2), ..cut }, 13).unwrap(), Publication::Published(_)));
    let successor = claim(&store, 6);
    log.close(14).unwrap();
    assert_eq!(successor.restored.unwrap().cut.committables.len(), 1);
    assert_eq!(store.list().unwrap().len(), 10);
}

#[test]
fn a_manifest_never_names_a_blob_that_is_not_there() {
    let store = store();
    let mut claimed = claim(&store, 1);
    let cut = cut_with(&claimed.log, 1, &["1-1-a"]);
    store.delete_blob("1-1-a").unwrap();
    assert_eq!(claimed.log.publish(cut, 0).unwrap_err().kind(), ErrorKind::Internal);
}

#[test]
fn an_attempt_whose_blobs_a_younger_one_cleaned_up_is_superseded() {
    let store = store();
    let mut old = claim(&store, 1);
    let late = cut_with(&old.log, 1, &["1-1-a"]);
    let mut new = claim(&store, 2);
    publish(&mut new.log, 1);
    new.log.retain(1).unwrap();
    assert!(store.list_blobs().unwrap().is_empty());
    assert_superseded(old.log.publish(late, 0));
}

#[test]
fn another_jobs_store_is_refused() {
    let error = CheckpointLog::open(Arc::new(store()), "other").err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[test]
fn retention_keeps_what_is_named_and_what_is_being_written() {
    let store = store();
    let mut dead = claim(&store, 1);
    let first = cut_with(&dead.log, 1, &["1-1-kept"]);
    dead.log.publish(first, 0).unwrap();
    store.put_blob("1-2-orphan", b"x").unwrap();
    let mut log = claim(&store, 2).log;
    assert_eq!(log.retain(1).unwrap(), Retained::default(), "nothing published yet");
    let second = cut_with(&log, 2, &["1-1-kept", "3-2-a"]);
    log.publish(second, 0).unwrap();
    let third = cut_with(&log, 3, &["3-2-a", "3-3-b"]);
    log.publish(third, 0).unwrap();
    for unpublished in ["3-4-next", "9-1-younger", "notes"] {
        store.put_blob(unpublished, b"x").unwrap();
    }
    store.put_blob("3-3-dropped", b"x").unwrap();
    assert_eq!(log.retain(2).unwrap(), Retained { slots_deleted: 3, blobs_deleted: 2 });
    assert_eq!(store.list().unwrap(), [4, 5]);
    assert_eq!(store.list_blobs().unwrap(), ["1-1-kept", "3-2-a", "3-3-b", "3-4-next", "9-1-younger", "notes"]);
    assert_eq!(log.retain(2).unwrap(), Retained::default(), "again");
    log.retain(1).unwrap();
    assert!(!store.list_blobs().unwrap().contains(&"1-1-kept".to_owned()));
}

#[test]
fn retention_keeps_savepoints_and_their_blobs() {
    let store = store();
    let mut log = claim(&store, 1).log;
    let savepoint = Cut { kind: CheckpointKind::Savepoint, ..cut_with(&log, 1, &["1-1-save"]) };
    log.publish(savepoint, 0).unwrap();
    publish(&mut log, 2);
    publish(&mut log, 3);
    log.retain(1).unwrap();
    assert_eq!(store.list().unwrap(), [2, 4]);
    assert_eq!(store.list_blobs().unwrap(), ["1-1-save"]);
}

#[test]
fn retention_deletes_no_blobs_while_a_damaged_slot_may_name_them() {
    let store = store();
    let mut log = claim(&store, 1).log;
    let name = blob_name(log.attempt(), Epoch(1), "count", 0, 0);
    let first = cut_with(&log, 1, &[&name]);
    log.publish(first, 0).unwrap();
    publish(&mut log, 2);
    store.overwrite(2, b"");
    publish(&mut log, 3);
    log.retain(3).unwrap();
    assert_eq!(store.list_blobs().unwrap(), [name]);
    log.retain(2).unwrap();
    assert!(store.list_blobs().unwrap().is_empty(), "slot 2 has fallen out of the window");
}

#[test]
fn a_restored_checkpoint_is_published_anew_before_its_replacement_may_be_committed() {
    let store = store();
    publish(&mut claim(&store, 1).log, 1);
    let mut second = claim(&store, 2);
    let mut recovery = second.log.recovery(second.restored.map(|it| it.cut), second.permit, false, || 9);
    let old = recovery.published("out").remove(0);
    let new = recovery.replace(old.clone(), vec![2]).unwrap();
    assert_eq!((new.committable().bytes.as_slice(), new.permit().epoch()), ([2].as_slice(), Epoch(1)));
    // What is no longer listed cannot be replaced once more.
    assert_eq!(recovery.replace(old, vec![3]).unwrap_err().kind(), ErrorKind::Internal);
    drop(recovery);
    let mut third = claim(&store, 3);
    let restored = third.restored.unwrap().cut;
    assert_eq!((restored.epoch, restored.committables[0].bytes.as_slice()), (Epoch(1), [2].as_slice()));
    // The second attempt is over: it must not put anything in the place of what the third settles.
    let mut zombie = second.log.recovery(Some(cut(1)), CommitPermit::published(Epoch(1)), false, || 9);
    let stale = zombie.published("out").remove(0);
    assert_eq!(zombie.replace(stale, vec![4]).unwrap_err().kind(), ErrorKind::Superseded);
    publish(&mut third.log, 2);
}

#[test]
fn a_loss_is_accepted_only_if_asked_for() {
    let store = store();
    publish(&mut claim(&store, 1).log, 1);
    let loss = DataLoss { sink: "out".into(), epoch: Epoch(1), records: 3, reason: "gone".into() };
    let mut strict = claim(&store, 2);
    let mut recovery = strict.log.recovery(strict.restored.map(|it| it.cut), strict.permit, false, || 9);
    let lost = recovery.published("out").remove(0);
    let error = recovery.give_up(lost, loss.clone()).unwrap_err();
    assert_eq!((error.kind(), error.data_loss()), (ErrorKind::DataLoss, Some(&loss)));
    assert_eq!(recovery.listed().len(), 1);
    drop(recovery);
    let mut lenient = claim(&store, 3);
    let mut recovery = lenient.log.recovery(lenient.restored.map(|it| it.cut), lenient.permit, true, || 9);
    let lost = recovery.published("out").remove(0);
    recovery.give_up(lost, loss).unwrap();
    drop(recovery);
    assert_eq!(claim(&store, 4).restored.unwrap().cut.committables, []);
}
