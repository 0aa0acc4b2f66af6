//! Bounded reads: every line once, whatever the chunks, workers, ends of lines and restarts.

use super::super::{FileSource, OnChangedFile};
use super::{context, read, read_all};
use crate::api::batch::Batch;
use crate::api::source::{Polled, Source, SourceReader};
use crate::connectors::format::OnBadRecord;
use crate::error::ErrorKind;
use proptest::prelude::*;
use std::fs;
use tempfile::tempdir;

#[test]
fn lines_end_with_a_newline_or_the_file() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("a");
    for (content, lines) in [
        ("", vec![]),
        ("\n", vec![""]),
        ("a", vec!["a"]),
        ("a\n", vec!["a"]),
        ("a\r\nb\r\n\r\nc", vec!["a", "b", "", "c"]),
        ("a\rb\n\r\r\n", vec!["a\rb", "\r"]),
    ] {
        fs::write(&path, content).unwrap();
        let (read, positions) = read_all(&FileSource::lines(&path), 1, None).unwrap();
        assert_eq!(read, lines, "{content:?}");
        assert!(positions[0].finished && positions[0].split == "a");
    }
}

#[test]
fn a_directory_is_read_by_name_without_hidden_files() {
    let directory = tempdir().unwrap();
    for name in ["b.log", "a.log", "c.txt", ".hidden.log"] {
        fs::write(directory.path().join(name), format!("{name}\n")).unwrap();
    }
    fs::create_dir(directory.path().join("d.log")).unwrap();
    let (all, _) = read_all(&FileSource::lines(directory.path()), 1, None).unwrap();
    assert_eq!(all, ["a.log", "b.log", "c.txt"]);
    let (logs, _) = read_all(&FileSource::lines(directory.path()).extension(".log"), 3, None).unwrap();
    assert_eq!(logs, ["a.log", "b.log"]);
    let some = FileSource::<crate::connectors::format::Text>::files(
        ["c.txt", "a.log"].map(|name| directory.path().join(name)),
    );
    assert_eq!(read_all(&some, 1, None).unwrap().0, ["c.txt", "a.log"]);
}

#[test]
fn long_files_with_long_lines_are_read_through_one_buffer() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("a");
    let lines: Vec<String> =
        (0..20_000).map(|n| format!("{n}:{}", "x".repeat(n % 97))).chain(["y".repeat(1_500_000)]).collect();
    fs::write(&path, lines.join("\n")).unwrap();
    assert_eq!(read_all(&FileSource::lines(&path), 1, None).unwrap().0, lines);
}

#[test]
fn a_missing_path_is_a_clear_error() {
    let directory = tempdir().unwrap();
    let error = FileSource::lines(directory.path().join("none")).reader(&context(0, 1, None)).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("none; check that the path exists"), "{error}");
}

#[test]
fn bad_records_stop_or_are_skipped_and_counted() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("a.jsonl");
    fs::write(&path, "1\n2\noops\n4\n").unwrap();
    let error = read_all(&FileSource::<crate::connectors::format::Json<u64>>::json(&path), 1, None).unwrap_err();
    assert!(error.message().contains("a.jsonl has a line at byte 4 that is not a record"), "{error}");
    assert!(!error.kind().is_restartable());
    let source = FileSource::<crate::connectors::format::Json<u64>>::json(&path).on_bad_record(OnBadRecord::Skip);
    assert_eq!(read_all(&source, 1, None).unwrap().0, [1, 2, 4]);
    assert_eq!(source.skipped()(), 1);
}

#[test]
fn too_long_lines_are_an_error() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("a");
    for content in
        ["ok\nlonger than ten\n".to_owned(), "ok\nlonger than ten".to_owned(), format!("ok\n{}", "x".repeat(3_000_000))]
    {
        fs::write(&path, content).unwrap();
        let error = read_all(&FileSource::lines(&path).line_bytes_max(10), 1, None).unwrap_err();
        assert!(error.message().contains("a line at byte 3 of more than 10 bytes"), "{error}");
    }
    fs::write(&path, "0123456789\r\n0123456789").unwrap();
    assert_eq!(read_all(&FileSource::lines(&path).line_bytes_max(10), 1, None).unwrap().0.len(), 2);
}

#[test]
fn a_bounded_read_takes_what_was_there_at_the_first_start() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("a");
    fs::write(&path, "1\n2\n").unwrap();
    let source = FileSource::lines(directory.path());
    let positions = source.reader(&context(0, 1, None)).unwrap().positions();
    fs::write(&path, "1\n2\n3\n").unwrap();
    fs::write(directory.path().join("b"), "4\n").unwrap();
    assert_eq!(read_all(&source, 1, None).unwrap().0, ["1", "2"]);
    let anew = FileSource::lines(directory.path());
    assert_eq!(read_all(&anew, 1, Some(&positions)).unwrap().0, ["1", "2"]);
}

