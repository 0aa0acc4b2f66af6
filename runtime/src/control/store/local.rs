//! A checkpoint store in a local folder.
//!
//! ```text
//! STORE               whose store it is: the job, and the lineage made with it
//! log/00000001.slot   the slots
//! state/<name>.blob   operators' state
//! tmp/                files on their way
//! ```
//!
//! A new file is written and fsync'ed in `tmp`, hard-linked to its final name, and the folder fsync'ed:
//! under its final name a file is always whole, and never replaced. This module must not know what
//! slots mean, nor which are still needed.

use super::disk::{self, Disk, Files, OsFiles};
use super::{CheckpointStore, Created, blob_differs, check_blob_name, envelope, missing_blob};
use crate::control::manifest::{StoreIdentity, decode_identity, encode_identity};
use crate::crash::{crash_point, process_point};
use crate::error::{Error, ErrorKind, Result};
use crate::planted::{Bug, planted};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use uuid::Uuid;

const SLOT_DIGITS: usize = 8;
/// Writing a file takes seconds. One that has not moved for so long has no living writer; and if it
/// had, that writer would find its file gone, fail to name it, and try again: nothing is lost.
const TEMP_AGE_MAX: Duration = Duration::from_secs(3600);

/// Checkpoints in a local folder (or on a network file system that has hard links).
///
/// Two folders cannot fence each other: a job that may be started on two machines needs a store that
/// both see.
#[derive(Debug)]
pub struct LocalStore {
    root: PathBuf,
    disk: Disk,
    identity: StoreIdentity,
    /// Makes names in `tmp` unique among processes and machines.
    instance: Uuid,
    temps: AtomicU64,
    #[cfg(test)]
    pub(super) crash: std::sync::Mutex<Option<Crash>>,
}

/// Where a test wants the process to die.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Crash {
    BeforeLink,
    AfterLink,
    /// Half of the file reaches the disk under its final name, as on a disk that lies about fsync.
    Torn,
}

impl LocalStore {
    /// Opens the job's store, making it if there is none. `new_uuid` makes random uuids.
    ///
    /// # Errors
    /// [`ErrorKind::Store`] when the folder cannot be used, [`ErrorKind::Config`] when it belongs to
    /// another job, [`ErrorKind::Checkpoint`] when its `STORE` file is damaged or lost.
    pub fn open(root: &Path, job: &str, new_uuid: impl Fn() -> Uuid) -> Result<Self> {
        Self::open_on(Arc::new(OsFiles), root, job, new_uuid)
    }

