use super::local::Crash;
use super::*;
use crate::control::log::{CheckpointLog, ClaimRequest, Claimed, Publication, RestoreFrom};
use crate::control::manifest::{Abandoned, CheckpointKind, Cut, Slot};
use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use uuid::Uuid;

thread_local!(static NEXT: Cell<u128> = const { Cell::new(1) });

fn uuid() -> Uuid {
    Uuid::from_u128(NEXT.replace(NEXT.get() + 1))
}

fn open(root: &Path) -> LocalStore {
    LocalStore::open(root, "totals", uuid).unwrap()
}

fn each_store(check: impl Fn(&dyn CheckpointStore)) {
    check(&MemoryStore::new("totals", uuid()));
    let folder = tempfile::tempdir().unwrap();
    check(&open(&folder.path().join("a/b")));
}

#[test]
fn a_slot_is_made_once() {
    each_store(|store| {
        assert_eq!(store.create(1, b"one").unwrap(), Created::Created);
        assert_eq!(store.create(1, b"other").unwrap(), Created::Taken);
        assert_eq!(store.create(2, b"two").unwrap(), Created::Created);
        assert_eq!(store.read(1).unwrap().unwrap(), b"one");
        assert_eq!(store.read(3).unwrap(), None);
        assert_eq!(store.list().unwrap(), [1, 2]);
    });
}

#[test]
fn a_slot_deleted_by_retention_cannot_be_made_again() {
    each_store(|store| {
        store.create(1, b"one").unwrap();
        store.create(2, b"two").unwrap();
        store.delete_slot(1).unwrap();
        store.delete_slot(1).unwrap();
        assert_eq!(store.create(1, b"zombie").unwrap(), Created::Taken);
    });
}

#[test]
fn blobs_are_kept_and_retries_accepted_but_names_not_used_twice() {
    each_store(|store| {
        let name = blob_name(3, Epoch(7), "count/by key", 1, 0);
        store.put_blob(&name, b"state").unwrap();
        store.put_blob(&name, b"state").unwrap();
        assert_eq!(store.put_blob(&name, b"other").unwrap_err().kind(), ErrorKind::Internal);
        assert_eq!(store.get_blob(&name).unwrap(), b"state");
        assert_eq!(store.list_blobs().unwrap().as_slice(), std::slice::from_ref(&name));
        store.delete_blob(&name).unwrap();
        store.delete_blob(&name).unwrap();
        assert_eq!(store.get_blob(&name).unwrap_err().kind(), ErrorKind::Checkpoint);
        for bad in ["", "../x", "a.b", "a/b", &"x".repeat(161)] {
            assert!(store.put_blob(bad, b"").is_err(), "{bad}");
        }
    });
}

#[test]
fn blob_names_are_distinct_and_say_where_they_are_from() {
    let long = "x".repeat(500);
    let names = ["a/b", "a_b", "a~2fb", "ä", &long, &format!("{long}y")].map(|id| blob_name(12, Epoch(5), id, 0, 0));
    for (at, name) in names.iter().enumerate() {
        check_blob_name(name).unwrap();
        assert_eq!(blob_origin(name), Some((12, Epoch(5))));
        assert!(!names[..at].contains(name), "{name}");
    }
    assert_eq!(blob_origin("something-else"), None);
}

#[test]
fn the_store_remembers_its_lineage_and_refuses_another_job() {
    let folder = tempfile::tempdir().unwrap();
    let lineage = open(folder.path()).identity().lineage;
    assert_eq!(open(folder.path()).identity().lineage, lineage);
    let looked = LocalStore::open_existing(folder.path(), uuid).unwrap();
    assert_eq!(looked.identity().job, "totals");
    let refused = LocalStore::open(folder.path(), "other", uuid).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config);
    assert!(refused.message().contains("a folder of its own"), "{refused}");
    let missing = LocalStore::open_existing(&folder.path().join("no"), uuid).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Config);
}

