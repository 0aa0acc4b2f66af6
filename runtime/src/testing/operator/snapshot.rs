//! Snapshots of one operator, and the files that keep them for tests of upgrades.
//!
//! ```text
//! file = "staunch snapshot 1\n" head "\n" state      head: JSON on one line
//! ```
//! The head holds the layout of the state that was written, so that a change of the operator that no
//! longer reads it is told by what differs, as at a job's start.

use crate::control::manifest::StateLayout;
use crate::error::{Error, ErrorKind, Result};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs;
use std::marker::PhantomData;
use std::ops::Range;
use std::path::Path;

const FIRST_LINE: &[u8] = b"staunch snapshot 1\n";
/// Set to `create`, it lets [`Snapshot::keep`] write files that do not exist.
const VARIABLE: &str = "STAUNCH_SNAPSHOTS";

/// What is told of a snapshot beside its bytes.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Head {
    /// The id of the operator.
    pub operator: String,
    pub layout: StateLayout,
    /// The key groups that the worker held.
    pub groups: Range<u32>,
    pub watermark: Timestamp,
    pub keys: u64,
}

/// An operator's state, timers and watermark, as bytes: what a checkpoint would hold.
///
/// Kept in a file of the repository, it shows that a later version of the operator still reads what an
/// earlier one wrote: see [`keep`](Self::keep).
pub struct Snapshot<O> {
    bytes: Vec<u8>,
    operator: PhantomData<fn() -> O>,
}

impl<O> Clone for Snapshot<O> {
    fn clone(&self) -> Self {
        Self::from_bytes(self.bytes.clone())
    }
}

impl<O> fmt::Debug for Snapshot<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parts() {
            Ok((head, state)) => {
                let Head { operator, layout, keys, watermark, .. } = head;
                let text = layout.text;
                write!(
                    f,
                    "Snapshot of `{operator}` ({text}): keys {keys}, bytes {}, watermark {watermark}",
                    state.len()
                )
            }
            Err(error) => write!(f, "Snapshot ({error})"),
        }
    }
}

impl<O> Snapshot<O> {
    pub(super) fn new(head: &Head, state: &[u8]) -> Result<Self> {
        let json = serde_json::to_vec(head).map_err(|error| {
            Error::new(ErrorKind::Internal, "the head of a snapshot cannot be written; please report this")
                .caused_by(error)
        })?;
        Ok(Self::from_bytes([FIRST_LINE, &json, b"\n", state].concat()))
    }

    /// The head, and the state's bytes.
    pub(super) fn parts(&self) -> Result<(Head, &[u8])> {
        let foreign = |what| {
            let next = "check that the path is that of a file that `Snapshot::save` or `Snapshot::keep` wrote";
            Error::new(ErrorKind::Checkpoint, format!("not a snapshot of an operator: {what}; {next}"))
        };
        let rest = self.bytes.strip_prefix(FIRST_LINE).ok_or_else(|| foreign("it begins with something else"))?;
        let end = rest.iter().position(|byte| *byte == b'\n').ok_or_else(|| foreign("its head does not end"))?;
        let (json, state) = rest.split_at(end);
        let head = serde_json::from_slice(json).map_err(|error| foreign("its head cannot be read").caused_by(error))?;
        Ok((head, &state[1..]))
    }

    /// The encoded snapshot, as it is kept in a file.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A snapshot that was kept as bytes. Whether they are one shows when it is restored.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self { bytes, operator: PhantomData }
    }

    /// Writes the snapshot to a file, over what is there; missing folders are made. Cargo runs tests in the
    /// folder of their package, so that is where a relative path begins.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
        folder.and_then(|()| fs::write(path, &self.bytes)).map_err(|error| {
            Error::new(ErrorKind::Config, format!("the snapshot `{}` cannot be written", path.display()))
                .caused_by(error)
        })
    }

    /// Reads a file that [`save`](Self::save) or [`keep`](Self::keep) wrote.
    ///
    /// # Errors
    /// When it cannot be read. Whether it is a snapshot of this operator shows when it is restored.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        fs::read(path).map(Self::from_bytes).map_err(|error| {
            let shown = path.display();
            let create = format!(
                "a test that calls `snapshot.keep(\"{shown}\")` makes it when run once with `{VARIABLE}=create`"
            );
            Error::new(ErrorKind::Config, format!("the snapshot `{shown}` cannot be read; {create}")).caused_by(error)
        })
    }

    /// Keeps a snapshot of *today's* operator for tests of tomorrow's: a file that exists is left as it is; one
    /// that does not is written if the environment says `STAUNCH_SNAPSHOTS=create`. Commit the file, and
    /// restore it in the same test: it fails as soon as the operator no longer reads what it once wrote.
    ///
    /// # Panics
    /// If there is no such file and none is to be made, so that a file that was forgotten is noticed.
    #[expect(clippy::disallowed_methods, reason = "a person asks for new files")]
    #[track_caller]
    pub fn keep(&self, path: impl AsRef<Path>) {
        let path = path.as_ref();
        if path.exists() {
            return;
        }
        let create = std::env::var_os(VARIABLE).is_some_and(|wish| wish == "create");
        assert!(
            create,
            "the snapshot `{}` does not exist; run the test once with `{VARIABLE}=create`, and commit the file",
            path.display()
        );
        if let Err(error) = self.save(path) {
            panic!("{error}");
        }
    }
}
