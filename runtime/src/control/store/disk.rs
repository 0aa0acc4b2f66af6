//! Files that are surely on the disk when a call returns.
//!
//! A file is durable when its content *and* the folder that names it were fsync'ed. This module does
//! both, and turns the operating system's errors into messages that say what to do. It must not know
//! what slots and blobs are. The few calls that it makes of a file system stand behind [`Files`]; a
//! simulation has one whose power may fail.

use crate::error::{Error, ErrorKind, Result};
use crate::planted::{Bug, planted};
use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// The calls of a file system that a store makes, each as POSIX has it.
pub(crate) trait Files: Debug + Send + Sync {
    fn is_folder(&self, path: &Path) -> bool;
    fn make_folder(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
    /// Makes a file that must not exist, writes it and makes its content durable; on an error some of it may
    /// be there.
    fn write_new(&self, path: &Path, parts: &[&[u8]]) -> io::Result<()>;
    /// Gives a file a second name, which must not exist.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    fn names(&self, folder: &Path) -> io::Result<Vec<String>>;
    fn modified(&self, path: &Path) -> io::Result<SystemTime>;
}

/// The operating system's file system.
#[derive(Debug)]
pub(crate) struct OsFiles;

impl Files for OsFiles {
    fn is_folder(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        File::open(path).and_then(|folder| folder.sync_all())
    }

    fn write_new(&self, path: &Path, parts: &[&[u8]]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        parts.iter().try_for_each(|part| file.write_all(part))?;
        file.sync_all()
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(folder)?;
        entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned())).collect()
    }

    fn modified(&self, path: &Path) -> io::Result<SystemTime> {
        fs::metadata(path)?.modified()
    }
}

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

/// A file system, with errors of this crate.
#[derive(Clone, Debug)]
pub(super) struct Disk(pub Arc<dyn Files>);

impl Disk {
    /// Makes a folder and its parents, each durably: a new folder is lost in a crash unless its *parent*
    /// was fsync'ed.
    pub(super) fn create_folder(&self, path: &Path) -> Result<()> {
        if self.0.is_folder(path) {
            return Ok(());
        }
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            self.create_folder(parent)?;
        }
        match self.0.make_folder(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && self.0.is_folder(path) => {}
            Err(error) => return Err(failed("make the folder", path, error)),
        }
        self.sync_folder(parent_of(path))
    }

    /// Makes a folder's names durable.
    pub(super) fn sync_folder(&self, path: &Path) -> Result<()> {
        self.0.sync_folder(path).map_err(|error| failed("fsync the folder", path, error))
    }

    /// Writes and fsyncs a new file.
    pub(super) fn write_temp(&self, path: PathBuf, parts: &[&[u8]]) -> Result<TempFile> {
        // After a failed fsync the kernel may call the lost pages clean (PostgreSQL's "fsyncgate"), so a
        // file whose fsync failed is never tried again: the caller writes a new one.
        let written = self.0.write_new(&path, parts);
        match written {
            Ok(()) => Ok(TempFile { path, files: self.0.clone() }),
            Err(error) => {
                let error = failed("write", &path, error);
                // Best effort; what stays is removed when the store is opened again.
                let _ = self.0.remove(&path);
                Err(error)
            }
        }
    }

    /// Removes a file, if it exists. Not durably: an old checkpoint that comes back after a power loss does no
    /// harm, is deleted again by the next retention, and the fsync would delay the next checkpoint.
    pub(super) fn remove_file(&self, path: &Path) -> Result<()> {
        match self.0.remove(path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed("delete", path, error)),
        }
    }

    /// A file's content; `None` if there is no such file.
    pub(super) fn read_file(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        match self.0.read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", path, error)),
        }
    }

    /// The names in a folder, sorted. A name that is not text cannot be one of ours; it is shown as best it can be.
    pub(super) fn names_in(&self, path: &Path) -> Result<Vec<String>> {
        let mut names = self.0.names(path).map_err(|error| failed("list", path, error))?;
        names.sort_unstable();
        Ok(names)
    }
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
    files: Arc<dyn Files>,
}

impl TempFile {
    /// Gives the file its final name, unless that name exists: then `false`.
    ///
    /// A hard link, because a rename would replace what is there. This is the compare-and-set.
    pub(super) fn link(&self, target: &Path) -> Result<bool> {
        if planted(Bug::LinkReplaces) {
            let _ = self.files.remove(target);
        }
        match self.files.link(&self.path, target) {
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
        let _ = self.files.remove(&self.path);
    }
}
