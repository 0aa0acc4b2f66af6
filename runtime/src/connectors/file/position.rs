//! Where reading a file stands, and whether it still is the same file.

use super::failed;
use crate::error::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64;

/// How much of a file's beginning identifies it.
const HEAD_BYTES_MAX: u64 = 1_024;

/// The position of a split, as it stands in checkpoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct FilePosition {
    /// The file's name in its directory, or its path as given.
    pub(super) file: String,
    /// The offset of the next line's first byte.
    pub(super) offset: u64,
    /// The file's beginning.
    pub(super) head: Head,
    /// Of a bounded read; none while files are followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) bounds: Option<Bounds>,
}

/// What a bounded read takes of a file: the lines whose first byte lies in `begin..end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Bounds {
    /// The split's number among those of the first start; decides which worker reads it.
    pub(super) number: usize,
    pub(super) begin: u64,
    pub(super) end: u64,
    /// The file's length at the first start; the last line of a chunk may reach beyond `end`, but not beyond this.
    pub(super) limit: u64,
}

/// The hash of a file's first bytes. Files that only grow keep it; an inode would not survive a copy
/// to another machine, and is used again by the next file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) bytes: u64,
    pub(super) xxh3: String,
}

impl FilePosition {
    /// The split's name.
    pub(super) fn split(&self) -> String {
        match self.bounds {
            Some(bounds) if bounds.is_chunk() => format!("{}#{}", self.file, bounds.begin),
            _ => self.file.clone(),
        }
    }

    /// The worker that reads it: evenly by number where the splits are fixed, else by the name alone,
    /// because workers find new files independently.
    pub(super) fn owner(&self, workers: usize) -> usize {
        let number = self.bounds.map_or_else(|| xxh3_64(self.file.as_bytes()), |bounds| bounds.number as u64);
        (number % workers as u64) as usize
    }
}

impl Bounds {
    /// Whether it is a part of its file.
    pub(super) fn is_chunk(&self) -> bool {
        self.begin > 0 || self.end < self.limit
    }
}

impl Head {
    /// The hash of a file's first `bytes`, at most as many as identify it.
    pub(super) fn of(file: &File, path: &Path, bytes: u64) -> Result<Self> {
        let bytes = bytes.min(HEAD_BYTES_MAX);
        let mut head = [0; HEAD_BYTES_MAX as usize];
        let head = &mut head[..bytes as usize];
        file.read_exact_at(head, 0).map_err(|error| failed(ErrorKind::Source, "read the beginning of", path, error))?;
        Ok(Self { bytes, xxh3: format!("{:016x}", xxh3_64(head)) })
    }

    /// Whether a longer head can be taken, now that the file was read up to `offset`.
    pub(super) fn can_grow(&self, offset: u64) -> bool {
        self.bytes < offset.min(HEAD_BYTES_MAX)
    }

    /// Whether the file is still the one that was read up to `offset`; else what happened to it.
    pub(super) fn verify(&self, file: &File, path: &Path, offset: u64) -> Result<Result<(), String>> {
        let length = file.metadata().map_err(|error| failed(ErrorKind::Source, "look at", path, error))?.len();
        if length < offset.max(self.bytes) {
            return Ok(Err(format!("has {length} bytes, but was read up to byte {offset}: it was cut or replaced")));
        }
        if self.bytes > 0 && Self::of(file, path, self.bytes)? != *self {
            return Ok(Err(format!("was replaced after it was read up to byte {offset}: it begins differently")));
        }
        Ok(Ok(()))
    }
}

/// The error for a file that is not what it was.
pub(super) fn changed(path: &Path, what: &str, choice: bool) -> Error {
    let advice = if choice {
        "bring the file back, or set `.on_changed_file(OnChangedFile::FromStart)` to read what is there now from its \
         first byte"
    } else {
        "bring the file back, or start without the checkpoint; a chunk of a file cannot be read anew on its own"
    };
    Error::new(ErrorKind::Config, format!("{} {what}; {advice}", path.display()))
}
