//! What a user may do wrong, and the crash test finds.

use crate::words::{Total, lines, split, totals};
use staunch::testing::Inputs;
use staunch::{Flow, operator, pipeline};
use std::sync::atomic::{AtomicU64, Ordering};

fn inputs() -> Inputs<()> {
    Inputs::new(()).source::<lines>(["a b a", "b a c", "a a", "b c", "c a b", "a"])
}

static OCCURRENCES: AtomicU64 = AtomicU64::new(0);

/// Counts in a static what belongs into `#[state]`.
#[operator]
fn count_in_a_static(#[key] word: &str, _occurrence: String) -> Total {
    let count = OCCURRENCES.fetch_add(1, Ordering::Relaxed) + 1;
    Total { word: word.to_owned(), count }
}

#[pipeline(no_main)]
fn hidden_in_a_static(flow: &Flow<()>) {
    let words = split::on(lines::open(flow));
    totals::write(count_in_a_static::on(words.key_by(|word| word.as_str())));
}

#[test]
fn state_in_a_static_is_found_without_any_crash() {
    let failure = hidden_in_a_static::crash_test(inputs()).try_run().unwrap_err();
    assert_eq!(failure.seed, None);
    assert!(failure.what.contains("state outside of `#[state]`"), "{failure}");
}

/// A counter by word that a worker keeps for itself: right until the process dies.
#[derive(Default)]
struct Counter(std::collections::BTreeMap<String, u64>);

#[operator]
fn count_in_a_resource(#[key] word: &str, _occurrence: String, #[resource] counter: &mut Counter) -> Total {
    let count = counter.0.entry(word.to_owned()).or_default();
    *count += 1;
    Total { word: word.to_owned(), count: *count }
}

#[pipeline(no_main)]
fn hidden_in_a_resource(flow: &Flow<()>) {
    flow.resource(|_, _| Ok(Counter::default()));
    let words = split::on(lines::open(flow));
    totals::write(count_in_a_resource::on(words.key_by(|word| word.as_str())));
}

#[test]
fn state_in_a_resource_is_found_replayed_and_told_in_a_short_story() {
    let test = || hidden_in_a_resource::crash_test(inputs()).key::<totals, _>(|total| total.word.clone());
    let failure = test().try_run().unwrap_err();
    let seed = failure.seed.expect("it takes a crash");
    assert!(failure.what.contains("sink `totals`") && failure.what.contains("missing"), "{failure}");
    assert!(failure.to_string().contains(&format!("STAUNCH_SEED={seed} cargo test bugs::")), "{failure}");
    assert_eq!(failure.story.lines().filter(|line| line.starts_with('!')).count(), 1, "one fault is enough: {failure}");
    let again = test().seed(seed).try_run().unwrap_err();
    assert_eq!((again.what, again.story), (failure.what, failure.story), "a replay is the same, byte for byte");
}

/// Fails for one word, each time.
#[operator]
fn picky(word: String) -> String {
    assert!(word != "c", "no c, please");
    word
}

#[pipeline(no_main)]
fn panics(flow: &Flow<()>) {
    let words = picky::on(split::on(lines::open(flow)));
    totals::write(crate::words::count::on(words.key_by(|word| word.as_str())));
}

#[test]
fn an_operator_that_panics_is_told_as_it_is() {
    let failure = panics::crash_test(inputs()).try_run().unwrap_err();
    assert!(failure.what.contains("no c, please"), "{failure}");
}
