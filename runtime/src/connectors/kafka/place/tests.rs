use super::*;

const LOG: Log<'static> = Log { topic_id: Some("a"), low: 10, high: 20 };

fn at(offset: i64) -> Position {
    Position { offset, topic_id: Some("a".to_owned()), ..Position::default() }
}

/// Where a split goes on, and what was lost.
fn placed(begin: Begin, policy: OnLostOffsets, bounded: bool) -> (Position, Option<Loss>) {
    let (begin, loss) = check(&LOG, begin);
    (go_on(&LOG, begin, loss.as_ref(), policy, bounded), loss)
}

#[test]
fn only_what_a_checkpoint_the_user_or_a_group_names_can_be_lost() {
    use OnLostOffsets::{Earliest, Latest, Stop};
    for policy in [Stop, Earliest, Latest] {
        // Newer than the end, which another leader told.
        assert_eq!(placed(Begin::Told(21), policy, false), (at(21), None));
        assert_eq!(placed(Begin::Named(at(20)), policy, false), (at(20), None));
    }
    assert_eq!(placed(Begin::Named(at(21)), Earliest, false), (at(10), Some(Loss::Beyond { end: 20 })));
    assert_eq!(placed(Begin::Named(at(9)), Latest, false), (at(20), Some(Loss::Removed { oldest: 10 })));
}

#[test]
fn a_bounded_source_ends_where_the_log_does_that_was_cut_back_below_its_end() {
    use OnLostOffsets::{Earliest, Latest};
    let to = |offset, end| Position { end: Some(end), ..at(offset) };
    let beyond = Some(Loss::Beyond { end: 20 });
    for policy in [Earliest, Latest] {
        let read = Position { leader_epoch: Some(3), ..to(15, 30) };
        let expected = Position { end: Some(20), ..read.clone() };
        assert_eq!(placed(Begin::Named(read), policy, true), (expected, beyond.clone()), "nothing is read twice");
    }
    assert_eq!(placed(Begin::Named(to(25, 30)), Earliest, true), (to(10, 20), beyond.clone()));
    assert_eq!(placed(Begin::Named(to(25, 30)), Latest, true), (to(20, 20), beyond));
    assert_eq!(placed(Begin::Named(to(5, 30)), Earliest, true).0, to(10, 20), "both ends are lost");
    // Of the log as it is.
    assert_eq!(placed(Begin::Named(to(15, 18)), Latest, true), (to(15, 18), None));
    assert_eq!(placed(Begin::Told(10), Latest, true), (to(10, 20), None));
    let other = Position { topic_id: Some("b".to_owned()), ..to(5, 12) };
    assert_eq!(placed(Begin::Named(other), Earliest, true), (to(10, 20), Some(Loss::Recreated)));
}
