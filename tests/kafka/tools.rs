//! `transactions` and `run --dry-run`, as a person uses them on a job that died at the worst moment.

use crate::support::eventually;
use staunch_tests::kafka::{Client, shared};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::tempdir;

/// The word count, from Kafka to Kafka.
pub struct Counting<'a> {
    pub client: &'a Client,
    /// The job's name.
    pub name: &'a str,
    /// Where its checkpoints are.
    pub folder: &'a Path,
    pub input: String,
    pub output: String,
}

impl Counting<'_> {
    pub fn call(&self, arguments: &[&str], crash_at: Option<&str>) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_killed_word_count"));
        command
            .args(arguments)
            .args(["--name", self.name])
            .arg("--checkpoint-dir")
            .arg(self.folder.join("checkpoints"));
        let sets = [
            format!("brokers={}", self.client.brokers()),
            format!("input_topic={}", self.input),
            format!("output_topic={}", self.output),
            "bounded=true".to_owned(),
        ];
        for set in &sets {
            command.args(["--set", set]);
        }
        match crash_at {
            Some(place) => command.env("STAUNCH_CRASH_AT", place),
            None => command.env_remove("STAUNCH_CRASH_AT"),
        };
        command.output().unwrap()
    }

    /// The names in the checkpoint store.
    fn kept(&self) -> Vec<PathBuf> {
        let mut folders = vec![self.folder.join("checkpoints")];
        let mut names = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if entry.is_dir() {
                    folders.push(entry.clone());
                }
                names.push(entry);
            }
        }
        names.sort();
        names
    }

    /// What it prints when it succeeds.
    #[track_caller]
    fn says(&self, arguments: &[&str]) -> String {
        let output = self.call(arguments, None);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What it prints when it refuses.
    #[track_caller]
    fn refuses(&self, arguments: &[&str]) -> String {
        let output = self.call(arguments, None);
        assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stderr).unwrap()
    }
}

#[track_caller]
fn holds(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is not in:\n{text}");
    }
}

#[test]
fn what_a_dead_job_left_is_shown_and_ended_by_hand() {
    let Some(client) = shared() else { return };
    let folder = tempdir().unwrap();
    let (input, output) = (client.topic("lines", 1), client.topic("counts", 1));
    client.produce(&input, 0, ["a b a"]);
    let name = client.name("word_count");
    let job = Counting { client: &client, name: &name, folder: folder.path(), input, output };
    holds(&job.says(&["run", "--dry-run"]), &["for the first time", "nothing was changed"]);

    job.call(&["run", "--checkpoint-interval", "50ms"], Some("before-commit"));
    assert!(client.committed_values(&job.output).is_empty());
    let listed = job.says(&["transactions", "list"]);
    holds(&listed, &["Ongoing", "checkpoint ", "commits it", &format!("{}/0", job.output)]);
    let id = listed.lines().nth(1).and_then(|line| line.split_whitespace().next()).unwrap().to_owned();
    assert!(id.starts_with(&format!("{name}/")), "{listed}");
    let dry = [" checkpoint ", "prepared; the next start commits it", "nothing was changed"];
    let before = job.kept();
    holds(&job.says(&["run", "--dry-run"]), &dry);
    assert_eq!(job.kept(), before);

    holds(&job.refuses(&["transactions", "abort", &id, "--yes"]), &["promised", "--force"]);
    holds(&job.refuses(&["transactions", "commit", "no-such-id", "--yes"]), &["no-such-id", "--all"]);
    holds(&job.says(&["transactions", "commit", &id]), &["would commit", "--yes"]);
    assert!(client.committed_values(&job.output).is_empty());
    holds(&job.says(&["transactions", "commit", &id, "--yes"]), &["was committed"]);
    eventually("visible", || (client.committed_values(&job.output).len() == 3).then_some(()));
    holds(&job.says(&["transactions", "list"]), &["no open transactions", "committed; nothing is left to do"]);
    // The next start finds it settled, and everything is there once.
    assert!(job.call(&["run"], None).status.success());
    assert_eq!(client.committed_values(&job.output).len(), 3);
}

#[test]
fn transactions_of_others_are_shown_on_request_and_left_alone() {
    let Some(client) = shared() else { return };
    let folder = tempdir().unwrap();
    let (input, output) = (client.topic("lines", 1), client.topic("foreign", 1));
    let name = client.name("word_count");
    let job = Counting { client: &client, name: &name, folder: folder.path(), input, output };
    let foreign = client.transaction();
    foreign.produce(&job.output, 0, ["theirs"]);
    assert!(!job.says(&["transactions", "list"]).contains(foreign.id()));
    let all = job.says(&["transactions", "list", "--all"]);
    holds(&all, &[foreign.id(), "not this job", "leaves it"]);
    holds(&job.refuses(&["transactions", "abort", foreign.id(), "--yes"]), &["not of this job", "--force"]);
    holds(&job.says(&["transactions", "abort", foreign.id(), "--yes", "--force"]), &["was aborted"]);
    // The brokers end it some time after it was decided.
    let is_over = || (!job.says(&["transactions", "list", "--all"]).contains(foreign.id())).then_some(());
    eventually("over", is_over);
}
