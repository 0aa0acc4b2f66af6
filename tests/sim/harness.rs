//! The pipeline harness: a whole pipeline in a test, step by step.

use crate::words::{Total, lines, totals, word_count};

fn total(word: &str, count: u64) -> Total {
    Total { word: word.to_owned(), count }
}

#[test]
fn output_is_committed_by_the_checkpoint_and_once_across_a_crash() {
    let mut p = word_count::harness(()).workers(1);
    p.source::<lines>().push("a b a");
    p.run_until_idle();
    assert!(p.sink::<totals>().committed().is_empty());
    assert_eq!(p.sink::<totals>().uncommitted(), [total("a", 1), total("b", 1), total("a", 2)]);
    p.checkpoint().crash().run_until_idle();
    assert_eq!(p.sink::<totals>().committed(), [total("a", 1), total("b", 1), total("a", 2)]);
    assert!(p.sink::<totals>().uncommitted().is_empty());
}

#[test]
fn what_was_not_checkpointed_is_read_again() {
    let mut p = word_count::harness(()).workers(2);
    p.source::<lines>().push("a").push("a");
    p.checkpoint();
    p.source::<lines>().push("a");
    p.run_until_idle().crash();
    p.run_until_idle();
    assert_eq!(p.sink::<totals>().uncommitted(), [total("a", 3)]);
    p.end_input().run_until_idle();
    assert_eq!(p.sink::<totals>().committed(), [total("a", 1), total("a", 2), total("a", 3)]);
    assert_eq!(p.summary().unwrap().outcome, staunch::Outcome::Ended);
}

#[test]
fn a_crash_between_manifest_and_commit_is_settled_by_the_next_start() {
    let mut p = word_count::harness(());
    p.source::<lines>().push("a b");
    p.crash_at("before-commit").checkpoint();
    assert!(p.sink::<totals>().committed().is_empty() && p.sink::<totals>().uncommitted().len() == 2);
    p.restart().run_until_idle();
    assert_eq!(p.sink::<totals>().committed().len(), 2, "{}", p.story());
    assert!(p.story().contains("! process 1 at `before-commit`") || p.story().contains("at `before-commit`: killed"));
}

#[test]
fn state_follows_its_keys_to_other_numbers_of_workers() {
    let mut p = word_count::harness(()).workers(1);
    for workers in [3, 2, 1] {
        p.source::<lines>().push("a b c d e f");
        p.rescale(workers);
    }
    p.source::<lines>().push("a b c d e f");
    p.checkpoint();
    let committed = p.sink::<totals>().committed();
    assert_eq!(committed.len(), 24);
    assert!(committed[18..].iter().all(|total| total.count == 4), "{committed:?}");
}

#[test]
fn partitions_are_read_each_in_its_order() {
    let mut p = word_count::harness(());
    let none = staunch::Timestamp::MIN;
    p.source::<lines>().push_to(0, none, "a").push_to(1, none, "b").push_to(1, none, "b").end();
    p.run_until_idle();
    let mut committed = p.sink::<totals>().committed();
    committed.sort_by(|left, right| (&left.word, left.count).cmp(&(&right.word, right.count)));
    assert_eq!(committed, [total("a", 1), total("b", 1), total("b", 2)]);
}
