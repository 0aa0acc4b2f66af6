//! The crash test finds nothing in sound pipelines, and what is wrong in others.

use crate::connectors::memory::{MemorySink, MemorySource};
use crate::testing::{CrashTest, Inputs};
use crate::{Flow, Output, operator, pipeline, sink, source};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Total {
    word: String,
    count: u64,
}

#[source]
fn lines() -> MemorySource<String> {
    MemorySource::new(Vec::new())
}

#[operator]
fn split(line: &String, #[output] words: &mut Output<String>) {
    for word in line.split_whitespace() {
        words.emit(word.to_owned());
    }
}

#[operator]
fn count(#[key] word: &str, _occurrence: String, #[state] seen: &mut u64) -> Total {
    *seen += 1;
    Total { word: word.to_owned(), count: *seen }
}

#[sink]
fn totals() -> MemorySink<Total> {
    MemorySink::new()
}

#[pipeline(no_main)]
fn word_count(flow: &Flow<()>) {
    let words = split::on(lines::open(flow));
    totals::write(count::on(words.key_by(|word| word.as_str())));
}

fn words() -> Inputs<()> {
    let text = ["to be or not to be", "that is the question", "whether tis nobler in the mind to suffer", "the slings"];
    Inputs::new(()).source::<lines>(text).source::<lines>(["and arrows of outrageous fortune", "or to take arms"])
}

fn word_count_test() -> CrashTest<word_count> {
    word_count::crash_test(words()).key::<totals, _>(|total| total.word.clone())
}

#[test]
fn word_count_survives_everything() {
    let report = word_count_test().run();
    assert!(report.schedules >= 1_000 && report.crash_points >= 15, "{report}");
    assert!(report.processes > 2 * report.schedules, "{report}");
}
