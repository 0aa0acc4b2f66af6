//! The two-phase commit of files: durable side files first, final names later.
//!
//! ```text
//! <dir>/.staunch/<prefix>.owner                        which job the prefix belongs to
//! <dir>/.staunch/<lineage>/<participant>/<attempt>-<epoch>-<worker>.part
//! <dir>/.staunch/<lineage>/<participant>/<epoch>.committed
//! <dir>/<prefix>-<epoch>-<worker>.<extension>
//! ```
//!
//! A file gets its final name as a second link, which, unlike a rename, never replaces a file that
//! is there. The mark `<epoch>.committed` lets recovery tell a file that a consumer has since taken
//! away from one that never was.

use super::failed;
use crate::api::sink::{Committable, Share, SinkContext, TwoPhaseCommit};
use crate::control::permit::{CommitPermit, Published, Recovery};
use crate::crash::crash_point;
use crate::error::{Error, ErrorKind, Result};
use crate::id::Epoch;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const COMMITTED: &str = ".committed";

/// A side file and what it will be called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    /// Its name in the hidden directory.
    pub(super) part: String,
    /// Its final name; empty until the part is sealed.
    pub(super) file: String,
    pub(super) bytes: u64,
}

impl Part {
    /// As a writer's share.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        to_json(&[self])
    }

    /// Whether both names stay within their directories, whoever wrote the checkpoint.
    fn is_sane(&self) -> bool {
        [&self.part, &self.file].iter().all(|name| !name.is_empty() && !name.starts_with('.') && !name.contains('/'))
    }
}

/// Where one participant writes.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    visible: PathBuf,
    hidden: PathBuf,
}

