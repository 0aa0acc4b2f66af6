//! The file sink: the contract's suite, and what is special about files.

use super::super::{FileSink, committed_lines};
use crate::api::batch::Batch;
use crate::api::sink::{Committable, Share, Sink, SinkContext, SinkWriter, TwoPhaseCommit, WriterContext};
use crate::api::source::Waker;
use crate::connectors::format::{Json, Text};
use crate::control::permit::CommitPermit;
use crate::error::{Error, ErrorKind, Result};
use crate::id::Epoch;
use crate::stop::Cancellation;
use crate::testing::conformance::{self, SinkUnderTest};
use crate::testing::permit::recover;
use crate::time::Timestamp;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::{TempDir, tempdir};

struct Files(TempDir);

impl SinkUnderTest for Files {
    type Sink = FileSink<Json<u64>>;

    fn sink(&self) -> FileSink<Json<u64>> {
        FileSink::json(self.0.path().join("out"))
    }

    fn record(&self, number: u64) -> u64 {
        number
    }

    fn visible(&self) -> Vec<u64> {
        let lines = committed_lines(self.0.path().join("out")).unwrap();
        lines.map(|line| line.unwrap().parse().unwrap()).collect()
    }

    fn leftovers(&self) -> Vec<String> {
        parts(&self.0.path().join("out"))
    }
}

/// The names of all side files below a directory.
fn parts(directory: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(parts(&path));
        } else if path.extension().is_some_and(|extension| extension == "part") {
            all.push(path.display().to_string());
        }
    }
    all
}

#[test]
fn the_file_sink_conforms() {
    conformance::run(|| Files(tempdir().unwrap()));
}

const LINEAGE: &str = "0f3d";

fn open(directory: &Path, lineage: &str, attempt: u64) -> Result<super::super::FileParticipant> {
    FileSink::lines(directory).open(&context(lineage, attempt))
}

fn context(lineage: &str, attempt: u64) -> SinkContext<'_> {
    SinkContext {
        participant: "out/totals",
        job: "test",
        lineage,
        attempt,
        epoch: Epoch(1),
        workers: 1,
        epoch_interval: Duration::from_secs(1),
        epoch_within: Duration::from_secs(60),
        cancellation: Cancellation::default(),
    }
}

/// Prepares one line as the epoch's output.
fn prepare(participant: &mut super::super::FileParticipant, directory: &Path, epoch: u64) -> Result<Committable> {
    let waker = Waker::new(|| {});
    let context = WriterContext { id: "out/totals", worker: 0, workers: 1, epoch: Epoch(epoch), waker };
    let mut writer = FileSink::lines(directory).writer(participant, &context)?;
    let mut batch = Batch::default();
    batch.push(format!("line of {epoch}"), Timestamp::MIN);
    writer.write(&mut batch)?;
    let share = Share { sink: "out/totals".to_owned(), worker: 0, bytes: writer.seal(Epoch(epoch))? };
    let bytes = participant.prepare(Epoch(epoch), vec![share])?.unwrap();
    Ok(Committable { participant: "out/totals".to_owned(), epoch: Epoch(epoch), bytes })
}

fn permit(epoch: u64) -> CommitPermit {
    CommitPermit::published(Epoch(epoch))
}

fn lines(directory: &Path) -> Vec<String> {
    committed_lines(directory).unwrap().map(Result::unwrap).collect()
}

#[test]
fn files_are_named_by_epoch_and_worker() {
    let directory = tempdir().unwrap();
    let directory = directory.path();
    let mut participant = open(directory, LINEAGE, 1).unwrap();
    for epoch in [7, 8] {
        let committable = prepare(&mut participant, directory, epoch).unwrap();
        participant.commit(&committable, &permit(epoch)).unwrap();
        assert!(directory.join(format!("part-{epoch:08}-0.txt")).exists());
    }
    assert_eq!(lines(directory), ["line of 7", "line of 8"]);
    assert!(parts(directory).is_empty());
}

#[test]
fn a_crash_between_link_and_cleanup_is_harmless() {
    let directory = tempdir().unwrap();
    let directory = directory.path();
    let mut participant = open(directory, LINEAGE, 1).unwrap();
    let committable = prepare(&mut participant, directory, 1).unwrap();
    let part = PathBuf::from(&parts(directory)[0]);
    fs::hard_link(part, directory.join("part-00000001-0.txt")).unwrap();
    let mut next = open(directory, LINEAGE, 2).unwrap();
    recover(&mut next, Epoch(1), &[committable]).unwrap();
    assert_eq!(lines(directory), ["line of 1"]);
    assert!(parts(directory).is_empty());
}

#[test]
fn files_that_a_consumer_took_away_are_not_missed() {
    let directory = tempdir().unwrap();
    let directory = directory.path();
    let mut participant = open(directory, LINEAGE, 1).unwrap();
    let first = prepare(&mut participant, directory, 1).unwrap();
    participant.commit(&first, &permit(1)).unwrap();
    let second = prepare(&mut participant, directory, 2).unwrap();
    participant.commit(&second, &permit(2)).unwrap();
    fs::remove_file(directory.join("part-00000001-0.txt")).unwrap();
    fs::remove_file(directory.join("part-00000002-0.txt")).unwrap();
    let context = SinkContext { epoch: Epoch(3), ..context(LINEAGE, 2) };
    let mut next = FileSink::lines(directory).open(&context).unwrap();
    recover(&mut next, Epoch(2), &[first, second]).unwrap();
    assert!(lines(directory).is_empty());
}

