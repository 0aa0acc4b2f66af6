//! Followed files: what is appended and what appears, and nothing silently lost.

use super::super::{FileSource, OnChangedFile};
use super::{context, read};
use crate::api::source::{Source, SourceReader};
use crate::error::ErrorKind;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use tempfile::tempdir;

fn append(path: &Path, text: &str) {
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

#[test]
fn appended_lines_come_once_their_newline_is_there() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("a");
    append(&path, "1\n2");
    let source = FileSource::lines(&path).follow();
    let mut reader = source.reader(&context(0, 1, None)).unwrap();
    assert_eq!(read(&mut reader).unwrap(), ["1"]);
    assert_eq!(reader.lag(), Some(1));
    append(&path, "2\n3\n4");
    assert_eq!(read(&mut reader).unwrap(), ["22", "3"]);
    let mut reader = source.reader(&context(0, 1, Some(&reader.positions()))).unwrap();
    assert!(read(&mut reader).unwrap().is_empty());
    append(&path, "\n");
    assert_eq!(read(&mut reader).unwrap(), ["4"]);
}

#[test]
fn new_files_belong_to_one_worker_each() {
    let directory = tempdir().unwrap();
    let source = FileSource::lines(directory.path()).follow();
    let mut readers: Vec<_> = (0..3).map(|worker| source.reader(&context(worker, 3, None)).unwrap()).collect();
    let mut expected = Vec::new();
    for n in 0..400 {
        append(&directory.path().join(format!("file-{n}")), &format!("{n}\n"));
        expected.push(n.to_string());
    }
    let mut all: Vec<String> = readers.iter_mut().flat_map(|reader| read(reader).unwrap()).collect();
    append(&directory.path().join("file-7"), "more\n");
    expected.push("more".to_owned());
    all.extend(readers.iter_mut().flat_map(|reader| read(reader).unwrap()));
    let positions: Vec<_> = readers.iter().flat_map(SourceReader::positions).collect();
    assert_eq!(positions.len(), 400);
    // A file that came in between.
    append(&directory.path().join("late"), "late\n");
    expected.push("late".to_owned());
    // One worker has more files than are kept open.
    let mut reader = source.reader(&context(0, 1, Some(&positions))).unwrap();
    for n in [8, 399] {
        all.extend(read(&mut reader).unwrap());
        append(&directory.path().join(format!("file-{n}")), "again\n");
        expected.push("again".to_owned());
    }
    all.extend(read(&mut reader).unwrap());
    all.sort();
    expected.sort();
    assert_eq!(all, expected);
}

/// Runs `change` on a followed file, while it is followed and between attempts; each has to be noticed.
fn is_noticed(change: impl Fn(&Path), then: &[&str]) {
    for restart in [false, true] {
        let directory = tempdir().unwrap();
        let path = directory.path().join("a");
        append(&path, "first\nsecond\n");
        let stopping = FileSource::lines(&path).follow();
        let going_on = FileSource::lines(&path).follow().on_changed_file(OnChangedFile::FromStart);
        let mut readers = [&stopping, &going_on].map(|source| source.reader(&context(0, 1, None)).unwrap());
        for reader in &mut readers {
            assert_eq!(read(reader).unwrap(), ["first", "second"]);
        }
        let positions = readers[0].positions();
        change(&path);
        if restart {
            readers = [&stopping, &going_on].map(|source| source.reader(&context(0, 1, Some(&positions))).unwrap());
        }
        let error = read(&mut readers[0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.message().contains("OnChangedFile::FromStart"), "{error}");
        assert_eq!(read(&mut readers[1]).unwrap(), then, "after a restart: {restart}");
    }
}

#[test]
fn a_file_cut_to_nothing_is_noticed() {
    is_noticed(|path| fs::write(path, "").unwrap(), &[]);
}

#[test]
fn a_file_written_anew_is_noticed() {
    is_noticed(|path| fs::write(path, "other, and longer than before\n").unwrap(), &["other, and longer than before"]);
}

#[test]
fn a_file_replaced_by_another_is_noticed() {
    let replace = |path: &Path| {
        fs::rename(path, path.with_extension("old")).unwrap();
        fs::write(path, "new\n").unwrap();
    };
    is_noticed(replace, &["new"]);
}

#[test]
fn a_file_removed_after_it_was_read_is_no_error_until_it_is_there_again() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("a");
    append(&path, "1\n");
    let source = FileSource::lines(directory.path()).follow();
    let mut reader = source.reader(&context(0, 1, None)).unwrap();
    assert_eq!(read(&mut reader).unwrap(), ["1"]);
    let unfinished = reader.positions();
    // The last line is read although the name is gone: the file was open.
    append(&path, "2\n");
    fs::remove_file(&path).unwrap();
    assert_eq!(read(&mut reader).unwrap(), ["2"]);
    assert!(reader.positions()[0].finished);
    let mut restarted = source.reader(&context(0, 1, Some(&reader.positions()))).unwrap();
    assert!(read(&mut restarted).unwrap().is_empty());
    let error = read(&mut source.reader(&context(0, 1, Some(&unfinished))).unwrap()).unwrap_err();
    assert!(error.message().contains("is gone"), "{error}");
    append(&path, "3\n");
    assert!(read(&mut restarted).unwrap_err().message().contains("is there again"));
}