#[test]
fn a_changed_file_is_an_error_or_read_from_its_start() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("a");
    let old: String = (0..5_000).map(|n| format!("{n}\n")).collect();
    for new in ["other\nlines\n".to_owned(), old.replace('0', "o"), old[..old.len() - 2].to_owned()] {
        fs::write(&path, &old).unwrap();
        let mut reader = FileSource::lines(&path).reader(&context(0, 1, None)).unwrap();
        reader.poll(&mut Batch::default()).unwrap();
        let positions = reader.positions();
        fs::write(&path, &new).unwrap();
        let error = read_all(&FileSource::lines(&path), 1, Some(&positions)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains("OnChangedFile::FromStart"), "{error}");
        let source = FileSource::lines(&path).on_changed_file(OnChangedFile::FromStart);
        assert!(read_all(&source, 1, Some(&positions)).unwrap().0.into_iter().eq(new.lines()));
    }
    let positions = FileSource::lines(&path).reader(&context(0, 1, None)).unwrap().positions();
    fs::remove_file(&path).unwrap();
    let error = read_all(&FileSource::lines(&path), 1, Some(&positions)).unwrap_err();
    assert!(error.message().contains("is gone"), "{error}");
}

#[test]
fn a_file_cut_while_it_is_read_is_an_error() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("a");
    fs::write(&path, "line of text\n".repeat(200_000)).unwrap();
    let mut reader = FileSource::lines(&path).reader(&context(0, 1, None)).unwrap();
    reader.poll(&mut Batch::default()).unwrap();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1_300_000).unwrap();
    let error = read(&mut reader).unwrap_err();
    assert!(error.message().contains("it was cut"), "{error}");
}

#[test]
fn origins_name_file_and_byte() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("a");
    fs::write(&path, "one\ntwo\n").unwrap();
    let mut context = context(0, 1, None);
    context.wants.origin = true;
    let mut reader = FileSource::lines(&path).reader(&context).unwrap();
    assert_eq!(reader.lag(), Some(8));
    let mut batch = Batch::default();
    assert_eq!(reader.poll(&mut batch).unwrap(), Polled::Records { split: 0 });
    assert_eq!(batch.metadata[1].origin.offset, 4);
    assert_eq!(*batch.metadata[1].origin.source, *path.to_string_lossy());
    assert_eq!(reader.lag(), Some(0));
}

#[test]
fn damaged_positions_are_refused() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("a");
    fs::write(&path, "one\n").unwrap();
    let mut positions = FileSource::lines(&path).reader(&context(0, 1, None)).unwrap().positions();
    let error = FileSource::lines(&path).follow().reader(&context(0, 1, Some(&positions))).err().unwrap();
    assert!(error.message().contains("cannot be followed"), "{error}");
    positions[0].position = "offset 3".into();
    let error = FileSource::lines(&path).reader(&context(0, 1, Some(&positions))).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Checkpoint);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Chunks, workers and a restart with other workers never lose or repeat a line.
    #[test]
    fn each_line_is_read_once(
        content in "(([a-z]{0,12})\r?\n){0,40}[a-z]{0,5}",
        chunk_bytes in 1_u64..80,
        workers in 1_usize..5,
        later_workers in 1_usize..5,
        batches in 0_usize..4,
    ) {
        let directory = tempdir().unwrap();
        fs::write(directory.path().join("a"), &content).unwrap();
        fs::write(directory.path().join("b"), content.to_uppercase()).unwrap();
        let source = FileSource::lines(directory.path()).chunk_bytes(chunk_bytes);
        let (mut all, mut positions) = (Vec::new(), Vec::new());
        for worker in 0..workers {
            let mut reader = source.reader(&context(worker, workers, None)).unwrap();
            let mut batch = Batch::default();
            for _ in 0..batches {
                reader.poll(&mut batch).unwrap();
                all.extend(batch.drain().map(|(line, _)| line));
            }
            positions.extend(reader.positions());
        }
        // A checkpoint is text, and another process reads it.
        let positions: Vec<_> = serde_json::from_str(&serde_json::to_string(&positions).unwrap()).unwrap();
        let source = FileSource::lines(directory.path());
        all.extend(read_all(&source, later_workers, Some(&positions)).unwrap().0);
        all.sort();
        let upper = content.to_uppercase();
        let mut expected: Vec<&str> = content.lines().chain(upper.lines()).collect();
        expected.sort_unstable();
        prop_assert_eq!(all, expected);
    }
}