#[test]
fn a_store_without_its_identity_is_not_given_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).create(1, b"one").unwrap();
    fs::remove_file(folder.path().join("STORE")).unwrap();
    let refused = LocalStore::open(folder.path(), "totals", uuid).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Checkpoint);
    fs::write(folder.path().join("STORE"), "hello").unwrap();
    assert!(LocalStore::open(folder.path(), "totals", uuid).unwrap_err().message().contains("STORE is not a file of"));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a race needs threads")]
fn two_that_make_a_store_at_once_agree_on_its_lineage() {
    let folder = tempfile::tempdir().unwrap();
    let lineages: Vec<Uuid> = std::thread::scope(|scope| {
        let open = |at: u128| {
            let path = folder.path();
            scope.spawn(move || {
                NEXT.set(at * 100);
                open(path).identity().lineage
            })
        };
        let threads: Vec<_> = (1..=8).map(open).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(lineages.iter().all(|lineage| *lineage == lineages[0]));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a race needs threads")]
fn of_many_that_race_for_a_slot_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    let stores: Vec<LocalStore> = (0..4).map(|_| open(folder.path())).collect();
    for slot in 1..20 {
        let won: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = stores
                .iter()
                .enumerate()
                .map(|(at, store)| scope.spawn(move || store.create(slot, &[at as u8]).unwrap()))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).filter(|made| *made == Created::Created).count()
        });
        assert_eq!(won, 1);
    }
}

#[test]
fn a_crash_before_the_link_leaves_no_slot_and_after_it_a_whole_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    *store.crash.lock().unwrap() = Some(Crash::BeforeLink);
    store.create(1, b"one").unwrap_err();
    assert!(store.list().unwrap().is_empty());
    assert_eq!(fs::read_dir(folder.path().join("tmp")).unwrap().count(), 1);
    *store.crash.lock().unwrap() = Some(Crash::AfterLink);
    store.create(1, b"one").unwrap_err();
    assert_eq!(store.create(1, b"one").unwrap(), Created::Taken);
    assert_eq!(store.read(1).unwrap().unwrap(), b"one");
}

#[expect(clippy::disallowed_methods, reason = "the age of a file is told by the system's clock")]
#[test]
fn only_old_leftovers_are_removed_when_a_store_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for _ in 0..2 {
        *store.crash.lock().unwrap() = Some(Crash::BeforeLink);
        store.create(1, b"one").unwrap_err();
    }
    let tmp = folder.path().join("tmp");
    let left: Vec<_> = fs::read_dir(&tmp).unwrap().map(|entry| entry.unwrap().path()).collect();
    let long_ago = SystemTime::now() - Duration::from_secs(7200);
    fs::File::options().write(true).open(&left[0]).unwrap().set_modified(long_ago).unwrap();
    open(folder.path());
    assert!(!left[0].exists() && left[1].exists());
}

#[test]
fn a_survey_names_what_is_whole_torn_damaged_and_foreign() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let slot = Slot::Abandoned(Abandoned {
        identity: store.identity().clone(),
        attempt: uuid(),
        epoch: Epoch(1),
        abandoned_ms: 0,
        reason: "test".into(),
    });
    let bytes = slot.encode().unwrap();
    store.create(1, &bytes).unwrap();
    *store.crash.lock().unwrap() = Some(Crash::Torn);
    store.create(2, &bytes).unwrap_err();
    store.create(3, &[&bytes[..bytes.len() - 2], b"x\n"].concat()).unwrap();
    fs::write(folder.path().join("log/notes.txt"), "").unwrap();
    fs::write(folder.path().join("log/4.slot"), "").unwrap();
    fs::write(folder.path().join("README"), "").unwrap();
    let found = survey(&store).unwrap();
    let names: Vec<&str> = found.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["1", "2", "3", "README", "log/4.slot", "log/notes.txt"]);
    assert_eq!(found[0].status, SlotStatus::Ok(Box::new(slot)));
    assert!(matches!(found[1].status, SlotStatus::HalfWritten(_)));
    assert!(matches!(found[2].status, SlotStatus::Corrupt(_)));
    assert!(found[3..].iter().all(|entry| entry.status == SlotStatus::Foreign));
}