#[test]
fn lost_output_is_data_loss() {
    let directory = tempdir().unwrap();
    let directory = directory.path();
    let mut participant = open(directory, LINEAGE, 1).unwrap();
    let committable = prepare(&mut participant, directory, 1).unwrap();
    fs::remove_file(&parts(directory)[0]).unwrap();
    let error = recover(&mut open(directory, LINEAGE, 2).unwrap(), Epoch(1), &[committable]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DataLoss);
    assert!(error.message().contains("part-00000001-0.txt of epoch 1 (10 bytes) is gone"), "{error}");
}

#[test]
fn a_file_that_is_in_the_way_is_not_replaced() {
    let directory = tempdir().unwrap();
    let directory = directory.path();
    let mut participant = open(directory, LINEAGE, 1).unwrap();
    let committable = prepare(&mut participant, directory, 1).unwrap();
    let file = directory.join("part-00000001-0.txt");
    fs::write(&file, "precious\n").unwrap();
    let error = participant.commit(&committable, &permit(1)).unwrap_err();
    assert!(error.message().contains("move it away"), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious\n");
    fs::remove_file(&file).unwrap();
    participant.commit(&committable, &permit(1)).unwrap();
    assert_eq!(lines(directory), ["line of 1"]);
}

#[test]
fn a_directory_belongs_to_one_job_unless_prefixes_differ() {
    let directory = tempdir().unwrap();
    let directory = directory.path();
    let mut first = open(directory, LINEAGE, 1).unwrap();
    let committable = prepare(&mut first, directory, 1).unwrap();
    let error = open(directory, "another", 1).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("belongs to lineage 0f3d"), "{error}");
    let beside = FileSink::lines(directory).prefix("more");
    recover(&mut beside.open(&context("another", 1)).unwrap(), Epoch(0), &[]).unwrap();
    first.commit(&committable, &permit(1)).unwrap();
    assert_eq!(lines(directory), ["line of 1"]);
}

#[test]
fn epochs_that_were_used_before_are_refused() {
    let directory = tempdir().unwrap();
    let directory = directory.path();
    let mut participant = open(directory, LINEAGE, 1).unwrap();
    let committable = prepare(&mut participant, directory, 3).unwrap();
    participant.commit(&committable, &permit(3)).unwrap();
    let at = |epoch| SinkContext { epoch: Epoch(epoch), ..context(LINEAGE, 2) };
    let error = FileSink::lines(directory).open(&at(3)).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("goes on at epoch 3"), "{error}");
    FileSink::lines(directory).open(&at(4)).unwrap();
}

#[test]
fn a_part_that_was_tampered_with_fails_the_checkpoint() {
    let directory = tempdir().unwrap();
    let directory = directory.path();
    let mut participant = open(directory, LINEAGE, 1).unwrap();
    let committable = prepare(&mut participant, directory, 1).unwrap();
    fs::write(&parts(directory)[0], "x").unwrap();
    let share = Share { sink: "out/totals".to_owned(), worker: 0, bytes: committable.bytes };
    let error = participant.prepare(Epoch(1), vec![share]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Sink);
}

#[test]
fn foreign_bytes_and_bad_names_are_refused() {
    let directory = tempdir().unwrap();
    let mut participant = open(directory.path(), LINEAGE, 1).unwrap();
    let foreign = Committable { participant: "out/totals".to_owned(), epoch: Epoch(1), bytes: b"\xff{".to_vec() };
    assert_eq!(participant.commit(&foreign, &permit(1)).unwrap_err().kind(), ErrorKind::Checkpoint);
    // A name that leads elsewhere is no name of ours.
    for file in ["../../etc/passwd", "/etc/passwd", "a/b", "..", ""] {
        for listed in [
            serde_json::json!([{ "part": file, "file": "part-1-0.txt", "bytes": 1 }]),
            serde_json::json!([{ "part": "1.part", "file": file, "bytes": 1 }]),
        ] {
            let foreign = Committable { bytes: listed.to_string().into_bytes(), ..foreign.clone() };
            assert_eq!(participant.commit(&foreign, &permit(1)).unwrap_err().kind(), ErrorKind::Checkpoint);
        }
    }
    for prefix in ["", "a/b", "..", ".hidden", "part*"] {
        let error = FileSink::lines(directory.path()).prefix(prefix).open(&context(LINEAGE, 1)).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Config);
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_a_clear_error() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let error: Error = open(&file, LINEAGE, 1).err().unwrap();
    assert!(error.message().contains("cannot create the directory"), "{error}");
    // Root may write anywhere, so this shows something only for others.
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o555)).unwrap();
    if let Err(error) = open(&directory.path().join("out"), LINEAGE, 1) {
        assert!(error.message().contains("permission"), "{error}");
    }
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn lines_are_ordered_by_number_not_by_name() {
    let directory = tempdir().unwrap();
    for (epoch, worker) in [(100_000_000, 0), (2, 10), (2, 9), (1, 0)] {
        fs::write(directory.path().join(format!("part-{epoch:08}-{worker}.txt")), format!("{epoch} {worker}\n"))
            .unwrap();
    }
    fs::write(directory.path().join("notes.txt"), "not ours\n").unwrap();
    assert_eq!(lines(directory.path()), ["1 0", "2 9", "2 10", "100000000 0"]);
}

#[test]
fn descriptions_say_what_is_written() {
    assert_eq!(FileSink::<Text>::lines("/data/out").describe(), "files /data/out/part-*.txt, exactly once");
}
