//! Which files there are to read, and how a bounded read divides them.

use super::failed;
use super::position::{Bounds, FilePosition, Head};
use crate::error::{Error, ErrorKind, Result};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The files that a source was given.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// A file, or all files of a directory; which of the two shows when it is opened.
    Path(PathBuf),
    /// Just these files.
    Files(Vec<PathBuf>),
}

/// A file to read.
pub(super) struct Found {
    /// Unique in the source, and the same on every machine that has the directory elsewhere.
    pub(super) name: String,
    pub(super) path: PathBuf,
}

impl Place {
    /// One line for people.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Path(path) => path.display().to_string(),
            Self::Files(paths) => format!("{} files", paths.len()),
        }
    }

    /// Whether files can appear.
    pub(super) fn is_directory(&self) -> bool {
        matches!(self, Self::Path(path) if path.is_dir())
    }

    /// Whether there is one file only, and a checkpoint calls it otherwise.
    pub(super) fn is_another_file(&self, name: &str) -> bool {
        matches!(self, Self::Path(path) if path.is_file() && path.file_name().is_some_and(|own| own != name))
    }

    /// The path of the file that a checkpoint calls `name`.
    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        match self {
            // A position names the file itself by its last component.
            Self::Path(path) if !path.is_dir() && path.file_name().is_some_and(|own| own == name) => path.clone(),
            Self::Path(path) => path.join(name),
            Self::Files(_) => PathBuf::from(name),
        }
    }

    /// The files that are there now, by name in a directory, else as given.
    pub(super) fn list(&self, extension: Option<&str>) -> Result<Vec<Found>> {
        match self {
            Self::Files(paths) => paths.iter().map(|path| found(path, path.as_os_str().to_str())).collect(),
            Self::Path(path) => {
                let metadata = fs::metadata(path).map_err(|error| failed(ErrorKind::Config, "read", path, error))?;
                if metadata.is_dir() {
                    return list_directory(path, extension);
                }
                Ok(vec![found(path, path.file_name().and_then(|name| name.to_str()))?])
            }
        }
    }
}

fn found(path: &Path, name: Option<&str>) -> Result<Found> {
    let Some(name) = name else {
        let message =
            format!("the file name {} is not UTF-8; rename it, checkpoints hold names as text", path.display());
        return Err(Error::new(ErrorKind::Config, message));
    };
    Ok(Found { name: name.to_owned(), path: path.to_owned() })
}

/// Regular files, and links to them, by name; hidden ones are somebody's unfinished work.
fn list_directory(directory: &Path, extension: Option<&str>) -> Result<Vec<Found>> {
    let fail = |error| failed(ErrorKind::Source, "list", directory, error);
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let wanted = extension.is_none_or(|wanted| path.extension().is_some_and(|own| own == wanted));
        // `is_file` is false for what vanished meanwhile.
        if !hidden && wanted && path.is_file() {
            all.push(found(&path, path.file_name().and_then(|name| name.to_str()))?);
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

/// Divides the files as they are now: a bounded read takes this much and no more, also after
/// restarts.
pub(super) fn divide(files: Vec<Found>, chunk_bytes: u64) -> Result<Vec<FilePosition>> {
    let mut splits: Vec<FilePosition> = Vec::new();
    for Found { name, path } in files {
        let file = File::open(&path).map_err(|error| failed(ErrorKind::Config, "open", &path, error))?;
        let limit = file.metadata().map_err(|error| failed(ErrorKind::Source, "look at", &path, error))?.len();
        let head = Head::of(&file, &path, limit)?;
        let mut begin = 0_u64;
        loop {
            let end = begin.saturating_add(chunk_bytes.max(1)).min(limit);
            let bounds = Bounds { number: splits.len(), begin, end, limit };
            let file = name.clone();
            splits.push(FilePosition { file, offset: begin, head: head.clone(), bounds: Some(bounds) });
            begin = end;
            if begin >= limit {
                break;
            }
        }
    }
    Ok(splits)
}
