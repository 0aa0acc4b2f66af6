//! Files that are surely on the disk when a call returns.
//!
//! A file is durable when its content *and* the folder that names it were fsync'ed. This module does
//! both, and turns the operating system's errors into messages that say what to do. It must not know
//! what slots and blobs are.

use crate::error::{Error, ErrorKind, Result};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// An error of the file system, with what can be done about it.
pub(super) fn failed(what: &str, path: &Path, error: io::Error) -> Error {
    let advice = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "make room on the disk (fewer retained checkpoints help); the job goes on from its last checkpoint"
        }
        io::ErrorKind::PermissionDenied => "give the job's user the right to read and write there",
        io::ErrorKind::ReadOnlyFilesystem => "the disk is mounted read-only: see the kernel's log for why",
        io::ErrorKind::NotFound => "is the disk mounted, and was the folder moved or deleted while the job ran?",
        _ => "check the disk; the job goes on from its last checkpoint once it can be written",
    };
    Error::new(ErrorKind::Store, format!("cannot {what} {}; {advice}", path.display())).caused_by(error)
}

/// Makes a folder and its parents, each durably: a new folder is lost in a crash unless its *parent*
/// was fsync'ed.
pub(super) fn create_folder(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        create_folder(parent)?;
    }
    match fs::create_dir(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        Err(error) => return Err(failed("make the folder", path, error)),
    }
    sync_folder(parent_of(path))
}

/// Makes a folder's names durable.
pub(super) fn sync_folder(path: &Path) -> Result<()> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(|error| failed("fsync the folder", path, error))
}

/// The folder that names this path.
pub(super) fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A file that has its content durably but not its final name yet. Dropping it removes it.
pub(super) struct TempFile {
    path: PathBuf,
}

impl TempFile {
    /// Writes and fsyncs a new file.
    pub(super) fn write(path: PathBuf, parts: &[&[u8]]) -> Result<Self> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(|error| failed("make the file", &path, error))?;
        let temp = Self { path };
        // After a failed fsync the kernel may call the lost pages clean (PostgreSQL's "fsyncgate"), so a
        // file whose fsync failed is never tried again: the caller writes a new one.
        let written = parts.iter().try_for_each(|part| file.write_all(part)).and_then(|()| file.sync_all());
        written.map_err(|error| failed("write", &temp.path, error))?;
        Ok(temp)
    }

    /// Gives the file its final name, unless that name exists: then `false`.
    ///
    /// A hard link, because a rename would replace what is there. This is the compare-and-set.
    pub(super) fn link(&self, target: &Path) -> Result<bool> {
        match fs::hard_link(&self.path, target) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(failed("name the new file", target, error)),
            Err(error) => {
                let failed = failed("name the new file", target, error);
                let hint = "(a checkpoint folder needs a file system with hard links: ext4, xfs, btrfs, NFS; not FAT)";
                Err(Error::new(failed.kind(), format!("{} {hint}", failed.message())).caused_by(failed))
            }
        }
    }

    /// Leaves the file behind, as a crash would.
    #[cfg(test)]
    pub(super) fn leave(self) {
        std::mem::forget(self);
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        // Best effort: what stays is removed when the store is opened again.
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes a file, if it exists. Not durably: an old checkpoint that comes back after a power loss does no
/// harm, is deleted again by the next retention, and the fsync would delay the next checkpoint.
pub(super) fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("delete", path, error)),
    }
}

/// A file's content; `None` if there is no such file.
pub(super) fn read_file(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path, error)),
    }
}

/// The names in a folder, sorted. A name that is not text cannot be one of ours; it is shown as best it can be.
pub(super) fn names_in(path: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(path).map_err(|error| failed("list", path, error))?;
    let mut names = entries
        .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<Vec<_>>>()
        .map_err(|error| failed("list", path, error))?;
    names.sort_unstable();
    Ok(names)
}
