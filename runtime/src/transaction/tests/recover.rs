//! What another process does with what a manifest lists.

use super::*;
use crate::testing::permit::recovery;

/// Recovers from a manifest that lists these; returns what it lists afterwards.
pub(super) fn recover<'a>(
    cluster: &Cluster,
    committables: impl IntoIterator<Item = &'a Committable>,
    accept_data_loss: bool,
) -> Result<Vec<Committable>> {
    recover_as(cluster, 2, committables, accept_data_loss)
}

/// The same, as the attempt of this slot.
fn recover_as<'a>(
    cluster: &Cluster,
    slot: u64,
    committables: impl IntoIterator<Item = &'a Committable>,
    accept_data_loss: bool,
) -> Result<Vec<Committable>> {
    let committables: Vec<Committable> = committables.into_iter().cloned().collect();
    let epoch = committables.last().map_or(Epoch(0), |last| last.epoch);
    let mut recovery = recovery(epoch, &committables, accept_data_loss);
    let published = recovery.published("kafka");
    attempt(cluster, slot).recover(published, &mut recovery)?;
    Ok(recovery.listed().to_vec())
}

pub(super) fn written(cluster: &Cluster, number: u64, epoch: u64, values: &[u64]) -> Committable {
    prepare(&mut transactions(cluster), cluster, number, epoch, values).0
}

pub(super) fn ids(listed: &[Committable]) -> Vec<String> {
    listed.iter().map(|one| KafkaCommittable::from_bytes(&one.bytes).unwrap().transactional_id).collect()
}

pub(super) const NOTHING: [Vec<u64>; 2] = [vec![], vec![]];

#[test]
fn an_open_transaction_is_committed_and_what_is_not_listed_aborted() {
    let cluster = Cluster::new();
    let listed = written(&cluster, 0, 1, &[1, 2]);
    written(&cluster, 1, 2, &[3, 4]);
    let foreign = cluster.producer("job/other/0");
    foreign.initialise().unwrap();
    foreign.write(0, 9);
    assert_eq!(recover(&cluster, [&listed], false).unwrap(), std::slice::from_ref(&listed));
    assert_eq!(cluster.state("job/lineage/1-1"), "Empty");
    assert_eq!(cluster.state("job/other/0"), "Ongoing");
    // Again, and again nothing changes.
    recover(&cluster, [&listed], false).unwrap();
    assert_eq!(cluster.asked("end"), 1);
    assert_eq!(cluster.committed(), [vec![2], vec![1]]);
}

#[test]
fn any_number_of_retired_ids_does_not_hold_the_start_up() {
    let cluster = Cluster::new();
    let id = |slot| Ids::new("job", "lineage", slot).producer(0);
    (1..=100).for_each(|slot| cluster.producer(&id(slot)).initialise().unwrap());
    let open = cluster.producer(&id(50));
    open.initialise().unwrap();
    open.write(0, 1);
    recover_as(&cluster, 101, [], false).unwrap();
    assert_eq!((cluster.asked("take over"), cluster.state(&id(50))), (33, "Empty"));
    let taken = |slot| cluster.asked(&format!("take over {}", id(slot)));
    assert_eq!([68, 69, 100].map(taken), [0, 1, 1], "those of the latest attempts");
}

#[test]
fn all_partitions_of_what_is_aborted_have_to_answer_first() {
    let cluster = Cluster::new();
    written(&cluster, 0, 1, &[1, 2]);
    recover(&cluster, [], false).unwrap();
    let asked = cluster.0.borrow().asked.clone();
    assert_eq!(asked, ["log start 0", "log start 1", "take over job/lineage/1-0"]);
    // Of a topic that is gone nothing answers, and nobody waits.
    let cluster = Cluster::new();
    written(&cluster, 0, 1, &[1, 2]);
    cluster.0.borrow_mut().topic_id = None;
    recover(&cluster, [], false).unwrap();
    assert_eq!(cluster.0.borrow().asked, ["take over job/lineage/1-0"]);
}

#[test]
fn ids_of_a_former_build_are_settled_and_aborted() {
    let cluster = Cluster::new();
    let mut first = transactions(&cluster);
    let mut open = |number: u64, value| {
        let live = cluster.producer(&format!("job/lineage/{number}"));
        live.initialise().unwrap();
        live.begin().unwrap();
        live.write(1, value);
        prepared(&mut first, number, &live).unwrap()
    };
    let (expired, prepared, _unlisted) = (open(1, 1), open(2, 3), open(3, 5));
    cluster.expire("job/lineage/1");
    let listed = recover(&cluster, [&expired, &prepared], false).unwrap();
    assert_eq!(ids(&listed), ["job/lineage/1~r1-2", "job/lineage/2~r1-2"]);
    assert_eq!((cluster.state("job/lineage/3"), cluster.committed()), ("Empty", vec![vec![], vec![1, 3]]));
}

