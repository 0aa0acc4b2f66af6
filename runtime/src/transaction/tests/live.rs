//! Prepare, commit and abort by the process that wrote.

use super::*;
use crate::testing::permit::permit;

#[test]
fn a_clean_commit_gives_the_producer_back() {
    let cluster = Cluster::new();
    let mut attempt = transactions(&cluster);
    let (committable, _) = prepare(&mut attempt, &cluster, 0, 1, &[1, 2, 3]);
    assert_eq!(cluster.committed(), [[], []] as [[u64; 0]; 2]);
    let rotation = rotation();
    attempt.commit(&committable, &permit(Epoch(1)), &rotation).unwrap();
    assert_eq!((given_back(&rotation, 1), cluster.committed()), (0, vec![vec![2], vec![1, 3]]));
    // Again, as after a restart: the fate is asked for, nothing else happens.
    attempt.commit(&committable, &permit(Epoch(1)), &rotation).unwrap();
    assert_eq!((cluster.asked("end"), cluster.committed()), (0, vec![vec![2], vec![1, 3]]));
    assert_eq!(given_back(&rotation, 2), 1, "once a later manifest is durable");
}

#[test]
fn a_producer_without_a_clean_answer_is_retired() {
    let cluster = Cluster::new();
    let mut attempt = transactions(&cluster);
    let (committable, live) = prepare(&mut attempt, &cluster, 0, 1, &[1]);
    *live.unclean.borrow_mut() = Some("timed out");
    let rotation = rotation();
    attempt.commit(&committable, &permit(Epoch(1)), &rotation).unwrap();
    assert_eq!((given_back(&rotation, 2), cluster.committed().remove(1)), (0, vec![1]));
}

#[test]
fn a_commit_that_finds_the_transaction_aborted_fails_the_attempt() {
    let cluster = Cluster::new();
    let mut attempt = transactions(&cluster);
    let (committable, live) = prepare(&mut attempt, &cluster, 0, 1, &[1]);
    cluster.expire(live.id());
    let error = attempt.commit(&committable, &permit(Epoch(1)), &rotation()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Sink, "{error}");
}

#[test]
fn nothing_is_committed_before_its_manifest_is_durable() {
    let cluster = Cluster::new();
    let mut attempt = transactions(&cluster);
    let (committable, _) = prepare(&mut attempt, &cluster, 0, 2, &[1]);
    let error = attempt.commit(&committable, &permit(Epoch(1)), &rotation()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert_eq!(cluster.state("job/lineage/1-0"), "Ongoing");
}

/// The job's first producer, which has written to partition 0.
fn begun(cluster: &Cluster) -> Live {
    let live = cluster.producer("job/lineage/1-0");
    live.initialise().unwrap();
    live.begin().unwrap();
    live.write(0, 1);
    live
}

#[test]
fn prepare_proves_that_the_description_speaks_of_its_own_transaction() {
    let cluster = Cluster::new();
    let mut attempt = transactions(&cluster);
    let live = begun(&cluster);
    // Somebody takes the id over after the flush, and has a transaction of his own open.
    let other = cluster.producer("job/lineage/1-0");
    other.initialise().unwrap();
    other.write(1, 9);
    let error = prepared(&mut attempt, 1, &live).unwrap_err();
    assert!(error.message().contains("belongs to another process now"), "{error}");
}

#[test]
fn prepare_notices_that_an_administrator_ended_it_between_two_partitions() {
    let cluster = Cluster::new();
    let mut attempt = transactions(&cluster);
    let live = begun(&cluster);
    let described = cluster.clone().describe(live.id()).unwrap().unwrap();
    assert_eq!(cluster.clone().end(live.id(), described.producer, false).unwrap(), 0);
    live.write(1, 2);
    let error = prepared(&mut attempt, 1, &live).unwrap_err();
    assert!(error.message().contains("without the records in t/0"), "{error}");
}

#[test]
fn prepare_waits_for_a_new_leader() {
    let cluster = Cluster::new();
    let live = begun(&cluster);
    cluster.change_leaders(0, 5);
    prepared(&mut transactions(&cluster), 1, &live).unwrap();
}

#[test]
fn the_time_left_counts_from_the_oldest_prepared_transaction() {
    let cluster = Cluster::new();
    let mut attempt = transactions(&cluster);
    let old = cluster.producer("job/lineage/1-0").aged(50);
    old.initialise().unwrap();
    old.write(0, 1);
    let error = prepared(&mut attempt, 1, &old).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let younger = old.aged(44);
    prepared(&mut attempt, 1, &younger).unwrap();
    let next = cluster.producer("job/lineage/1-1");
    next.initialise().unwrap();
    next.write(0, 2);
    prepared(&mut attempt, 2, &next).unwrap();
    // The checkpoint of epoch 1 was late, and its transaction is carried along.
    let mut attempt = transactions(&cluster);
    prepared(&mut attempt, 1, &younger).unwrap();
    let aged = next.aged(46);
    assert_eq!(prepared(&mut attempt, 2, &aged).unwrap_err().kind(), ErrorKind::Timeout);
}

#[test]
fn what_was_prepared_in_vain_is_aborted() {
    let cluster = Cluster::new();
    let mut attempt = transactions(&cluster);
    let (committable, _) = prepare(&mut attempt, &cluster, 0, 1, &[1]);
    let rotation = rotation();
    attempt.abort(&committable, &rotation).unwrap();
    assert_eq!((given_back(&rotation, 0), cluster.state("job/lineage/1-0")), (1, "CompleteAbort"));
}
