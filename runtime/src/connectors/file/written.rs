//! Reads what a file sink committed: for tests and for people.

use super::failed;
use crate::error::{ErrorKind, Result};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};

/// The lines of all committed files of a [`FileSink`](super::FileSink)'s directory: by prefix, epoch
/// and worker, within a file as written. Unfinished work is not seen.
///
/// # Errors
/// [`ErrorKind::Source`] if the directory cannot be listed.
pub fn committed_lines(directory: impl AsRef<Path>) -> Result<CommittedLines> {
    let directory = directory.as_ref();
    let fail = |error| failed(ErrorKind::Source, "list", directory, error);
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        if let Some(order) = path.file_name().and_then(|name| order_of(name.to_str()?)) {
            files.push((order, path));
        }
    }
    files.sort();
    let files: Vec<PathBuf> = files.into_iter().map(|(_, path)| path).collect();
    Ok(CommittedLines { files: files.into_iter(), current: None })
}

/// `<prefix>-<epoch>-<worker>.<extension>`, by prefix, then by number.
fn order_of(name: &str) -> Option<(String, u64, usize)> {
    let (stem, worker) = name.rsplit_once('-')?;
    let (prefix, epoch) = stem.rsplit_once('-')?;
    let (worker, _extension) = worker.split_once('.')?;
    (!prefix.starts_with('.')).then_some((prefix.to_owned(), epoch.parse().ok()?, worker.parse().ok()?))
}

/// Iterates over committed lines; an error ends the file it is in.
pub struct CommittedLines {
    files: std::vec::IntoIter<PathBuf>,
    current: Option<(PathBuf, Lines<BufReader<File>>)>,
}

impl Iterator for CommittedLines {
    type Item = Result<String>;

    fn next(&mut self) -> Option<Result<String>> {
        loop {
            let Some((path, lines)) = &mut self.current else {
                let path = self.files.next()?;
                match File::open(&path) {
                    Ok(file) => self.current = Some((path, BufReader::new(file).lines())),
                    Err(error) => return Some(Err(failed(ErrorKind::Source, "open", &path, error))),
                }
                continue;
            };
            match lines.next() {
                Some(Ok(line)) => return Some(Ok(line)),
                Some(Err(error)) => {
                    let error = failed(ErrorKind::Source, "read", path, error);
                    self.current = None;
                    return Some(Err(error));
                }
                None => self.current = None,
            }
        }
    }
}