/// The attempt of slot 3, when that of slot 2 sleeps: it has prepared, and its manifest lists that.
fn successor(cluster: &Cluster) {
    recover_as(cluster, 3, [], false).unwrap();
    prepare(&mut attempt(cluster, 3), cluster, 0, 1, &[3]);
}

#[test]
fn one_that_was_superseded_aborts_nothing_of_its_successor() {
    let cluster = Cluster::new();
    written(&cluster, 0, 1, &[1]);
    // It slept before it listed, and sees that it is not the last.
    successor(&cluster);
    let error = recover_as(&cluster, 2, [], false).unwrap_err();
    assert!(error.message().contains("\"job/lineage/3-0\""), "{error}");
    assert_eq!(cluster.state("job/lineage/3-0"), "Ongoing");
    // It slept between the list and what it does about that.
    let cluster = Cluster::new();
    written(&cluster, 0, 1, &[1]);
    cluster.0.borrow_mut().after_list = Some(successor);
    recover_as(&cluster, 2, [], false).unwrap();
    assert_eq!((cluster.state("job/lineage/1-0"), cluster.state("job/lineage/3-0")), ("Empty", "Ongoing"));
    assert_eq!((cluster.asked("take over job/lineage/1-0"), cluster.asked("take over job/lineage/3-0")), (2, 0));
}

/// Its successor has written again what it lists itself. A copy of the store that was left behind is like it.
#[test]
fn one_that_was_superseded_or_an_old_copy_writes_nothing_again() {
    let cluster = Cluster::new();
    let old = written(&cluster, 0, 1, &[1]);
    cluster.expire("job/lineage/1-0");
    let theirs = cluster.producer("job/lineage/1-0~r1-3");
    theirs.initialise().unwrap();
    theirs.write(1, 1);
    let error = recover_as(&cluster, 2, [&old], false).unwrap_err();
    assert!(error.kind() == ErrorKind::Checkpoint && error.message().contains("--accept-repeats"), "{error}");
    assert_eq!((cluster.state("job/lineage/1-0~r1-3"), cluster.asked("copy")), ("Ongoing", 0));
    // Told to, it goes on, and leaves alone what is not its own.
    let mut recovery = recovery(Epoch(1), &[old], false).accepting_repeats(true);
    let published = recovery.published("kafka");
    attempt(&cluster, 2).recover(published, &mut recovery).unwrap();
    assert_eq!((cluster.state("job/lineage/1-0~r1-3"), cluster.asked("copy")), ("Ongoing", 1));
}

/// A manifest that is restored once more lists an id that was used again since, and what it was used for is open.
#[test]
fn what_a_listed_id_was_used_for_later_is_aborted() {
    let cluster = Cluster::new();
    let old = written(&cluster, 0, 1, &[1, 2]);
    recover(&cluster, [&old], false).unwrap();
    let again = cluster.producer("job/lineage/1-0");
    again.initialise().unwrap();
    again.write(1, 3);
    recover(&cluster, [&old], false).unwrap();
    assert_eq!((cluster.state("job/lineage/1-0"), cluster.committed()), ("Empty", vec![vec![2], vec![1]]));
    assert_eq!(cluster.0.borrow().open_in_all(), 0);
}

/// Part of it is in nobody's log any more: a commit would hide that, and so would an abort that was not asked for.
#[test]
fn an_open_transaction_that_is_cut_off_is_told() {
    let cluster = Cluster::new();
    let old = written(&cluster, 0, 1, &[1, 3, 2]);
    cluster.0.borrow_mut().partitions[1].start = 1;
    let error = recover(&cluster, [&old], false).unwrap_err();
    assert_eq!(error.data_loss().map(|loss| loss.records), Some(1), "{error}");
    assert_eq!(cluster.state("job/lineage/1-0"), "Ongoing");
    let listed = recover(&cluster, [&old], true).unwrap();
    assert_eq!((ids(&listed), cluster.committed()), (vec!["job/lineage/1-0~r1-2".to_owned()], vec![vec![2], vec![3]]));
}