impl Directory {
    /// Makes the directories, durably, and makes sure that the prefix is this job's.
    pub(super) fn claim(visible: &Path, prefix: &str, context: &SinkContext<'_>) -> Result<Self> {
        let root = visible.join(".staunch");
        let lineage = root.join(plain(context.lineage));
        let hidden = lineage.join(plain(context.participant));
        fs::create_dir_all(&hidden).map_err(|error| failed(ErrorKind::Sink, "create the directory", &hidden, error))?;
        claim_prefix(visible, &root.join(format!("{prefix}.owner")), prefix, context)?;
        for directory in [&lineage, &root, visible] {
            sync(directory)?;
        }
        if let Some(parent) = visible.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            // Not ours, perhaps not even readable: only the entry of a directory just made is at stake.
            let _ = sync(parent);
        }
        let directory = Self { visible: visible.to_owned(), hidden };
        directory.check_epoch(context.epoch)?;
        Ok(directory)
    }

    /// Epochs of a lineage only rise. Were one used again, the mark would pass its files off as committed.
    fn check_epoch(&self, next: Epoch) -> Result<()> {
        let Some(newest) = self.committed()?.filter(|newest| *newest >= next) else { return Ok(()) };
        let message = format!(
            "{} holds output up to epoch {newest}, but the job goes on at epoch {next}: it was started from an older \
             copy of its checkpoints; give it another directory or `.prefix(…)`, or restore the checkpoints",
            self.visible.display()
        );
        Err(Error::new(ErrorKind::Config, message))
    }

    /// Where committed files appear.
    pub(super) fn visible(&self) -> &Path {
        &self.visible
    }

    pub(super) fn part(&self, part: &Part) -> PathBuf {
        self.hidden.join(&part.part)
    }

    fn file(&self, part: &Part) -> PathBuf {
        self.visible.join(&part.file)
    }

    /// The names in the hidden directory.
    fn hidden_names(&self) -> Result<Vec<String>> {
        let fail = |error| failed(ErrorKind::Sink, "list", &self.hidden, error);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.hidden).map_err(fail)? {
            names.push(entry.map_err(fail)?.file_name().to_string_lossy().into_owned());
        }
        Ok(names)
    }

    fn remove_hidden(&self, name: &str) -> Result<()> {
        let path = self.hidden.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed(ErrorKind::Sink, "remove", &path, error))
            }
            _ => Ok(()),
        }
    }

    /// The newest epoch that is known to be committed.
    fn committed(&self) -> Result<Option<Epoch>> {
        Ok(self.hidden_names()?.iter().filter_map(|name| committed_mark(name)).max())
    }

    /// Remembers that an epoch is committed, and forgets its side files.
    fn mark_committed(&self, epoch: Epoch, parts: &[Part]) -> Result<()> {
        let path = self.hidden.join(format!("{:08}{COMMITTED}", epoch.0));
        File::create(&path).map_err(|error| failed(ErrorKind::Sink, "create", &path, error))?;
        // Before the side files go: with them gone and the mark lost, a file that its reader has taken away
        // would look like one that was never there.
        sync(&self.hidden)?;
        crash_point("file-marked");
        for part in parts {
            self.remove_hidden(&part.part)?;
        }
        for name in self.hidden_names()? {
            if committed_mark(&name).is_some_and(|older| older < epoch) {
                self.remove_hidden(&name)?;
            }
        }
        sync(&self.hidden)
    }

    /// Gives a side file its final name; harmless if it already has it.
    fn publish(&self, part: &Part, epoch: Epoch) -> Result<()> {
        let (from, to) = (self.part(part), self.file(part));
        match fs::hard_link(&from, &to) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.is_published(part, epoch),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.is_published(part, epoch),
            // File systems without links: a rename, after a look that nothing is replaced.
            Err(_) if !to.exists() => {
                fs::rename(&from, &to).map_err(|error| failed(ErrorKind::Sink, "give its final name to", &from, error))
            }
            Err(error) => Err(failed(ErrorKind::Sink, "give its final name to", &from, error)),
        }
    }

    /// Makes sure that the file is there under its final name and is what was prepared.
    fn is_published(&self, part: &Part, epoch: Epoch) -> Result<()> {
        let (from, to) = (self.part(part), self.file(part));
        let Some(there) = metadata(&to)? else {
            let message = format!(
                "{} of epoch {epoch} ({} bytes) is gone, and so is its side file {}: what a published checkpoint \
                 promised cannot be written any more; bring one of them back, or accept the loss and start from an \
                 older savepoint or without a checkpoint",
                to.display(),
                part.bytes,
                from.display()
            );
            return Err(Error::new(ErrorKind::DataLoss, message));
        };
        // Without the side file, which goes only after the link is durable, the length has to do.
        let same = match metadata(&from)? {
            Some(own) => (own.dev(), own.ino()) == (there.dev(), there.ino()),
            None => there.len() == part.bytes,
        };
        if same {
            return Ok(());
        }
        let message = format!(
            "{} is not what this job prepared in epoch {epoch} ({} bytes): something else wrote it; move it away, then \
             start again{}",
            to.display(),
            part.bytes,
            if from.exists() { "" } else { " from a checkpoint before that epoch" }
        );
        Err(Error::new(ErrorKind::DataLoss, message))
    }
}

/// The owner's file is made once; whoever comes later has to be the same job's same sink.
fn claim_prefix(visible: &Path, owner: &Path, prefix: &str, context: &SinkContext<'_>) -> Result<()> {
    let ours = format!("lineage {}, sink {}\n", context.lineage, context.participant);
    let fail = |tried: &str, error| failed(ErrorKind::Sink, tried, owner, error);
    if metadata(owner)?.is_none() {
        // Written aside, so that it is there in full or not at all; the link lets only one job win.
        let draft = owner.with_extension(format!("draft-{}", plain(context.lineage)));
        let write = || {
            let mut file = File::create(&draft)?;
            file.write_all(ours.as_bytes())?;
            file.sync_all()?;
            match fs::hard_link(&draft, owner) {
                Ok(()) => fs::remove_file(&draft),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::remove_file(&draft),
                // File systems without links.
                Err(_) => fs::rename(&draft, owner),
            }
        };
        write().map_err(|error| fail("write", error))?;
    }
    let theirs = fs::read_to_string(owner).map_err(|error| fail("read", error))?;
    if theirs == ours {
        return Ok(());
    }
    let message = format!(
        "{}/{prefix}-* belongs to {}, this is {} (job {}); give each sink a directory or `.prefix(…)` of its own. If \
         the other is gone for good, move its files away and remove {}",
        visible.display(),
        theirs.trim_end(),
        ours.trim_end(),
        context.job,
        owner.display()
    );
    Err(Error::new(ErrorKind::Config, message))
}

