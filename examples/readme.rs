//! The job of the README, word for word.

use serde::{Deserialize, Serialize};
use staunch::file::{FileSink, FileSource};
use staunch::format::{Json, Text};
use staunch::{Flow, Output, operator, pipeline, sink, source};

/// Read from the `[config]` table of a TOML file, the environment, or `--set`.
#[derive(Deserialize)]
pub struct Config {
    input: String,
    output: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Total {
    word: String,
    count: u64,
}

#[source]
pub fn lines(config: &Config) -> FileSource<Text> {
    FileSource::lines(&config.input)
}

#[operator]
pub fn split(line: &String, #[output] words: &mut Output<String>) {
    for word in line.split_whitespace() {
        words.emit(word.to_owned());
    }
}

/// `seen` is kept per word, is part of every checkpoint, and comes back after a crash.
#[operator]
pub fn count(#[key] word: &str, _occurrence: String, #[state] seen: &mut u64) -> Total {
    *seen += 1;
    Total { word: word.to_owned(), count: *seen }
}

#[sink]
pub fn totals(config: &Config) -> FileSink<Json<Total>> {
    FileSink::json(&config.output)
}

#[pipeline]
pub fn word_count(flow: &Flow<Config>) {
    let words = split::on(lines::open(flow));
    let counts = count::on(words.key_by(|word| word.as_str()));
    totals::write(counts);
}

fn main() -> staunch::Result<()> {
    word_count::main() // the whole command line: run, graph, checkpoints
}

#[cfg(test)]
mod tests {
    use super::*;
    use staunch::file::committed_lines;

    #[test]
    fn the_readme_shows_this_very_file() {
        let (_, file) = include_str!("readme.rs").split_once("word for word.\n\n").unwrap();
        let (shown, _) = file.split_once("\n#[cfg(test)]").unwrap();
        assert!(include_str!("../README.md").contains(shown), "README.md and examples/readme.rs differ");
    }

    #[test]
    fn the_job_counts_words() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("in.txt"), "to be or not to be\n").unwrap();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        let config = Config { input: path("in.txt"), output: path("out") };
        let summary = word_count::job(config).checkpoint_dir(dir.path().join("checkpoints")).run().unwrap();
        assert_eq!((summary.records_read, summary.records_written), (1, 6));
        let mut lines: Vec<_> = committed_lines(&dir.path().join("out")).unwrap().map(Result::unwrap).collect();
        lines.sort();
        let of = |word: &str, count: u64| serde_json::to_string(&Total { word: word.into(), count }).unwrap();
        assert_eq!(lines, [of("be", 1), of("be", 2), of("not", 1), of("or", 1), of("to", 1), of("to", 2)]);
    }
}