#[test]
fn a_damaged_blob_is_refused_at_every_byte() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.put_blob("1-1-x", b"some state").unwrap();
    let path = folder.path().join("state/1-1-x.blob");
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 4;
        fs::write(&path, &damaged).unwrap();
        assert_eq!(store.get_blob("1-1-x").unwrap_err().kind(), ErrorKind::Checkpoint);
        fs::write(&path, &whole[..at]).unwrap();
        assert_eq!(store.get_blob("1-1-x").unwrap_err().kind(), ErrorKind::Checkpoint);
    }
}

#[test]
fn errors_of_the_file_system_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    fs::remove_dir_all(folder.path().join("tmp")).unwrap();
    let error = store.create(1, b"one").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    assert!(error.message().contains("is the disk mounted"), "{error}");
    fs::write(folder.path().join("file"), "").unwrap();
    assert!(LocalStore::open(&folder.path().join("file/x"), "totals", uuid).is_err());
    for (kind, advice) in [
        (std::io::ErrorKind::StorageFull, "make room"),
        (std::io::ErrorKind::PermissionDenied, "give the job's user"),
        (std::io::ErrorKind::ReadOnlyFilesystem, "read-only"),
    ] {
        let error = disk::failed("write", Path::new("x"), kind.into());
        assert!(error.message().contains(advice), "{error}");
    }
}

fn claim(store: &Arc<LocalStore>, attempt: u128) -> Result<Claimed> {
    let (attempt, info) = (Uuid::from_u128(attempt), String::new());
    let request = ClaimRequest { attempt, info, restore: RestoreFrom::Newest, now_ms: 0 };
    let store: Arc<dyn CheckpointStore> = store.clone();
    CheckpointLog::open(store, "totals")?.claim(&request, &mut None)
}

fn cut(epoch: Epoch) -> Cut {
    let (kind, none) = (CheckpointKind::Checkpoint, Vec::new());
    Cut { epoch, kind, triggered_ms: 0, workers: 1, sources: Vec::new(), operators: Vec::new(), committables: none }
}

#[test]
fn the_log_finds_out_what_became_of_an_interrupted_write() {
    for crash in [Crash::BeforeLink, Crash::AfterLink] {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(open(folder.path()));
        let mut claimed = claim(&store, 1).unwrap();
        *store.crash.lock().unwrap() = Some(crash);
        let published = claimed.log.publish(cut(Epoch(1)), 0).unwrap();
        assert!(matches!(published, Publication::Published(_)), "{crash:?}");
        assert_eq!(claim(&store, 2).unwrap().restored.unwrap().cut.epoch, Epoch(1));
        assert_eq!(store.list().unwrap(), [1, 2, 3], "published once, in slot 2");
    }
}

#[test]
fn a_torn_slot_ends_the_attempt_and_is_not_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path()));
    let mut claimed = claim(&store, 1).unwrap();
    *store.crash.lock().unwrap() = Some(Crash::Torn);
    assert_eq!(claimed.log.publish(cut(Epoch(1)), 0).unwrap_err().kind(), ErrorKind::Store);
    let refused = claim(&store, 2).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Checkpoint);
    assert!(refused.message().contains("slot 2") && refused.message().contains("half-written"), "{refused}");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a race needs threads")]
fn attempts_that_start_at_once_claim_different_slots_and_one_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path()));
    let start = |attempt: u128| {
        let mut claimed = claim(&store, attempt).unwrap();
        let published = claimed.log.publish(cut(claimed.next_epoch), 0).unwrap();
        (claimed.log.attempt(), matches!(published, Publication::Published(_)))
    };
    let mut started: Vec<(u64, bool)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..=8).map(|attempt| scope.spawn(move || start(attempt))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    started.sort_unstable();
    assert!(started.windows(2).all(|pair| pair[0].0 < pair[1].0), "{started:?}");
    assert!(started.last().unwrap().1, "nobody came after the last one");
    let manifests = survey(&*store)
        .unwrap()
        .into_iter()
        .filter(|found| matches!(&found.status, SlotStatus::Ok(slot) if matches!(**slot, Slot::Manifest(_))));
    // One that was published and overtaken at the same moment is not told so; its successor settles it.
    assert!(manifests.count() >= started.iter().filter(|(_, published)| *published).count());
}