/// A name as a file name: what is not a letter, digit, `-` or `_` becomes its hexadecimal code.
fn plain(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_".contains(&byte) {
            plain.push(char::from(byte));
        } else {
            plain.push_str(&format!("%{byte:02x}"));
        }
    }
    plain
}

fn committed_mark(name: &str) -> Option<Epoch> {
    name.strip_suffix(COMMITTED)?.parse().ok().map(Epoch)
}

/// Of a file that may not be there.
fn metadata(path: &Path) -> Result<Option<fs::Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(ErrorKind::Sink, "look at", path, error)),
    }
}

/// Makes a file's content, or a directory's entries, durable.
fn sync(path: &Path) -> Result<()> {
    let sync = || File::open(path)?.sync_all();
    sync().map_err(|error| failed(ErrorKind::Sink, "make durable", path, error))
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value)
        .map_err(|error| Error::new(ErrorKind::Internal, "a list of files cannot be written").caused_by(error))
}

/// The parts that a share or a committable lists.
fn parts_from(bytes: &[u8]) -> Result<Vec<Part>> {
    let foreign = || {
        let message = "these bytes were not made by a file sink; restore a checkpoint of this pipeline";
        Error::new(ErrorKind::Checkpoint, message)
    };
    let parts: Vec<Part> = serde_json::from_slice(bytes).map_err(|error| foreign().caused_by(error))?;
    if parts.iter().all(Part::is_sane) { Ok(parts) } else { Err(foreign()) }
}

/// The parts that writers sealed.
fn shared(shares: &[Share]) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    for share in shares.iter().filter(|share| !share.bytes.is_empty()) {
        parts.extend(parts_from(&share.bytes)?);
    }
    Ok(parts)
}

/// Makes side files durable, and gives them their final names.
pub struct FileParticipant {
    directory: Directory,
    attempt: u64,
}

impl FileParticipant {
    pub(super) fn new(directory: Directory, attempt: u64) -> Self {
        Self { directory, attempt }
    }

    pub(super) fn directory(&self) -> &Directory {
        &self.directory
    }

    pub(super) fn attempt(&self) -> u64 {
        self.attempt
    }
}

impl TwoPhaseCommit for FileParticipant {
    fn recover(&mut self, published: Vec<Published>, _recovery: &mut Recovery<'_>) -> Result<()> {
        for published in &published {
            self.commit(published.committable(), published.permit())?;
        }
        crash_point("recover-settled");
        for name in self.directory.hidden_names()? {
            if name.ends_with(".part") {
                self.directory.remove_hidden(&name)?;
            }
        }
        Ok(())
    }

    fn prepare(&mut self, _epoch: Epoch, shares: Vec<Share>) -> Result<Option<Vec<u8>>> {
        let mut parts: Vec<Part> = Vec::new();
        for part in shared(&shares)? {
            let path = self.directory.part(&part);
            let length = metadata(&path)?.map(|metadata| metadata.len());
            if length != Some(part.bytes) {
                let message = format!(
                    "{} should have {} bytes and has {}: something else changed it, or another process runs the same \
                     job; make sure that only one does",
                    path.display(),
                    part.bytes,
                    length.map_or("none, it is gone".to_owned(), |bytes| bytes.to_string())
                );
                return Err(Error::new(ErrorKind::Sink, message));
            }
            sync(&path)?;
            parts.push(part);
        }
        if parts.is_empty() {
            return Ok(None);
        }
        sync(&self.directory.hidden)?;
        parts.sort_by(|a, b| a.file.cmp(&b.file));
        to_json(&parts).map(Some)
    }

    fn commit(&mut self, committable: &Committable, _permit: &CommitPermit) -> Result<()> {
        let parts = parts_from(&committable.bytes)?;
        // Epochs are committed in order, so a newer mark covers this one; its files may be gone by now.
        if self.directory.committed()?.is_some_and(|newest| newest >= committable.epoch) {
            return Ok(());
        }
        for part in &parts {
            self.directory.publish(part, committable.epoch)?;
            crash_point("file-named");
        }
        sync(&self.directory.visible)?;
        self.directory.mark_committed(committable.epoch, &parts)
    }

    fn abort(&mut self, committable: &Committable) -> Result<()> {
        let parts = parts_from(&committable.bytes)?;
        parts.iter().try_for_each(|part| self.directory.remove_hidden(&part.part))
    }
}
