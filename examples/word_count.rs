//! Counts words: from a text file to JSON lines, or from Kafka to Kafka, exactly once.
//!
//! ```sh
//! cargo run --release --bin word_count -- run --set input=README.md
//! cargo run --release --bin word_count -- run --set brokers=localhost:9092
//! cargo run --release --bin word_count -- graph --format mermaid
//! ```

use serde::{Deserialize, Serialize};
use staunch::file::{FileSink, FileSource, committed_lines};
use staunch::format::{Json, Text};
use staunch::kafka::{KafkaSink, KafkaSource};
use staunch::{Flow, Output, operator, pipeline, sink, source};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What the job can be told in the `[config]` table of its file, or with `--set`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// A text file, or a directory of them.
    pub input: PathBuf,
    /// The directory for the counts, as JSON lines.
    pub output: PathBuf,
    /// Kafka's bootstrap servers. If set, topics take the place of files.
    pub brokers: Option<String>,
    pub input_topic: String,
    pub output_topic: String,
    /// Stop at what the topic holds at the start instead of waiting for more.
    pub bounded: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            input: "README.md".into(),
            output: "target/word_count".into(),
            brokers: None,
            input_topic: "lines".into(),
            output_topic: "totals".into(),
            bounded: false,
        }
    }
}

/// How often a word has occurred so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Total {
    pub word: String,
    pub count: u64,
}

#[source]
pub fn lines(config: &Config) -> FileSource<Text> {
    FileSource::lines(&config.input)
}

#[source]
pub fn kafka_lines(config: &Config) -> KafkaSource<Text> {
    let source = KafkaSource::topic(config.brokers.as_deref().unwrap_or_default(), &config.input_topic);
    if config.bounded { source.bounded() } else { source }
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
pub fn totals(config: &Config) -> FileSink<Json<Total>> {
    FileSink::json(&config.output)
}

#[sink]
pub fn kafka_totals(config: &Config) -> KafkaSink<Json<Total>> {
    KafkaSink::topic(config.brokers.as_deref().unwrap_or_default(), &config.output_topic)
        .key(|total: &Total| total.word.as_bytes())
        .exactly_once()
}

#[pipeline]
pub fn word_count(flow: &Flow<Config>) {
    let kafka = flow.config().brokers.is_some();
    let lines = if kafka { kafka_lines::open(flow) } else { lines::open(flow) };
    let words = split::on(lines);
    let counts = count::on(words.key_by(|word| word.as_str()));
    if kafka { kafka_totals::write(counts) } else { totals::write(counts) }
}

fn main() -> staunch::Result<()> {
    word_count::main()?;
    if std::env::args().nth(1).is_some_and(|command| command == "run") {
        print_most_frequent(&Config::default().output, 10);
    }
    Ok(())
}

/// Prints the most frequent words of a finished run, if it wrote where it does by default.
fn print_most_frequent(output: &std::path::Path, most: usize) {
    let Ok(lines) = committed_lines(output) else { return };
    let mut last = BTreeMap::new();
    for line in lines.flatten() {
        if let Ok(total) = serde_json::from_str::<Total>(&line) {
            last.insert(total.word, total.count);
        }
    }
    let mut words: Vec<_> = last.into_iter().collect();
    words.sort_by(|left, right| right.1.cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
    println!("{} different words; the most frequent:", words.len());
    for (word, count) in words.iter().take(most) {
        println!("{count:>8}  {word}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use staunch::testing::Inputs;

    #[test]
    fn the_function_itself() {
        let mut seen = 41;
        assert_eq!(count("a", "a".into(), &mut seen).count, 42);
    }

    #[test]
    fn a_line_is_split_into_its_words() {
        let mut split = split::harness();
        split.push("to be  or\tnot to be");
        assert_eq!(split.take(), ["to", "be", "or", "not", "to", "be"]);
    }

    #[test]
    fn a_count_survives_a_crash() {
        let mut h = count::harness(|word: &String| word.as_str());
        h.push("a").push("a").push("b");
        let snapshot = h.snapshot();
        h.push("a"); // lost in the crash
        let mut h = h.restore(&snapshot);
        h.push("a");
        assert_eq!(h.take(), [Total { word: "a".into(), count: 3 }]);
    }

    #[test]
    fn no_crash_loses_or_repeats_a_count() {
        let inputs = Inputs::new(Config::default()).source::<lines>(["a b a", "c a b"]).source::<lines>(["b c", "a"]);
        word_count::crash_test(inputs).key::<totals, _>(|total| total.word.clone()).run();
    }

    #[test]
    fn a_whole_run_counts_every_word_once() {
        let dir = tempfile::tempdir().unwrap();
        let input = dir.path().join("in.txt");
        std::fs::write(&input, "a b a\nc a b\n").unwrap();
        let config = Config { input, output: dir.path().join("out"), ..Config::default() };
        word_count::job(config.clone()).checkpoint_dir(dir.path().join("checkpoints")).workers(2).run().unwrap();
        let mut lines: Vec<String> = committed_lines(&config.output).unwrap().map(Result::unwrap).collect();
        lines.sort();
        let expected = [("a", 1), ("a", 2), ("a", 3), ("b", 1), ("b", 2), ("c", 1)];
        let expected: Vec<_> =
            expected.iter().map(|(word, count)| format!(r#"{{"word":"{word}","count":{count}}}"#)).collect();
        assert_eq!(lines, expected);
    }
}