/// Nothing lies behind what is younger then.
#[test]
fn where_nothing_could_be_written_again_the_younger_ones_are_committed() {
    let cluster = Cluster::new();
    let first = written(&cluster, 0, 1, &[1]);
    let second = written(&cluster, 1, 2, &[2]);
    cluster.expire("job/lineage/1-0");
    cluster.0.borrow_mut().partitions[1].start = 2;
    let listed = recover(&cluster, [&first, &second], true).unwrap();
    assert_eq!((listed, cluster.asked("copy")), (vec![second], 0));
    assert_eq!(cluster.committed(), [vec![2], vec![]]);
}

#[test]
fn an_aborted_transaction_is_written_again_and_published_first() {
    let cluster = Cluster::new();
    let old = written(&cluster, 0, 1, &[1, 2, 3]);
    cluster.expire("job/lineage/1-0");
    let listed = recover(&cluster, [&old], false).unwrap();
    assert_eq!(ids(&listed), ["job/lineage/1-0~r1-2"]);
    assert_eq!(cluster.committed(), [vec![2], vec![1, 3]]);
    // The new one is like any other: committed is committed.
    assert_eq!(recover(&cluster, &listed, false).unwrap(), listed);
    assert_eq!(cluster.committed(), [vec![2], vec![1, 3]]);
}

#[test]
fn a_replay_that_was_aborted_is_replayed() {
    let cluster = Cluster::new();
    let old = written(&cluster, 0, 1, &[1, 2]);
    cluster.expire("job/lineage/1-0");
    // Dies after its replay was published: the commit does not happen, and in the end it expires, too.
    let mut recovery = recovery(Epoch(1), &[old], false);
    let published = recovery.published("kafka").remove(0);
    let listed = [KafkaCommittable::from_bytes(&published.committable().bytes).unwrap()];
    let replaced = replay::replay(
        &mut cluster.clone(),
        &Ids::new("job", "lineage", 2),
        published,
        &listed,
        &[0],
        &mut ask::Topics::default(),
        &mut recovery,
    );
    assert!(matches!(replaced.unwrap(), (Some(_), true)));
    cluster.expire("job/lineage/1-0~r1-2");
    assert_eq!(cluster.committed(), NOTHING);
    let listed = recover(&cluster, recovery.listed(), false).unwrap();
    assert_eq!(ids(&listed), ["job/lineage/1-0~r2-2"]);
    assert_eq!(cluster.committed(), [vec![2], vec![1]]);
}

#[test]
fn an_orphan_of_an_earlier_replay_is_aborted_by_the_next() {
    let cluster = Cluster::new();
    let old = written(&cluster, 0, 1, &[1]);
    cluster.expire("job/lineage/1-0");
    let orphan = cluster.producer("job/lineage/1-0~r1-2");
    orphan.initialise().unwrap();
    orphan.write(1, 1);
    recover_as(&cluster, 3, [&old], false).unwrap();
    assert_eq!(cluster.committed()[1], [1]);
}

#[test]
fn younger_epochs_are_written_again_behind_a_replayed_one() {
    let cluster = Cluster::new();
    let first = written(&cluster, 0, 1, &[1, 3]);
    let second = written(&cluster, 1, 2, &[5, 7]);
    cluster.expire("job/lineage/1-0");
    let listed = recover(&cluster, [&first, &second], false).unwrap();
    assert_eq!(ids(&listed), ["job/lineage/1-0~r1-2", "job/lineage/1-1~r1-2"]);
    assert_eq!(cluster.committed()[1], [1, 3, 5, 7]);
}

#[test]
fn younger_epochs_are_written_again_behind_one_that_a_dead_recovery_replayed() {
    let cluster = Cluster::new();
    let first = written(&cluster, 0, 1, &[1, 3]);
    let second = written(&cluster, 1, 2, &[5, 7]);
    cluster.expire("job/lineage/1-0");
    // Dies when the older one is settled: the younger one is still open, in front of it.
    let mut recovery = recovery(Epoch(2), &[first, second], false);
    let published = recovery.published("kafka").remove(0);
    let accept = |_: &KafkaCommittable| Ok(());
    settle::settle_published(
        &mut cluster.clone(),
        &Ids::new("job", "lineage", 2),
        published,
        &mut recovery,
        settle::Wish::Commit,
        accept,
    )
    .unwrap();
    assert_eq!(cluster.state("job/lineage/1-1"), "Ongoing");
    let listed = recover(&cluster, recovery.listed(), false).unwrap();
    assert_eq!(ids(&listed), ["job/lineage/1-0~r1-2", "job/lineage/1-1~r1-2"]);
    assert_eq!(cluster.committed()[1], [1, 3, 5, 7]);
}

