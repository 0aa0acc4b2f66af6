//! What a harness of a whole pipeline promises.

use crate::connectors::memory::{MemorySink, MemorySource};
use crate::progress::Outcome;
use crate::{Context, Flow, Output, Timestamp, operator, pipeline, sink, source};
use std::time::Duration;

#[source]
fn words() -> MemorySource<String> {
    MemorySource::new(Vec::new())
}

#[source]
fn numbers() -> MemorySource<u64> {
    MemorySource::new(Vec::new())
}

#[operator]
fn count(#[key] word: &str, _occurrence: String, #[state] seen: &mut u64) -> (String, u64) {
    *seen += 1;
    (word.to_owned(), *seen)
}

#[sink]
fn totals() -> MemorySink<(String, u64)> {
    MemorySink::new()
}

#[pipeline(no_main)]
fn word_count(flow: &Flow<()>) {
    totals::write(count::on(words::open(flow).key_by(|word| word.as_str())));
}

#[test]
fn at_rest_nothing_is_on_its_way_to_another_worker() {
    let mut pipeline = word_count::harness(()).workers(3);
    for pushed in 1..=50 {
        pipeline.source::<words>().push(format!("word {pushed}"));
        pipeline.run_until_idle();
        assert_eq!(pipeline.sink::<totals>().uncommitted().len(), pushed, "{}", pipeline.story());
    }
}

#[test]
fn a_job_takes_its_turns_one_by_one() {
    let mut pipeline = word_count::harness(());
    pipeline.source::<words>().push("a").push("b");
    let mut written = vec![0];
    while pipeline.step() {
        let now = pipeline.sink::<totals>().uncommitted().len();
        if written.last() != Some(&now) {
            written.push(now);
        }
    }
    assert!(matches!(written[..], [0, 1, 2] | [0, 2]), "{written:?}");
    assert!(!pipeline.step(), "it waits");

    pipeline.begin_checkpoint();
    let mut turns = 0;
    while pipeline.sink::<totals>().committed().is_empty() {
        assert!(pipeline.step(), "the checkpoint is not over: {}", pipeline.story());
        turns += 1;
    }
    assert!(turns > 5, "a checkpoint takes more than {turns} turns");
}

#[test]
fn a_seed_says_whose_turn_it_is() {
    let order = |seed: u64| {
        let mut pipeline = word_count::harness(()).seed(seed);
        for word in ["a", "b", "c", "d", "e", "f", "g", "h"] {
            pipeline.source::<words>().push_to(0, Timestamp::MIN, word);
        }
        let mut turns = 0;
        while pipeline.step() {
            turns += 1;
        }
        turns
    };
    let turns: Vec<u32> = (0..10).map(order).collect();
    assert_eq!(turns, (0..10).map(order).collect::<Vec<u32>>(), "the same seed, the same turns");
    assert!(turns.iter().any(|it| *it != turns[0]), "another seed, other turns: {turns:?}");
}

/// Says a little later that it has seen a word.
#[derive(Clone, Default, crate::State)]
struct Echo {
    word: String,
}

#[operator]
impl Echo {
    #[input]
    fn word(&mut self, word: &String, #[context] cx: &mut Context<'_>) {
        self.word = word.clone();
        cx.set_processing_timer(Timestamp::from_millis(cx.processing_time().as_millis() + 5));
    }

    #[timer(processing_time)]
    fn say(&mut self, _at: Timestamp, #[output] echoes: &mut Output<String>) {
        echoes.emit(self.word.clone());
    }
}

#[sink]
fn echoes() -> MemorySink<String> {
    MemorySink::new()
}

#[pipeline(no_main)]
fn echo(flow: &Flow<()>) {
    let words = words::at("shouts").open(flow);
    echoes::at("cliff").write(Echo::on(words.key_by(|word| word)));
}

#[test]
fn time_stands_still_until_the_test_lets_it_pass() {
    let mut pipeline = echo::harness(());
    pipeline.source_at::<words>("shouts").push("hello");
    for _ in 0..200 {
        pipeline.source_at::<words>("shouts").push("hello");
        pipeline.run_until_idle();
    }
    assert!(pipeline.sink_at::<echoes>("cliff").uncommitted().is_empty(), "no time has passed");
    pipeline.advance(Duration::from_millis(4));
    assert!(pipeline.sink_at::<echoes>("cliff").uncommitted().is_empty());
    pipeline.advance(Duration::from_millis(1));
    assert!(!pipeline.sink_at::<echoes>("cliff").uncommitted().is_empty());
}

#[test]
fn a_job_that_is_suspended_commits_and_goes_on_with_the_next_run() {
    let mut pipeline = word_count::harness(());
    pipeline.source::<words>().push("a");
    pipeline.suspend();
    assert_eq!(pipeline.summary().map(|summary| summary.outcome), Some(Outcome::Suspended));
    assert_eq!(pipeline.sink::<totals>().committed(), [("a".to_owned(), 1)]);
    pipeline.source::<words>().push("a");
    pipeline.run_until_idle();
    assert!(pipeline.summary().is_none(), "another process runs");
    assert_eq!(pipeline.sink::<totals>().uncommitted(), [("a".to_owned(), 2)]);
}

#[test]
#[should_panic(expected = "did not pass `before-commit`, where it was to crash")]
fn a_crash_that_does_not_come_is_told() {
    word_count::harness(()).crash_at("before-commit").run_until_idle();
}

#[test]
#[should_panic(expected = "the pipeline has no source `words`; it has `shouts`")]
fn a_source_that_is_not_there_is_told() {
    echo::harness(()).source::<words>().push("hello");
}

#[test]
#[should_panic(expected = "the records of source `shouts` are not of the type")]
fn records_of_another_type_are_told() {
    echo::harness(()).source_at::<numbers>("shouts").push(1_u64);
}

#[test]
#[should_panic(expected = "the pipeline has no sink `echoes`; it has `cliff`")]
fn a_sink_that_is_not_there_is_told() {
    let _ = echo::harness(()).sink::<echoes>();
}
