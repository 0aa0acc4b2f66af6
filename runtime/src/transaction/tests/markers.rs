//! Kafka has forgotten to end a transaction in a partition (KAFKA-20734).

use super::recover::{ids, recover, written};
use super::*;
use crate::testing::permit::{permit, recovery};

#[test]
fn an_aborted_transaction_ends_where_kafka_forgot_to_end_it() {
    let cluster = Cluster::new();
    let listed = written(&cluster, 0, 1, &[1, 2]);
    // The values 1 and 2 are in the partitions 1 and 0, and both have to be read beside what is written again.
    cluster.0.borrow_mut().forgets = vec![1];
    cluster.expire("job/lineage/1-0");
    let listed = recover(&cluster, [&listed], false).unwrap();
    assert_eq!(ids(&listed), ["job/lineage/1-0~r1-2"]);
    assert_eq!(cluster.committed(), [vec![2], vec![1]]);
    // Not even a commit by the same producer shows the records that were aborted.
    let same = cluster.producer("job/lineage/1-0");
    same.initialise().unwrap();
    same.write(1, 9);
    assert!(matches!(same.commit(), Answer::Clean));
    assert_eq!(cluster.committed(), [vec![2], vec![1, 9]]);
}

#[test]
fn a_committed_transaction_is_visible_where_kafka_forgot_to_end_it() {
    let cluster = Cluster::new();
    let mut first = transactions(&cluster);
    let (listed, live) = prepare(&mut first, &cluster, 0, 1, &[1, 2]);
    cluster.0.borrow_mut().forgets = vec![1];
    assert!(matches!(live.commit(), Answer::Clean));
    assert_eq!(cluster.committed(), [vec![2], vec![]]);
    recover(&cluster, [&listed], false).unwrap();
    assert_eq!(cluster.committed(), [vec![2], vec![1]]);
    // One that died in the midst of it is gone on with: to begin anew would abort what was committed.
    let cluster = Cluster::new();
    let (listed, live) = prepare(&mut transactions(&cluster), &cluster, 0, 1, &[1, 2]);
    cluster.0.borrow_mut().forgets = vec![1];
    assert!(matches!(live.commit(), Answer::Clean));
    let mut brokers = cluster.clone();
    let session = brokers.take_over("job/lineage/1-0").unwrap();
    brokers.add_partitions("job/lineage/1-0", session, &[("t", 1)]).unwrap();
    recover(&cluster, [&listed], false).unwrap();
    assert_eq!(cluster.committed(), [vec![2], vec![1]]);
}

/// Nothing lists it, so nobody asks for its fate; but readers wait.
#[test]
fn what_no_manifest_lists_is_aborted_where_kafka_forgot_to() {
    for expired in [true, false] {
        let cluster = Cluster::new();
        let lost = written(&cluster, 0, 1, &[1, 2]);
        cluster.0.borrow_mut().forgets = vec![1];
        if expired {
            cluster.expire("job/lineage/1-0");
        }
        let mut second = attempt(&cluster, 2);
        second.recover(vec![], &mut recovery(Epoch(0), &[], false)).unwrap();
        drop(lost);
        assert_eq!(cluster.0.borrow().open_in_all(), 1, "expired: {expired}");
        // What ends it there is forgotten, too.
        cluster.0.borrow_mut().forgets = vec![1];
        second.abort_left(&[("t", 0), ("t", 1)]).unwrap();
        assert_eq!((cluster.0.borrow().open_in_all(), cluster.committed()), (0, vec![vec![], vec![]]));
        let asked = cluster.asked("open in");
        second.abort_left(&[("t", 0), ("t", 1)]).unwrap();
        assert_eq!(cluster.asked("open in"), asked + 1, "nothing is open: one question for all");
    }
}

/// The same producer's next transaction would end the first one there: here with an abort, so records would be lost.
#[test]
fn a_commit_is_done_where_kafka_forgot_it_before_the_producer_is_used_again() {
    let cluster = Cluster::new();
    let mut attempt = transactions(&cluster);
    let (committable, _) = prepare(&mut attempt, &cluster, 0, 1, &[1, 2]);
    cluster.0.borrow_mut().forgets = vec![1];
    let rotation = rotation();
    attempt.commit(&committable, &permit(Epoch(1)), &rotation).unwrap();
    assert_eq!(cluster.committed(), [vec![2], vec![1]]);
    assert_eq!(given_back(&rotation, 2), 0, "its id belongs to another session now");
}

/// With the same producer's next commit there, aborted records would be shown.
#[test]
fn an_abort_is_done_where_kafka_forgot_it_before_the_producer_is_used_again() {
    let cluster = Cluster::new();
    let mut attempt = transactions(&cluster);
    let (committable, _) = prepare(&mut attempt, &cluster, 0, 1, &[1, 2]);
    cluster.0.borrow_mut().forgets = vec![0, 1];
    let rotation = rotation();
    attempt.abort(&committable, &rotation).unwrap();
    assert_eq!(cluster.0.borrow().open_in_all(), 0);
    assert_eq!((given_back(&rotation, 2), cluster.committed()), (0, vec![vec![], vec![]]));
}

#[test]
fn a_leader_that_is_late_with_its_marker_is_waited_for() {
    let cluster = Cluster::new();
    let mut attempt = transactions(&cluster);
    let (committable, live) = prepare(&mut attempt, &cluster, 0, 1, &[1, 2]);
    cluster.0.borrow_mut().marks_later = Some(3);
    let rotation = rotation();
    attempt.commit(&committable, &permit(Epoch(1)), &rotation).unwrap();
    assert_eq!(cluster.committed(), [vec![2], vec![1]]);
    assert_eq!((given_back(&rotation, 2), cluster.state(live.id())), (1, "CompleteCommit"));
}

/// It is not over: whoever lists it tries again.
#[test]
fn what_cannot_be_ended_is_an_error() {
    let cluster = Cluster::new();
    let (listed, live) = prepare(&mut transactions(&cluster), &cluster, 0, 1, &[1, 2]);
    cluster.0.borrow_mut().forgets_always = true;
    cluster.0.borrow_mut().forgets = vec![1];
    assert!(matches!(live.commit(), Answer::Clean));
    let error = recover(&cluster, [&listed], false).unwrap_err();
    assert!(error.kind() == ErrorKind::Sink && error.message().contains("stays open in t/1"), "{error}");
    cluster.0.borrow_mut().forgets_always = false;
    cluster.0.borrow_mut().forgets = vec![];
    recover(&cluster, [&listed], false).unwrap();
    assert_eq!(cluster.committed(), [vec![2], vec![1]]);
}

/// More than are locked out of those that ended well, and one that a recovery took over without coming to look.
#[test]
fn what_was_aborted_long_ago_is_looked_for_too() {
    let cluster = Cluster::new();
    let id = |slot| Ids::new("job", "lineage", slot).producer(0);
    let old = cluster.producer(&id(1));
    old.initialise().unwrap();
    old.write(1, 1);
    cluster.0.borrow_mut().forgets = vec![1];
    cluster.expire(&id(1));
    (2..=60).for_each(|slot| cluster.producer(&id(slot)).initialise().unwrap());
    let mut last = attempt(&cluster, 61);
    last.recover(vec![], &mut recovery(Epoch(0), &[], false)).unwrap();
    last.abort_left(&[("t", 0), ("t", 1)]).unwrap();
    assert_eq!(cluster.0.borrow().open_in_all(), 0);
}