#[test]
fn a_replay_whose_id_is_taken_over_is_not_published() {
    let cluster = Cluster::new();
    let old = written(&cluster, 0, 1, &[1, 2]);
    cluster.expire("job/lineage/1-0");
    cluster.0.borrow_mut().rob_after_copies = Some(2);
    let error = recover(&cluster, [&old], false).unwrap_err();
    assert!(error.message().contains("is the job running twice?"), "{error}");
    assert_eq!(cluster.committed(), NOTHING);
    recover(&cluster, [&old], false).unwrap();
    assert_eq!(cluster.committed(), [vec![2], vec![1]]);
}

#[test]
fn what_a_new_leader_does_not_show_yet_is_not_lost() {
    for seconds in [5, 40] {
        let cluster = Cluster::new();
        let old = written(&cluster, 0, 1, &[1, 2, 3]);
        cluster.expire("job/lineage/1-0");
        cluster.change_leaders(0, seconds);
        recover(&cluster, [&old], false).unwrap();
        assert_eq!(cluster.committed(), [vec![2], vec![1, 3]]);
    }
    // For ever is too long, and no reason to believe that it is lost.
    let cluster = Cluster::new();
    let old = written(&cluster, 0, 1, &[1, 2, 3]);
    cluster.expire("job/lineage/1-0");
    cluster.change_leaders(1, 600);
    let error = recover(&cluster, [&old], true).unwrap_err();
    assert_eq!((error.kind(), cluster.asked("copy")), (ErrorKind::Sink, 0), "{error}");
    assert!(error.message().contains("shows nothing from offset 1 on"), "{error}");
}

#[test]
fn a_fate_waits_for_a_new_leader() {
    for committed in [true, false] {
        let cluster = Cluster::new();
        let old = written(&cluster, 0, 1, &[1, 2]);
        if committed {
            recover(&cluster, [&old], false).unwrap();
        } else {
            cluster.expire("job/lineage/1-0");
        }
        cluster.forget("job/lineage/1-0");
        cluster.change_leaders(0, 5);
        recover(&cluster, [&old], false).unwrap();
        assert_eq!(cluster.committed(), [vec![2], vec![1]]);
        assert_eq!(cluster.asked("copy"), if committed { 0 } else { 2 });
    }
}

#[test]
fn a_committed_transaction_whose_topic_is_gone_is_settled() {
    let cluster = Cluster::new();
    let old = written(&cluster, 0, 1, &[1, 2, 3]);
    recover(&cluster, [&old], false).unwrap();
    cluster.0.borrow_mut().topic_id = None;
    assert_eq!(recover(&cluster, [&old], false).unwrap(), [old]);
}

#[test]
fn a_forgotten_id_is_decided_by_the_log() {
    for committed in [true, false] {
        let cluster = Cluster::new();
        let old = written(&cluster, 0, 1, &[1, 2]);
        if committed {
            recover(&cluster, [&old], false).unwrap();
        } else {
            cluster.expire("job/lineage/1-0");
        }
        cluster.forget("job/lineage/1-0");
        recover(&cluster, [&old], false).unwrap();
        assert_eq!(cluster.committed(), [vec![2], vec![1]]);
        assert_eq!(cluster.asked("copy"), if committed { 0 } else { 2 });
    }
}

#[test]
fn behind_a_foreign_open_transaction_only_the_marker_knows() {
    let cluster = Cluster::new();
    let foreign = cluster.producer("foreign");
    foreign.initialise().unwrap();
    foreign.write(0, 90);
    foreign.write(1, 91);
    let old = written(&cluster, 0, 1, &[1, 2]);
    recover(&cluster, [&old], false).unwrap();
    cluster.producer("job/lineage/1-0").initialise().unwrap();
    recover(&cluster, [&old], false).unwrap();
    assert_eq!((cluster.asked("copy"), cluster.committed()), (0, NOTHING.to_vec()));
    foreign.commit();
    assert_eq!(cluster.committed(), [vec![90, 2], vec![91, 1]]);
}

