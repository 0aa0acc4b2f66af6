//! Words are counted from a file to files, and the job is killed, suspended and rescaled on its way.

use staunch::file::committed_lines;
use staunch_tests::process::{End, Folder, Job, tail};
use staunch_tests::texts::{Random, count_words, number, write_text};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_killed_word_count");

/// A text, and what is in it.
pub struct Text {
    pub path: PathBuf,
    counts: HashMap<String, u64>,
}

impl Text {
    pub fn write(folder: &Path, bytes: u64) -> Self {
        let path = folder.join("text");
        write_text(&path, bytes, 42).unwrap();
        let counts = count_words(&path).unwrap();
        Self { path, counts }
    }

    pub fn job(&self, root: PathBuf, interval_ms: u64) -> Job {
        Job::new(PROGRAM, root, interval_ms).unwrap().set("input", self.path.to_str().unwrap())
    }

    /// Every word has come as far as it is in the text, and there are no others.
    #[track_caller]
    pub fn assert_counted(&self, counts: &HashMap<String, u64>) {
        for (word, want) in &self.counts {
            assert_eq!(counts.get(word), Some(want), "`{word}`");
        }
        assert_eq!(counts.len(), self.counts.len());
    }
}

/// How far each word has come in the output, which has to be one by one.
#[track_caller]
pub fn read_counts(job: &Job) -> HashMap<String, u64> {
    let mut counts = HashMap::new();
    for (number, line) in committed_lines(job.output()).unwrap().enumerate() {
        step(&mut counts, number, &line.unwrap());
    }
    counts
}

/// The next line of an output; the word that it is about.
#[track_caller]
pub fn step<'a>(counts: &mut HashMap<String, u64>, number: usize, line: &'a str) -> &'a str {
    let (word, count) = parse(line).unwrap_or_else(|| panic!("line {number} is `{line}`"));
    match counts.get_mut(word) {
        Some(before) => {
            *before += 1;
            assert_eq!(*before, count, "line {number}: `{word}` goes from {} to {count}", *before - 1);
        }
        None => {
            assert_eq!(count, 1, "line {number}: the first of `{word}`");
            counts.insert(word.to_owned(), 1);
        }
    }
    word
}

/// `{"word":"w12","count":3}`, without a parser: there are millions of them.
fn parse(line: &str) -> Option<(&str, u64)> {
    let (word, count) = line.strip_prefix(r#"{"word":""#)?.split_once(r#"","count":"#)?;
    Some((word, count.strip_suffix('}')?.parse().ok()?))
}

/// The output is, word by word, 1, 2, … up to how often it is in the text.
#[track_caller]
pub fn assert_exact(job: &Job, text: &Text) {
    text.assert_counted(&read_counts(job));
}

struct Scale {
    bytes: u64,
    kills: u64,
    interval_ms: u64,
}

fn scale() -> Scale {
    Scale {
        bytes: number("STAUNCH_KILL_MB").unwrap_or(20) * 1_000_000,
        kills: number("STAUNCH_KILLS").unwrap_or(10),
        interval_ms: number("STAUNCH_KILL_INTERVAL_MS").unwrap_or(100),
    }
}

#[test]
fn a_job_that_is_killed_again_and_again_writes_what_an_undisturbed_one_writes() {
    let Scale { bytes, kills, interval_ms } = scale();
    let mut random = Random::seeded("kills at random");
    let folder = Folder::new().unwrap();
    let text = Text::write(folder.path(), bytes);

    let undisturbed = text.job(folder.path().join("undisturbed"), interval_ms);
    let start = Instant::now();
    undisturbed.finish(2);
    let whole = start.elapsed();
    assert_exact(&undisturbed, &text);

    // So that on the average all kills fall within the work.
    let apart_ms = 2 * u64::try_from(whole.as_millis()).unwrap() / (kills + 1);
    let killed = text.job(folder.path().join("killed"), interval_ms);
    let mut done = 0;
    for _ in 0..kills {
        let after = Duration::from_millis(30 + random.below(apart_ms));
        let workers = 1 + usize::try_from(random.below(3)).unwrap();
        match killed.start(workers, None).unwrap().kill_after(after) {
            End::Killed => done += 1,
            End::Success => break,
            End::Failure | End::Broken => panic!("the job fails:\n{}", tail(&killed.log())),
        }
    }
    println!("{done} kills of {kills}, {whole:?} undisturbed");
    assert!(done >= kills.min(kills / 2 + 1), "the job ended before it could be killed; raise STAUNCH_KILL_MB");
    killed.finish(2);
    assert_exact(&killed, &text);
}

#[test]
fn suspends_kills_and_changes_of_workers_in_turn() {
    let Scale { bytes, kills, interval_ms } = scale();
    let mut random = Random::seeded("suspends and kills");
    let folder = Folder::new().unwrap();
    let text = Text::write(folder.path(), bytes / 4);
    let job = text.job(folder.path().join("job"), interval_ms);
    let mut left = 0;
    for turn in 0..kills {
        let after = Duration::from_millis(50 + random.below(250));
        let running = job.start([2, 1, 3][turn as usize % 3], None).unwrap();
        let end = if turn % 2 == 0 { running.suspend_after(after) } else { running.kill_after(after) };
        assert!(matches!(end, End::Success | End::Killed), "the job's log:\n{}", tail(&job.log()));
        left += u64::from(end == End::Success);
        // Whatever has appeared is right, at any time.
        read_counts(&job);
    }
    println!("{left} orderly ends");
    assert!(left > 0);
    job.finish(2);
    assert_exact(&job, &text);
}
