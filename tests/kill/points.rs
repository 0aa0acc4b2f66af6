//! The job dies at every named step of the protocol, also twice in a row, and goes on from there.

use crate::words::{Text, assert_exact, read_counts};
use staunch::testing::CRASH_POINTS;
use staunch_tests::process::{End, Folder, Job, tail};
use staunch_tests::texts::Random;

/// Enough for two lives that end after a few checkpoints, and the rest of a third.
const BYTES: u64 = 2_000_000;
const INTERVAL_MS: u64 = 10;

/// Steps that a process comes by once, at its start.
const AT_START: &[&str] = &["before-claim", "claimed", "before-recover", "recover-settled", "recovered"];

#[track_caller]
fn die(job: &Job, workers: usize, at: &str) {
    let end = job.run(workers, Some(at));
    assert_eq!(end, End::Killed, "the job did not die at {at}; its log:\n{}", tail(&job.log()));
    // Nothing wrong has appeared, whatever is missing.
    if job.output().exists() {
        read_counts(job);
    }
}

#[test]
fn at_every_step_and_twice_in_a_row() {
    let folder = Folder::new().unwrap();
    let text = Text::write(folder.path(), BYTES);
    for point in CRASH_POINTS.iter().filter(|point| !point.starts_with("kafka")) {
        let job = text.job(folder.path().join(point), INTERVAL_MS);
        let first = if AT_START.contains(point) { 1 } else { 3 };
        die(&job, 2, &format!("{point}:{first}"));
        // The next process has to go on from what that left, and dies there, too.
        die(&job, 2, &format!("{point}:1"));
        job.finish(3);
        assert_exact(&job, &text);
    }
}

#[test]
fn at_steps_in_any_order() {
    let mut random = Random::seeded("steps in any order");
    let folder = Folder::new().unwrap();
    let text = Text::write(folder.path(), BYTES);
    let job = text.job(folder.path().join("job"), INTERVAL_MS);
    let points: Vec<&str> = CRASH_POINTS.iter().copied().filter(|point| !point.starts_with("kafka")).collect();
    let mut deaths = 0;
    for _ in 0..25 {
        let point = points[usize::try_from(random.below(points.len() as u64)).unwrap()];
        let (passage, workers) = (1 + random.below(3), 1 + usize::try_from(random.below(3)).unwrap());
        let end = job.run(workers, Some(&format!("{point}:{passage}")));
        assert!(matches!(end, End::Success | End::Killed), "{point}:{passage}; the job's log:\n{}", tail(&job.log()));
        deaths += u64::from(end == End::Killed);
        if end == End::Success {
            break;
        }
    }
    println!("{deaths} deaths");
    job.finish(2);
    assert_exact(&job, &text);
}