#[test]
fn what_cannot_be_known_is_an_error_of_its_own() {
    // The log is gone and the id forgotten; whether the topic is compacted may not be known.
    let cluster = Cluster::new();
    let old = written(&cluster, 0, 1, &[2]);
    cluster.expire("job/lineage/1-0");
    cluster.forget("job/lineage/1-0");
    cluster.0.borrow_mut().partitions[0].start = 1;
    cluster.0.borrow_mut().compacted = None;
    let error = recover(&cluster, [&old], true).unwrap_err();
    assert_eq!((error.kind(), cluster.asked("copy")), (ErrorKind::FateUnknown, 0), "{error}");
    // Known not to be compacted, its marker is there and tells.
    cluster.0.borrow_mut().compacted = Some(false);
    assert_eq!(recover(&cluster, [&old], false).unwrap_err().kind(), ErrorKind::DataLoss);
}

#[test]
fn the_next_transaction_of_the_same_session_is_left_alone() {
    let cluster = Cluster::new();
    let mut attempt = transactions(&cluster);
    let (first, live) = prepare(&mut attempt, &cluster, 0, 1, &[1]);
    attempt.commit(&first, &crate::testing::permit::permit(Epoch(1)), &rotation()).unwrap();
    live.begin().unwrap();
    live.write(1, 3);
    recover(&cluster, [&first], false).unwrap();
    assert_eq!((cluster.asked("end"), cluster.committed()), (0, vec![vec![], vec![1]]));
}

#[test]
fn what_recovery_would_do_is_told_and_nothing_done() {
    use crate::api::transactions::Outlook::*;
    let outlooks = |cluster: &Cluster, listed: &[&Committable], cluster_id: &str| {
        let read = |committable: &&Committable| KafkaCommittable::all_from_bytes(&committable.bytes).unwrap();
        let committables: Vec<_> = listed.iter().map(read).collect();
        let foreseen = foresee(&mut cluster.clone(), cluster_id, &committables).unwrap();
        foreseen.into_iter().map(|it| it.outlook).collect::<Vec<_>>()
    };
    let cluster = Cluster::new();
    let (first, second) = (written(&cluster, 0, 1, &[1, 3]), written(&cluster, 1, 2, &[5, 7]));
    let both = [&first, &second];
    assert_eq!(outlooks(&cluster, &both, "c"), [Commit, Commit]);
    assert!(matches!(&outlooks(&cluster, &both, "other")[..], [Stop(_), Stop(_)]));
    cluster.expire("job/lineage/1-0");
    let told = outlooks(&cluster, &both, "c");
    assert!(
        matches!(&told[..], [Replay(why), Replay(younger)] if why.contains("aborted") && younger.contains("open")),
        "{told:?}"
    );
    assert!(cluster.asked("end") + cluster.asked("take over") + cluster.asked("copy") == 0);
    // As recovery does it.
    let listed = recover(&cluster, both, false).unwrap();
    assert_eq!(cluster.committed()[1], [1, 3, 5, 7]);
    assert_eq!(outlooks(&cluster, &listed.iter().collect::<Vec<_>>(), "c"), [Committed, Committed]);
    // The topic of an open one is gone.
    let third = written(&cluster, 2, 3, &[9]);
    cluster.0.borrow_mut().topic_id = None;
    assert!(matches!(&outlooks(&cluster, &[&third], "c")[..], [Loss(_)]));
    cluster.0.borrow_mut().topic_id = Some("id-1".into());
    // The log has lost it.
    cluster.0.borrow_mut().partitions[1].start = 2;
    let told = outlooks(&cluster, &[&first], "c");
    assert!(matches!(&told[..], [Loss(why)] if why.contains("2 of them are gone (t/1: the log begins")), "{told:?}");
}

#[test]
fn another_cluster_is_refused() {
    let cluster = Cluster::new();
    let old = written(&cluster, 0, 1, &[1]);
    let mut elsewhere = KafkaCommittable::from_bytes(&old.bytes).unwrap();
    elsewhere.cluster_id = "other".into();
    let old = Committable { bytes: serde_json::to_vec(&elsewhere).unwrap(), ..old };
    assert_eq!(recover(&cluster, [&old], false).unwrap_err().kind(), ErrorKind::Config);
}

/// Nobody waits for a leader that there never will be.
#[test]
fn a_partition_that_a_topic_has_no_more_is_not_asked() {
    let cluster = Cluster::new();
    written(&cluster, 0, 1, &[1, 2]);
    cluster.0.borrow_mut().known_partitions = Some(1);
    recover(&cluster, [], false).unwrap();
    assert_eq!((cluster.asked("log start 0"), cluster.asked("log start 1")), (1, 0));
}
