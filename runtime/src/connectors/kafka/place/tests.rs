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
