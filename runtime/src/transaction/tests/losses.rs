//! Records that a listed transaction had and the log has not any more.

use super::recover::{NOTHING, ids, recover, written};
use super::*;

#[test]
fn what_the_log_has_not_any_more_is_a_loss_with_its_size_and_nothing_is_written() {
    let cluster = Cluster::new();
    let old = written(&cluster, 0, 4, &[1, 2, 3]);
    cluster.expire("job/lineage/1-0");
    cluster.0.borrow_mut().partitions[1].start = 3;
    let error = recover(&cluster, [&old], false).unwrap_err();
    let loss = error.data_loss().expect("the loss is known");
    assert_eq!((error.kind(), loss.sink.as_str(), loss.epoch, loss.records), (ErrorKind::DataLoss, "out", Epoch(4), 2));
    assert!(loss.reason.contains("the log begins at offset 3"), "{loss}");
    assert_eq!((cluster.asked("copy"), cluster.asked("take over"), cluster.committed()), (0, 0, NOTHING.to_vec()));
    // Accepted: the rest comes.
    let listed = recover(&cluster, [&old], true).unwrap();
    assert_eq!((ids(&listed).len(), cluster.committed()), (1, vec![vec![2], vec![]]));
}

#[test]
fn a_hole_in_the_middle_is_found_by_counting() {
    let cluster = Cluster::new();
    let old = written(&cluster, 0, 1, &[1, 3, 5]);
    cluster.expire("job/lineage/1-0");
    cluster.0.borrow_mut().partitions[1].log[1].1 = fake::Entry::Gone;
    let error = recover(&cluster, [&old], false).unwrap_err();
    assert_eq!(error.data_loss().map(|loss| loss.records), Some(1));
    assert_eq!(cluster.committed(), NOTHING);
}

/// Where some may be missing, they are counted before anything is written.
#[test]
fn part_of_a_range_that_is_gone_is_a_loss_before_anything_is_written() {
    for compacted in [Some(true), Some(false), None] {
        let cluster = Cluster::new();
        let old = written(&cluster, 0, 1, &[1, 3, 5, 2]);
        cluster.expire("job/lineage/1-0");
        cluster.0.borrow_mut().compacted = compacted;
        if compacted == Some(false) {
            cluster.0.borrow_mut().partitions[1].start = 2;
        } else {
            // The middle one, and the last.
            cluster.0.borrow_mut().partitions[1].log[1].1 = fake::Entry::Gone;
            cluster.0.borrow_mut().partitions[1].log[2].1 = fake::Entry::Gone;
        }
        let error = recover(&cluster, [&old], false).unwrap_err();
        assert_eq!(error.data_loss().map(|loss| loss.records), Some(2), "{compacted:?}: {error}");
        assert_eq!((cluster.asked("copy"), cluster.asked("take over")), (0, 0), "{compacted:?}");
        recover(&cluster, [&old], true).unwrap();
        let left = if compacted == Some(false) { 5 } else { 1 };
        assert_eq!(cluster.committed(), [vec![2], vec![left]], "{compacted:?}");
    }
}

#[test]
fn a_topic_that_was_created_anew_gets_nothing_written() {
    let cluster = Cluster::new();
    let old = written(&cluster, 0, 1, &[1, 2]);
    cluster.expire("job/lineage/1-0");
    cluster.create_anew();
    let error = recover(&cluster, [&old], false).unwrap_err();
    assert!(error.data_loss().expect("the loss is known").reason.contains("created again"), "{error}");
    assert_eq!(cluster.asked("copy"), 0);
    // Accepted: the manifest lists nothing any more.
    assert_eq!(recover(&cluster, [&old], true).unwrap(), []);
}

#[test]
fn an_open_transaction_whose_topic_is_gone_is_a_loss() {
    for (is_there, says) in [(false, "was deleted"), (true, "created again")] {
        let cluster = Cluster::new();
        let old = written(&cluster, 0, 1, &[1, 2, 3]);
        cluster.create_anew();
        if !is_there {
            cluster.0.borrow_mut().topic_id = None;
        }
        for _ in 0..2 {
            let error = recover(&cluster, [&old], false).unwrap_err();
            let loss = error.data_loss().expect("the loss is known");
            assert!(loss.records == 3 && loss.reason.contains(says), "{error}");
        }
        // Nothing is done about it that cannot be undone.
        assert_eq!((cluster.asked("end"), cluster.state("job/lineage/1-0")), (0, "Ongoing"));
        assert_eq!(recover(&cluster, [&old], true).unwrap(), []);
        assert_eq!((cluster.asked("end job/lineage/1-0 true"), cluster.state("job/lineage/1-0")), (0, "Empty"));
    }
}

/// The writer went on by the topic's name, and nobody told it the new id.
#[test]
fn what_lies_in_a_topic_that_was_created_anew_is_there_whatever_its_id() {
    for expired in [false, true] {
        let cluster = Cluster::new();
        let listed = written(&cluster, 0, 1, &[1, 2]);
        cluster.0.borrow_mut().topic_id = Some("id-2".into());
        if expired {
            cluster.expire("job/lineage/1-0");
        }
        recover(&cluster, [&listed], false).unwrap();
        assert_eq!((cluster.committed(), cluster.asked("copy")), (vec![vec![2], vec![1]], if expired { 2 } else { 0 }));
    }
}

/// Nobody knows before it is tried. What can be changed about it is in the reason.
#[test]
fn what_the_topic_does_not_take_any_more_is_a_loss_that_leaves_nothing_behind() {
    let open = |cluster: &Cluster| {
        let listed = cluster.clone().list("").unwrap();
        listed.iter().filter(|it| it.state == "Ongoing").count()
    };
    for (refused, kept) in [(vec![3, 5], vec![vec![], vec![1]]), (vec![1, 3, 5], NOTHING.to_vec())] {
        let cluster = Cluster::new();
        let old = written(&cluster, 0, 1, &[1, 3, 5]);
        cluster.expire("job/lineage/1-0");
        cluster.0.borrow_mut().refused = refused.clone();
        for _ in 0..2 {
            let error = recover(&cluster, [&old], false).unwrap_err();
            let loss = error.data_loss().expect("the loss is known");
            assert_eq!(loss.records, refused.len() as u64);
            assert!(loss.reason.ends_with("t/1: refused"), "{loss}");
            assert_eq!((cluster.committed(), open(&cluster)), (NOTHING.to_vec(), 0));
        }
        recover(&cluster, [&old], true).unwrap();
        assert_eq!((cluster.committed(), open(&cluster)), (kept, 0));
    }
    // The topic takes them again.
    let cluster = Cluster::new();
    let old = written(&cluster, 0, 1, &[1, 3, 5]);
    cluster.expire("job/lineage/1-0");
    cluster.0.borrow_mut().refused = vec![3];
    recover(&cluster, [&old], false).unwrap_err();
    cluster.0.borrow_mut().refused.clear();
    recover(&cluster, [&old], false).unwrap();
    assert_eq!(cluster.committed(), [vec![], vec![1, 3, 5]]);
}
