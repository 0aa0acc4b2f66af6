//! The pipeline harness: a whole pipeline in a test, step by step.

use crate::orders::{noticed, shop, texts};
use crate::words::{Total, lines, totals, word_count};
use std::time::Duration;

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
    // One worker: what several write is committed worker by worker.
    let mut p = word_count::harness(()).workers(1);
    let (none, words) = (staunch::Timestamp::MIN, ["c", "a", "e", "b", "d"]);
    for word in words {
        p.source::<lines>().push_to(0, none, format!("{word}0")).push_to(1, none, format!("{word}1"));
    }
    p.source::<lines>().end();
    p.run_until_idle();
    let committed = p.sink::<totals>().committed();
    assert_eq!(committed.len(), 2 * words.len());
    for partition in ["0", "1"] {
        let of_it: Vec<&str> = committed.iter().filter_map(|total| total.word.strip_suffix(partition)).collect();
        assert_eq!(of_it, words, "partition {partition}: {committed:?}");
    }
}

#[test]
fn a_kafka_transaction_is_committed_by_the_next_start_and_has_all_the_time_that_a_test_lets_pass() {
    let mut p = shop::harness(()).workers(2);
    p.source::<texts>().push("1 1 60").push("2 1 70");
    p.crash_at("kafka-before-commit").checkpoint();
    assert!(p.sink::<noticed>().committed().is_empty() && p.sink::<noticed>().uncommitted().len() == 2);
    p.restart().run_until_idle();
    assert_eq!(p.sink::<noticed>().committed().len(), 2, "{}", p.story());
    p.source::<texts>().push("1 0 80");
    p.advance(Duration::from_secs(90 * 24 * 3600)).checkpoint();
    assert_eq!(p.sink::<noticed>().committed().len(), 3, "{}", p.story());
    assert!(p.sink::<noticed>().uncommitted().is_empty());
}
