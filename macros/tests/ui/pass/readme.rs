// The surface as the documentation shows it, without any warning.
#![deny(warnings, missing_docs)]
//! A crate.

use serde::{Deserialize, Serialize};
use staunch::memory::{MemorySink, MemorySource};
use staunch::{Context, Flow, Output, State, Timestamp, operator, pipeline, sink, source};

/// A total.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Total {
    /// What was counted.
    pub word: String,
    /// How often.
    pub count: u64,
}

/// The configuration.
#[derive(Deserialize)]
pub struct Config {
    /// What to read.
    pub input: Vec<String>,
}

/// Lines.
#[source]
pub fn lines(config: &Config) -> MemorySource<String> {
    MemorySource::new(config.input.clone())
}

/// Words.
#[operator]
pub fn split(line: String, #[output] words: &mut Output<String>) {
    for word in line.split_whitespace() {
        words.emit(word.to_owned());
    }
}

/// Counts.
#[operator]
pub fn count(#[key] word: &str, _occurrence: String, #[state] seen: &mut u64) -> Total {
    *seen += 1;
    Total { word: word.to_owned(), count: *seen }
}

/// Rare words.
#[derive(State, Default, Clone)]
pub struct Rare {
    seen_at: Option<Timestamp>,
}

#[operator]
impl Rare {
    #[input]
    fn total(&mut self, total: &Total, #[context] cx: &mut Context<'_>) -> Option<String> {
        self.seen_at = Some(cx.event_time());
        (total.count == 1).then(|| total.word.clone())
    }
    #[timer]
    fn forget(&mut self, _at: Timestamp) {
        self.seen_at = None;
    }
}

/// The end.
#[sink]
pub fn rare() -> MemorySink<String> {
    MemorySink::new()
}

/// All of it.
#[pipeline]
pub fn word_count(flow: &Flow<Config>) {
    let words = split::on(lines::open(flow));
    let counts = count::on(words.key_by(|word| word.as_str()));
    rare::write(Rare::on(counts.key_by(|total| total.word.as_str())));
}

fn main() {
    let _ = word_count::main;
}
