use super::*;
use crate::transaction::{BatchHeader, Producer};

fn range() -> PartitionRange {
    PartitionRange { topic: "t".into(), topic_id: "x".into(), partition: 0, first: 10, last: 19, records: 10 }
}

fn ours() -> KafkaCommittable {
    KafkaCommittable {
        version: 1,
        cluster_id: "c".into(),
        epoch: crate::id::Epoch(4),
        transactional_id: "job/lineage/0".into(),
        producer_id: 7,
        producer_epoch: 2,
        start_ms: 1000,
        timeout_ms: 60_000,
        records: 10,
        partitions: vec![range()],
        writers: vec![],
    }
}

fn described(state: &str, id: i64, epoch: i16, start_ms: i64) -> Fate {
    let described = Described {
        state: state.into(),
        producer: Producer { id, epoch },
        start_ms,
        timeout_ms: 60_000,
        partitions: vec![],
    };
    of_described(&ours(), Some(&described))
}

#[test]
fn the_coordinator_is_believed_about_this_transaction_only() {
    assert_eq!(described("Ongoing", 7, 2, 1000), Fate::Open);
    assert_eq!(described("PrepareCommit", 7, 2, 1000), Fate::Committed);
    assert_eq!(described("CompleteCommit", 7, 2, 1000), Fate::Committed);
    assert_eq!(described("CompleteAbort", 7, 3, 1000), Fate::Aborted, "the epoch is raised by a timeout");
    for (state, id, start) in
        [("Ongoing", 7, 1001), ("CompleteCommit", 7, 2000), ("CompleteAbort", 8, 1000), ("Empty", 7, 1000)]
    {
        assert!(matches!(described(state, id, 2, start), Fate::Unknown(_)), "{state} {id} {start}");
    }
    assert!(matches!(of_described(&ours(), None), Fate::Unknown(_)));
}

fn batch(first: i64, last: i64, producer_id: i64, producer_epoch: i16) -> Option<BatchHeader> {
    Some(BatchHeader { first, last, control: false, producer_id, producer_epoch })
}

fn peeked(code: i16, batch: Option<BatchHeader>, aborted: &[(i64, i64)]) -> Fate {
    of_peek(&ours(), &range(), &Peek { code, high_watermark: 40, batch, aborted: aborted.to_vec() })
}

#[test]
fn the_log_decides_only_by_an_answer_with_a_batch() {
    assert_eq!(peeked(0, batch(8, 19, 7, 2), &[]), Fate::Committed);
    assert_eq!(peeked(0, batch(10, 19, 7, 2), &[(7, 30), (9, 0)]), Fate::Committed, "a later one, and another's");
    assert_eq!(peeked(0, batch(10, 19, 7, 2), &[(7, 10)]), Fate::Aborted);
    assert_eq!(peeked(0, batch(12, 19, 7, 2), &[(7, 0)]), Fate::Aborted, "its beginning was deleted");
    let unknown = [
        peeked(1, None, &[]),
        peeked(0, None, &[]),
        peeked(0, None, &[(7, 10)]),
        peeked(0, batch(12, 19, 7, 2), &[]),
        peeked(0, batch(10, 19, 8, 2), &[]),
        peeked(0, batch(10, 19, 7, 3), &[]),
        peeked(0, batch(10, 19, 7, 2).map(|batch| BatchHeader { control: true, ..batch }), &[]),
    ];
    assert!(unknown.iter().all(|fate| matches!(fate, Fate::Unknown(_))), "{unknown:?}");
}

#[test]
fn partitions_that_know_must_agree() {
    let unknown = || Fate::Unknown("?".into());
    assert_eq!(agree([unknown(), Fate::Committed, Fate::Committed]), Fate::Committed);
    assert_eq!(agree([Fate::Aborted, unknown()]), Fate::Aborted);
    assert!(matches!(agree([Fate::Aborted, Fate::Committed]), Fate::Unknown(_)));
    assert_eq!(agree([unknown()]), unknown());
    assert!(matches!(agree([]), Fate::Unknown(_)));
}

#[test]
fn a_marker_tells_by_its_kind_and_epoch() {
    let of = |committed, epoch| of_marker(&ours(), &range(), &Marker::Found { committed, epoch });
    assert_eq!(of(true, 2), Fate::Committed);
    assert_eq!(of(false, 2), Fate::Aborted);
    assert_eq!(of(false, 3), Fate::Aborted, "the epoch is raised by a timeout");
    assert_eq!(of(true, 3), Fate::Committed, "a new session ends what was forgotten");
    let unknown = [
        of(true, 1),
        of(false, 1),
        of_marker(&ours(), &range(), &Marker::NotYet),
        of_marker(&ours(), &range(), &Marker::Overwritten),
        of_marker(&ours(), &range(), &Marker::Unreadable("cut off".into())),
    ];
    assert!(unknown.iter().all(|fate| matches!(fate, Fate::Unknown(_))), "{unknown:?}");
}

#[test]
fn a_marker_behind_a_compacted_transaction_is_not_trusted() {
    let trusted = |code, batch, log_start, compacted| {
        marker_is_trusted(
            &ours(),
            &range(),
            &Peek { code, high_watermark: 40, batch, aborted: vec![] },
            log_start,
            compacted,
        )
    };
    assert!(trusted(0, batch(10, 19, 7, 2), 0, Some(true)));
    assert!(trusted(1, None, 15, Some(false)), "only the start of the log was deleted");
    assert!(trusted(1, None, 20, Some(false)), "all the records were, and nothing behind them");
    assert!(!trusted(1, None, 21, Some(false)), "its marker may be gone, and the next one another's");
    assert!(!trusted(1, None, 15, Some(true)));
    assert!(!trusted(1, None, 15, None), "whether it is compacted is not known");
    assert!(!trusted(0, batch(12, 19, 7, 2), 0, Some(false)), "gone from the middle of the log");
    assert!(!trusted(0, batch(10, 19, 8, 2), 0, None));
}