    /// As [`LocalStore::open`], on this file system.
    pub(crate) fn open_on(files: Arc<dyn Files>, root: &Path, job: &str, new_uuid: impl Fn() -> Uuid) -> Result<Self> {
        let disk = Disk(files);
        for folder in [root.to_owned(), root.join("log"), root.join("state"), root.join("tmp")] {
            disk.create_folder(&folder)?;
        }
        // Also of folders that were there: a process may have died between making and fsyncing them.
        // The parent may not be ours to open; then whoever made the folder for us answers for it.
        disk.sync_folder(root)?;
        let _ = disk.sync_folder(disk::parent_of(root));
        let found = read_identity(&disk, root)?;
        let mut store = Self::at(disk, root, StoreIdentity { job: job.to_owned(), lineage: new_uuid() }, new_uuid());
        store.identity = match found {
            Some(identity) => identity,
            None => store.make_identity()?,
        };
        if store.identity.job != job {
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "{} holds the checkpoints of job `{}`, not of `{job}`; give each job a folder of its own",
                    root.display(),
                    store.identity.job
                ),
            ));
        }
        store.remove_old_temps()?;
        Ok(store)
    }

    /// Opens a store that exists, whatever its job, to look at it. Changes nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when there is none; else as [`LocalStore::open`].
    pub fn open_existing(root: &Path, new_uuid: impl Fn() -> Uuid) -> Result<Self> {
        Self::open_existing_on(Arc::new(OsFiles), root, new_uuid)
    }

    /// As [`LocalStore::open_existing`], on this file system.
    pub(crate) fn open_existing_on(files: Arc<dyn Files>, root: &Path, new_uuid: impl Fn() -> Uuid) -> Result<Self> {
        let disk = Disk(files);
        let identity = read_identity(&disk, root)?.ok_or_else(|| {
            Error::new(ErrorKind::Config, format!("there is no checkpoint store at {}; check the path", root.display()))
        })?;
        Ok(Self::at(disk, root, identity, new_uuid()))
    }

    fn at(disk: Disk, root: &Path, identity: StoreIdentity, instance: Uuid) -> Self {
        Self {
            root: root.to_owned(),
            disk,
            identity,
            instance,
            temps: AtomicU64::new(0),
            #[cfg(test)]
            crash: std::sync::Mutex::default(),
        }
    }

    /// Writes `STORE`, or reads it where another process was quicker.
    fn make_identity(&self) -> Result<StoreIdentity> {
        if !self.disk.names_in(&self.root.join("log"))?.is_empty() {
            // Another process may have made both since this one looked.
            if let Some(identity) = read_identity(&self.disk, &self.root)? {
                return Ok(identity);
            }
            // A new lineage would not know the transactions that these checkpoints list.
            return Err(Error::new(
                ErrorKind::Checkpoint,
                format!(
                    "{} holds checkpoints but its file STORE is gone; bring it back from a backup, or start with an empty folder",
                    self.root.display()
                ),
            ));
        }
        self.place(&self.root.join("STORE"), &[&encode_identity(&self.identity)?])?;
        read_identity(&self.disk, &self.root)?.ok_or_else(|| {
            Error::new(ErrorKind::Store, format!("{}: the new STORE file vanished; try again", self.root.display()))
        })
    }

    /// Makes a file under its final name, durably; `false` if the name exists, which then is durable too.
    fn place(&self, target: &Path, parts: &[&[u8]]) -> Result<bool> {
        let number = self.temps.fetch_add(1, Ordering::Relaxed);
        let temp = self.disk.write_temp(self.root.join("tmp").join(format!("{}-{number}", self.instance)), parts)?;
        #[cfg(test)]
        let temp = self.crash_before_link(temp, target, parts)?;
        let is_slot = target.extension().is_some_and(|kind| kind == "slot");
        if is_slot {
            process_point("manifest-written");
        }
        let made = temp.link(target)?;
        if is_slot {
            crash_point("manifest-visible");
        }
        drop(temp);
        // Also when it existed: what is seen may be another process's link that is not on the disk yet,
        // or our own after a failed fsync, and whoever acts on it must know that it stays.
        if !planted(Bug::FolderNotSynced) {
            self.disk.sync_folder(disk::parent_of(target))?;
        }
        #[cfg(test)]
        self.crash_at(Crash::AfterLink)?;
        Ok(made)
    }

    fn remove_old_temps(&self) -> Result<()> {
        let folder = self.root.join("tmp");
        // Ages are measured by the file system's own clock, which may be another machine's.
        let probe = folder.join(format!("{}-now", self.instance));
        let temp = self.disk.write_temp(probe.clone(), &[])?;
        let modified = |path: &Path| self.disk.0.modified(path);
        let now = modified(&probe).map_err(|error| disk::failed("look at", &probe, error))?;
        drop(temp);
        for name in self.disk.names_in(&folder)? {
            let path = folder.join(name);
            // One that vanished meanwhile was somebody's living file, now in its place.
            let age = modified(&path).ok().and_then(|then| now.duration_since(then).ok());
            if age.is_some_and(|age| age > TEMP_AGE_MAX) {
                self.disk.remove_file(&path)?;
            }
        }
        Ok(())
    }

    fn slot_path(&self, slot: u64) -> PathBuf {
        self.root.join("log").join(format!("{slot:0SLOT_DIGITS$}.slot"))
    }

    fn blob_path(&self, name: &str) -> PathBuf {
        self.root.join("state").join(format!("{name}.blob"))
    }

    #[cfg(test)]
    fn crash_at(&self, point: Crash) -> Result<()> {
        let mut crash = self.crash.lock().unwrap();
        if *crash != Some(point) {
            return Ok(());
        }
        *crash = None;
        Err(Error::new(ErrorKind::Store, "simulated crash"))
    }

    #[cfg(test)]
    fn crash_before_link(&self, temp: disk::TempFile, target: &Path, parts: &[&[u8]]) -> Result<disk::TempFile> {
        if let Err(crashed) = self.crash_at(Crash::BeforeLink) {
            temp.leave();
            return Err(crashed);
        }
        if let Err(crashed) = self.crash_at(Crash::Torn) {
            let content = parts.concat();
            std::fs::write(target, &content[..content.len() / 2]).unwrap();
            return Err(crashed);
        }
        Ok(temp)
    }
}

