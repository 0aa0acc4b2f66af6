//! Files: records one a line, read from files and directories, and written exactly once.
//!
//! The source remembers byte offsets together with a hash of each file's first bytes, so that a
//! file that was replaced or cut is noticed. The sink writes side files and gives them their final
//! names once the checkpoint that lists them is durable.
//!
//! Nothing here knows of workers' threads or of manifests beyond the traits of [`crate::api`].

mod lines;
mod listing;
mod participant;
mod position;
mod reader;
mod sink;
mod source;
#[cfg(test)]
mod tests;
mod written;

pub use participant::FileParticipant;
pub use reader::FileReader;
pub use sink::{FileSink, FileWriter};
pub use source::{FileSource, OnChangedFile};
pub use written::{CommittedLines, committed_lines};

use crate::error::{Error, ErrorKind};
use std::io;
use std::path::Path;

/// An I/O error with what was tried, on which path, and what to do about it.
fn failed(kind: ErrorKind, tried: &str, path: &Path, error: io::Error) -> Error {
    let (kind, advice) = match error.kind() {
        io::ErrorKind::NotFound => (kind, "check that the path exists"),
        // Only a person can change these: restarting would loop.
        io::ErrorKind::PermissionDenied => (ErrorKind::Config, "give this process the permission, or another path"),
        io::ErrorKind::ReadOnlyFilesystem => (ErrorKind::Config, "the file system is read-only, use another path"),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (kind, "there is no space left: free some, the job then goes on from its last checkpoint")
        }
        _ => (kind, "the job goes on from its last checkpoint once this works again"),
    };
    Error::new(kind, format!("cannot {tried} {}; {advice}", path.display())).caused_by(error)
}
