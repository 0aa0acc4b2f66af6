//! Words, counted: one keyed operator behind a stateless one.

use serde::{Deserialize, Serialize};
use staunch::memory::{MemorySink, MemorySource};
use staunch::testing::Inputs;
use staunch::{Flow, Output, operator, pipeline, sink, source};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Total {
    pub word: String,
    pub count: u64,
}

#[source]
pub fn lines() -> MemorySource<String> {
    MemorySource::new(Vec::new())
}

#[operator]
pub fn split(line: &String, #[output] words: &mut Output<String>) {
    for word in line.split_whitespace() {
        words.emit(word.to_owned());
    }
}

#[operator]
pub fn count(#[key] word: &str, _occurrence: String, #[state] seen: &mut u64) -> Total {
    *seen += 1;
    Total { word: word.to_owned(), count: *seen }
}

#[sink]
pub fn totals() -> MemorySink<Total> {
    MemorySink::new()
}

#[pipeline(no_main)]
pub fn word_count(flow: &Flow<()>) {
    let words = split::on(lines::open(flow));
    totals::write(count::on(words.key_by(|word| word.as_str())));
}

pub fn inputs() -> Inputs<()> {
    let first = ["to be or not to be", "that is the question", "whether tis nobler in the mind to suffer"];
    let second = ["the slings and arrows", "of outrageous fortune or to take arms", "against a sea of troubles"];
    Inputs::new(()).source::<lines>(first).source::<lines>(second)
}

#[test]
fn words_are_counted_exactly_once() {
    crate::run("words", word_count::crash_test(inputs()).key::<totals, _>(|total| total.word.clone()));
}
