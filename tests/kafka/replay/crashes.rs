//! The process that writes an aborted transaction again is killed with SIGKILL, at each step and at all of
//! them in turn.

use super::{LONG, Manifest, Written, recover};
use crate::support::{WITHIN, kafka};
use staunch_tests::kafka::{Client, Session};
use staunch_tests::process::{End, Running};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

const CHILD: &str = "STAUNCH_TESTS_KAFKA_REPLAY";

/// The steps, in their order.
const STEPS: [&str; 11] = [
    "kafka-before-fate",
    "kafka-fate-known",
    "kafka-before-replay",
    "kafka-replay-begun",
    "kafka-replay-copying",
    "kafka-replay-copied",
    "kafka-replay-prepared",
    "kafka-replay-published",
    "kafka-before-end",
    "kafka-ended",
    "kafka-replay-committed",
];

/// Not a test of its own: what the child process runs, when the variable says so.
#[test]
fn child() {
    let Ok(task) = std::env::var(CHILD) else { return };
    let (brokers, lineage, folder): (String, String, PathBuf) = serde_json::from_str(&task).unwrap();
    recover(&Client::new(&brokers), &lineage, &folder, false).unwrap();
}

fn command(written: &Written, manifest: &Manifest) -> Command {
    let task = (written.client.brokers(), &written.lineage, manifest.folder.path());
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "replay::crashes::child", "--nocapture"]);
    command.env(CHILD, serde_json::to_string(&task).unwrap());
    command
}

fn run(written: &Written, manifest: &Manifest, crash_at: Option<&str>) -> Output {
    let mut command = command(written, manifest);
    if let Some(place) = crash_at {
        command.env("STAUNCH_CRASH_AT", place);
    }
    command.output().unwrap()
}

/// A process recovers until it comes by this place.
pub(super) fn killed_at(place: &str, written: &Written, manifest: &Manifest) {
    let output = run(written, manifest, Some(place));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(libc::SIGKILL), "{place} was not passed: {said}");
}

fn recovered(written: &Written, manifest: &Manifest) {
    let output = run(written, manifest, None);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    written.assert_equal();
}

#[test]
fn killed_at_each_step() {
    let client = kafka!();
    for step in STEPS {
        let (written, manifest) = Written::alone(&client, 1_000, LONG);
        written.session.abort();
        killed_at(step, &written, &manifest);
        recovered(&written, &manifest);
        assert_eq!(manifest.revision(), 1, "{step}: the replay that was published is the one committed");
    }
}

#[test]
fn killed_at_all_steps_in_turn() {
    let client = kafka!();
    let (written, manifest) = Written::alone(&client, 1_000, LONG);
    written.session.abort();
    // After the commit there is no step that comes before it.
    let before_the_end = STEPS.iter().position(|step| *step == "kafka-ended").unwrap();
    for step in &STEPS[..=before_the_end] {
        killed_at(step, &written, &manifest);
    }
    recovered(&written, &manifest);
}

/// The same place twice: the second process finds what the first one left.
#[test]
fn killed_twice_in_a_row() {
    let client = kafka!();
    for step in ["kafka-replay-begun", "kafka-replay-copied", "kafka-replay-prepared"] {
        let (written, manifest) = Written::alone(&client, 1_000, LONG);
        written.session.abort();
        killed_at(step, &written, &manifest);
        killed_at(step, &written, &manifest);
        recovered(&written, &manifest);
    }
}

/// The process sleeps when all is copied, and somebody takes over the id that it has written under: there is an open
/// transaction of that id, but not this one.
#[test]
fn a_replay_whose_id_was_taken_over_is_not_published() {
    let client = kafka!();
    let (written, manifest) = Written::alone(&client, 1_000, LONG);
    written.session.abort();
    let said = tempfile::NamedTempFile::new().unwrap();
    let mut command = command(&written, &manifest);
    command.env("STAUNCH_STOP_AT", "kafka-replay-copied").stdout(Stdio::null()).stderr(said.reopen().unwrap());
    let mut copying = Running::from(command.spawn().unwrap());
    assert_eq!(copying.wait_for(WITHIN, Running::is_paused), None);
    let open = client.open_transactions(&format!("tests/{}/", written.lineage));
    let [id] = open.as_slice() else { panic!("{open:?}") };
    assert!(copying.is_paused() && id.contains("~r1-"), "{id}");

    let other = Session::open(&client, id, LONG, &[]);
    other.write(&written.topic, 0, super::records("others", 0, 10, written.now_ms));
    copying.wake();
    let end = copying.wait(WITHIN);
    let said = fs::read_to_string(said.path()).unwrap();
    assert!(end == Some(End::Broken) && said.contains(&format!("{id} was taken over")), "{end:?}: {said}");
    assert_eq!(manifest.revision(), 0);
    recovered(&written, &manifest);
}
