//! A disk whose power may fail: what was not fsync'ed is then there, gone, or torn, as chance has it.
//!
//! The store that ships runs on it. A process that is killed loses nothing that it had written: the
//! operating system lives on. A power failure ends all processes and keeps what was made durable; of the
//! rest any part may have reached the disk, or not.

use super::chance::Chance;
use super::world::{Failure, Pid, World};
use crate::control::store::Files;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What the disk holds.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    folders: BTreeSet<String>,
    /// Name to file, as processes see it.
    names: BTreeMap<String, usize>,
    /// The same as it will be after a power failure.
    durable: BTreeMap<String, usize>,
    files: Vec<File>,
    /// Links that were reported as failed and are yet to happen.
    late: Vec<(String, usize)>,
}

#[derive(Debug)]
struct File {
    bytes: Arc<Vec<u8>>,
    synced: bool,
    modified_ms: u64,
}

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

fn within<'a>(name: &'a str, folder: &str) -> Option<&'a str> {
    name.strip_prefix(folder)?.strip_prefix('/').filter(|rest| !rest.contains('/'))
}

impl Disk {
    /// The machine loses its power.
    pub fn power_failure(&mut self, chance: &mut Chance) {
        let mut after = BTreeMap::new();
        let mut names: Vec<String> = self.names.keys().chain(self.durable.keys()).cloned().collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let (now, kept) = (self.names.get(&name).copied(), self.durable.get(&name).copied());
            let survives = if now == kept || chance.one_in(2) { kept } else { now };
            if let Some(file) = survives {
                after.insert(name, file);
            }
        }
        for file in self.files.iter_mut().filter(|file| !file.synced) {
            let length = chance.below(file.bytes.len() + 1);
            file.bytes = Arc::new(file.bytes[..length].to_vec());
            file.synced = true;
        }
        self.names.clone_from(&after);
        self.durable = after;
        self.late.clear();
    }

    pub fn has_late(&self) -> bool {
        !self.late.is_empty()
    }

    /// Follows from the names on it and from every byte that they name.
    pub fn digest(&self) -> u64 {
        let mut digest = DefaultHasher::new();
        for (name, file) in &self.names {
            (name, &self.files[*file].bytes).hash(&mut digest);
        }
        digest.finish()
    }

    /// What was reported as failed happens after all.
    pub fn land_late(&mut self) -> usize {
        let late = std::mem::take(&mut self.late);
        let landed = late.len();
        for (name, file) in late {
            self.names.entry(name.clone()).or_insert(file);
            self.durable.entry(name).or_insert(file);
        }
        landed
    }

    fn sync_folder(&mut self, folder: &str) {
        let gone: Vec<String> = self.durable.keys().filter(|name| within(name, folder).is_some()).cloned().collect();
        for name in gone.iter().filter(|name| !self.names.contains_key(*name)) {
            self.durable.remove(name);
        }
        for (name, file) in self.names.iter().filter(|(name, _)| within(name, folder).is_some()) {
            self.durable.insert(name.clone(), *file);
        }
    }
}

/// One process's view of the disk. After the process's death nothing that it does reaches the disk.
#[derive(Debug)]
pub(super) struct ProcessDisk {
    pub world: Arc<World>,
    pub pid: Pid,
}

fn text(path: &Path) -> io::Result<&str> {
    path.to_str().ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

impl ProcessDisk {
    /// Another process, a fault or the death of this one may come before the call.
    fn enter(&self, place: &'static str) -> io::Result<()> {
        if self.world.enter(self.pid, place) { Ok(()) } else { Err(io::Error::other("the process is dead")) }
    }

    /// A call that changes something, and may fail before or after it does.
    fn change(&self, place: &'static str, change: impl FnOnce(&mut Disk, u64) -> io::Result<()>) -> io::Result<()> {
        self.enter(place)?;
        self.world.with(|world| match world.take_store_failure() {
            None => change(&mut world.disk, world.now_ms),
            Some(Failure::After) => {
                change(&mut world.disk, world.now_ms)?;
                Err(io::Error::other("injected: done, but the answer was lost"))
            }
            Some(_) => Err(io::Error::from(io::ErrorKind::StorageFull)),
        })
    }

    fn look<T>(&self, look: impl FnOnce(&Disk) -> io::Result<T>) -> io::Result<T> {
        self.enter("disk-read")?;
        self.world.with(|world| look(&world.disk))
    }
}

impl Files for ProcessDisk {
    fn is_folder(&self, path: &Path) -> bool {
        text(path).is_ok_and(|path| self.world.with(|world| world.disk.folders.contains(path)))
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        let path = text(path)?.to_owned();
        // Folders are made once, at a job's first start; that they last is not what is tried here.
        self.change("disk-folder", |disk, _| {
            disk.folders.insert(path);
            Ok(())
        })
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let path = text(path)?;
        self.change("disk-fsync", |disk, _| {
            disk.sync_folder(path);
            Ok(())
        })
    }

    fn write_new(&self, path: &Path, parts: &[&[u8]]) -> io::Result<()> {
        let (path, bytes) = (text(path)?, parts.concat());
        let mut made = None;
        self.change("disk-write", |disk, modified_ms| {
            if disk.names.contains_key(path) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            disk.files.push(File { bytes: Arc::new(bytes), synced: false, modified_ms });
            made = Some(disk.files.len() - 1);
            disk.names.insert(path.to_owned(), disk.files.len() - 1);
            Ok(())
        })?;
        self.change("disk-fsync", |disk, _| {
            disk.files[made.ok_or_else(missing)?].synced = true;
            Ok(())
        })
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (text(from)?, text(to)?);
        self.enter("disk-link")?;
        self.world.with(|world| {
            let failure = world.take_store_failure();
            let disk = &mut world.disk;
            let file = *disk.names.get(from).ok_or_else(missing)?;
            match failure {
                Some(Failure::Before) => return Err(io::Error::from(io::ErrorKind::StorageFull)),
                Some(Failure::Late) => {
                    disk.late.push((to.to_owned(), file));
                    return Err(io::Error::other("injected: it will happen later"));
                }
                Some(Failure::After) | None => {}
            }
            if disk.names.contains_key(to) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            disk.names.insert(to.to_owned(), file);
            if failure.is_some() {
                return Err(io::Error::other("injected: done, but the answer was lost"));
            }
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let path = text(path)?;
        self.enter("disk-remove")?;
        self.world.with(|world| world.disk.names.remove(path).map(drop).ok_or_else(missing))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let path = text(path)?;
        self.look(|disk| {
            let file = disk.names.get(path).ok_or_else(missing)?;
            Ok(disk.files[*file].bytes.to_vec())
        })
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        let folder = text(folder)?;
        self.look(|disk| Ok(disk.names.keys().filter_map(|name| within(name, folder)).map(str::to_owned).collect()))
    }

    fn modified(&self, path: &Path) -> io::Result<SystemTime> {
        let path = text(path)?;
        self.look(|disk| {
            let file = disk.names.get(path).ok_or_else(missing)?;
            Ok(SystemTime::UNIX_EPOCH + Duration::from_millis(disk.files[*file].modified_ms))
        })
    }
}