impl CheckpointStore for LocalStore {
    fn identity(&self) -> &StoreIdentity {
        &self.identity
    }

    fn describe(&self) -> String {
        self.root.display().to_string()
    }

    fn create(&self, slot: u64, bytes: &[u8]) -> Result<Created> {
        if !self.place(&self.slot_path(slot), &[bytes])? {
            return Ok(Created::Taken);
        }
        // Retention deletes low slots, but never the highest, so if this slot was deleted before, a
        // higher one exists now and will be seen: a process that slept meanwhile gets `Taken`. The
        // file is left where it is. It might be a rightful slot after which somebody else has already
        // made the next one and read ours; and where it is not, it lies below a kept manifest and
        // the next retention removes it.
        let overtaken = self.list()?.last().is_some_and(|highest| *highest > slot);
        Ok(if overtaken { Created::Taken } else { Created::Created })
    }

    fn read(&self, slot: u64) -> Result<Option<Vec<u8>>> {
        self.disk.read_file(&self.slot_path(slot))
    }

    fn list(&self) -> Result<Vec<u64>> {
        let names = self.disk.names_in(&self.root.join("log"))?;
        let mut slots: Vec<u64> = names.iter().filter_map(|name| slot_of(name)).collect();
        slots.sort_unstable();
        Ok(slots)
    }

    fn foreign(&self) -> Result<Vec<String>> {
        let mut foreign = Vec::new();
        let known = ["STORE", "log", "state", "tmp"];
        foreign.extend(self.disk.names_in(&self.root)?.into_iter().filter(|name| !known.contains(&name.as_str())));
        let log = self.disk.names_in(&self.root.join("log"))?;
        foreign.extend(log.into_iter().filter(|name| slot_of(name).is_none()).map(|name| format!("log/{name}")));
        let state = self.disk.names_in(&self.root.join("state"))?;
        foreign.extend(state.into_iter().filter(|name| blob_of(name).is_none()).map(|name| format!("state/{name}")));
        Ok(foreign)
    }

    fn delete_slot(&self, slot: u64) -> Result<()> {
        self.disk.remove_file(&self.slot_path(slot))
    }

    fn put_blob(&self, name: &str, bytes: &[u8]) -> Result<()> {
        check_blob_name(name)?;
        if !self.place(&self.blob_path(name), &[&envelope::header(bytes), bytes])? && self.get_blob(name)? != bytes {
            return Err(blob_differs(name));
        }
        Ok(())
    }

    fn get_blob(&self, name: &str) -> Result<Vec<u8>> {
        check_blob_name(name)?;
        let bytes = self.disk.read_file(&self.blob_path(name))?.ok_or_else(|| missing_blob(name))?;
        envelope::open(name, bytes)
    }

    fn list_blobs(&self) -> Result<Vec<String>> {
        let names = self.disk.names_in(&self.root.join("state"))?;
        Ok(names.iter().filter_map(|name| blob_of(name)).map(str::to_owned).collect())
    }

    fn delete_blob(&self, name: &str) -> Result<()> {
        check_blob_name(name)?;
        self.disk.remove_file(&self.blob_path(name))
    }
}

fn read_identity(disk: &Disk, root: &Path) -> Result<Option<StoreIdentity>> {
    let path = root.join("STORE");
    match disk.read_file(&path)? {
        Some(bytes) => decode_identity(&bytes).map(Some).map_err(|unreadable| unreadable.at(path.display())),
        None => Ok(None),
    }
}

fn slot_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".slot")?;
    let slot = digits.parse().ok()?;
    // Only the name that `slot_path` makes: two names must not mean one slot.
    (format!("{slot:0SLOT_DIGITS$}") == digits && slot > 0).then_some(slot)
}

fn blob_of(name: &str) -> Option<&str> {
    name.strip_suffix(".blob").filter(|name| check_blob_name(name).is_ok())
}
