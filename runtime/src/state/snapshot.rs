//! The bytes of a state snapshot: written block by block, read by key group.
//!
//! ```text
//! file   = "staunch\0" version:u32 kind:u32 entries:u64 crc:u32 block*
//! block  = gone:u32 first_group:u32 last_group:u32 entries:u32 length:u64 body_crc:u32 head_crc:u32 entry*
//! entry  = hash:u64 key_length:u32 key state_length:u32 state
//! ```
//! Numbers are little-endian. A block names the least and greatest key group in it, so that a
//! worker that owns a range of groups skips the others. Blocks come in no particular order and their
//! ranges may overlap. A file of changes (kind 1) has blocks of keys that are gone too, their states
//! empty, which are read before the others: a key that came back is in both. Otherwise each key is in
//! one entry at most.
//!
//! Must not know: the types of keys and states, nor where the bytes are stored.

use crate::codec::{damaged, put_sized, take, take_failure, take_sized, take_u32, take_u64};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{KEY_GROUPS, key_group};
use std::ops::Range;

const MAGIC: &[u8; 8] = b"staunch\0";
const VERSION: u32 = 1;
const FILE_HEAD: usize = 28;
const BLOCK_HEAD: usize = 32;
/// An entry without key and state.
const MIN_ENTRY: u64 = 16;
/// A block is closed once it has so many bytes: small enough to stay in the cache while it is filled.
const BLOCK_BYTES: usize = 64 * 1024;

/// What a snapshot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotKind {
    /// Every entry.
    Full,
    /// What has changed since the snapshot before it.
    Changes,
}

/// A finished snapshot of one table.
#[derive(Debug)]
pub struct SnapshotBytes {
    /// The file.
    pub bytes: Vec<u8>,
    /// Whether it needs another before it.
    pub kind: SnapshotKind,
    /// How many entries are in it, keys that are gone included.
    pub entries: u64,
}

/// Which of the open blocks an entry goes to.
#[derive(Clone, Copy)]
pub(super) enum Saved {
    /// Met by the scan, in the order of slots, so that a block covers few key groups.
    Scanned,
    /// About to change before the scan came to it: any key group.
    Early,
    /// A key that is no longer there.
    Gone,
}

/// Writes one snapshot after the other, reusing its memory.
#[derive(Default)]
pub(super) struct SnapshotWriter {
    file: Vec<u8>,
    scanned: Block,
    early: Block,
    gone: Block,
    /// How many entries there will be; `None` for changes, which nobody has counted.
    expected: Option<u64>,
    written: u64,
    too_large: bool,
    /// The mean size of an entry of the last snapshot, to reserve by.
    entry_bytes: usize,
}

impl SnapshotWriter {
    /// Starts a file of so many entries, or of changes; `guess` is an entry's likely size when nothing
    /// better is known.
    pub(super) fn begin(&mut self, entries: Option<usize>, guess: usize) {
        let entry_bytes = if self.entry_bytes == 0 { guess } else { self.entry_bytes };
        let wanted = FILE_HEAD + entries.unwrap_or(0).saturating_mul(entry_bytes + entry_bytes / 16 + 1);
        if self.file.capacity() < wanted {
            // Not `reserve`, which would copy the old contents' memory.
            self.file = Vec::with_capacity(wanted);
        }
        (self.expected, self.written, self.too_large) = (entries.map(|entries| entries as u64), 0, false);
        self.scanned.clear();
        self.early.clear();
        self.gone.clear();
        self.gone.gone = true;
        self.file.clear();
        self.file.extend_from_slice(&[0; FILE_HEAD]);
    }

    fn head(&mut self, kind: SnapshotKind) {
        let head = &mut self.file[..FILE_HEAD];
        head[..8].copy_from_slice(MAGIC);
        head[8..12].copy_from_slice(&VERSION.to_le_bytes());
        head[12..16].copy_from_slice(&u32::from(kind == SnapshotKind::Changes).to_le_bytes());
        head[16..24].copy_from_slice(&self.written.to_le_bytes());
        let crc = crc32fast::hash(&head[..FILE_HEAD - 4]);
        head[FILE_HEAD - 4..].copy_from_slice(&crc.to_le_bytes());
    }

    /// Adds an entry; returns how many bytes it took.
    #[inline]
    pub(super) fn add(
        &mut self,
        saved: Saved,
        hash: u64,
        key: impl FnOnce(&mut Vec<u8>),
        state: impl FnOnce(&mut Vec<u8>),
    ) -> usize {
        let block = match saved {
            Saved::Scanned => &mut self.scanned,
            Saved::Early => &mut self.early,
            Saved::Gone => &mut self.gone,
        };
        let before = block.body.len();
        block.body.extend_from_slice(&hash.to_le_bytes());
        let fits = put_sized(&mut block.body, key) & put_sized(&mut block.body, state);
        self.too_large |= !fits;
        block.count(key_group(hash));
        self.written += 1;
        let after = block.body.len();
        if after >= BLOCK_BYTES {
            block.close(&mut self.file);
        }
        after - before
    }

    /// Ends the file and hands it out.
    pub(super) fn finish(&mut self) -> Result<SnapshotBytes> {
        self.scanned.close(&mut self.file);
        self.early.close(&mut self.file);
        self.gone.close(&mut self.file);
        if let Some(error) = take_failure() {
            return Err(error);
        }
        if self.too_large {
            return Err(Error::new(ErrorKind::State, "the state of one key takes more than 4 GiB; keep less per key"));
        }
        let kind = if self.expected.is_some() { SnapshotKind::Full } else { SnapshotKind::Changes };
        if let Some(expected) = self.expected.filter(|expected| self.written != *expected) {
            let written = self.written;
            let message = format!("a snapshot of {expected} entries has {written}: a bug of staunch, please report it");
            return Err(Error::new(ErrorKind::Internal, message));
        }
        if let Some(bytes) = self.file.len().checked_div(self.written as usize) {
            self.entry_bytes = bytes;
        }
        self.head(kind);
        Ok(SnapshotBytes { bytes: std::mem::take(&mut self.file), kind, entries: self.written })
    }

    /// Gives back memory for the next snapshot.
    pub(super) fn recycle(&mut self, bytes: Vec<u8>) {
        if self.file.capacity() < bytes.capacity() {
            self.file = bytes;
        }
    }
}

/// A block being filled.
#[derive(Default)]
struct Block {
    gone: bool,
    body: Vec<u8>,
    entries: u32,
    first: u32,
    last: u32,
}

impl Block {
    #[inline]
    fn count(&mut self, group: u32) {
        (self.first, self.last) =
            if self.entries == 0 { (group, group) } else { (self.first.min(group), self.last.max(group)) };
        self.entries += 1;
    }

    fn clear(&mut self) {
        self.body.clear();
        // One large state must not keep its memory for ever.
        self.body.shrink_to(4 * BLOCK_BYTES);
        self.entries = 0;
    }

    #[cold]
    fn close(&mut self, file: &mut Vec<u8>) {
        if self.entries == 0 {
            return;
        }
        let head = file.len();
        for number in [u32::from(self.gone), self.first, self.last, self.entries] {
            file.extend_from_slice(&number.to_le_bytes());
        }
        file.extend_from_slice(&(self.body.len() as u64).to_le_bytes());
        file.extend_from_slice(&crc32fast::hash(&self.body).to_le_bytes());
        let crc = crc32fast::hash(&file[head..]);
        file.extend_from_slice(&crc.to_le_bytes());
        file.extend_from_slice(&self.body);
        self.clear();
    }
}

/// A block as it lies in a file, its head verified and its body not yet.
struct Stored<'a> {
    gone: bool,
    first: u32,
    last: u32,
    entries: u32,
    crc: u32,
    body: &'a [u8],
}

impl<'a> Stored<'a> {
    fn take(bytes: &mut &'a [u8]) -> Result<Self> {
        let mut head = take(bytes, BLOCK_HEAD)?;
        let crc = crc32fast::hash(&head[..BLOCK_HEAD - 4]);
        let gone = take_u32(&mut head)?;
        let (first, last, entries) = (take_u32(&mut head)?, take_u32(&mut head)?, take_u32(&mut head)?);
        let (length, body_crc) = (take_u64(&mut head)?, take_u32(&mut head)?);
        let sane = gone <= 1 && first <= last && last < KEY_GROUPS && u64::from(entries) <= length / MIN_ENTRY;
        if take_u32(&mut head)? != crc || !sane {
            return Err(damaged("the head of a block of state"));
        }
        let length = usize::try_from(length).map_err(|_| damaged("the length of a block of state"))?;
        Ok(Self { gone: gone == 1, first, last, entries, crc: body_crc, body: take(bytes, length)? })
    }

    fn overlaps(&self, groups: &Range<u32>) -> bool {
        self.first < groups.end && groups.start <= self.last
    }
}

/// Checks the file and calls `each` with the blocks that overlap `groups`.
fn read_blocks(
    mut bytes: &[u8],
    groups: &Range<u32>,
    mut each: impl FnMut(Stored<'_>) -> Result<()>,
) -> Result<SnapshotKind> {
    let mut head = take(&mut bytes, FILE_HEAD)?;
    let crc = crc32fast::hash(&head[..FILE_HEAD - 4]);
    if take(&mut head, MAGIC.len())? != MAGIC {
        return Err(Error::new(
            ErrorKind::Checkpoint,
            "not a snapshot of state; check that the path is a checkpoint's",
        ));
    }
    let (version, kind, entries) = (take_u32(&mut head)?, take_u32(&mut head)?, take_u64(&mut head)?);
    if take_u32(&mut head)? != crc {
        return Err(damaged("the head of a snapshot"));
    }
    let kind = match (version, kind) {
        (VERSION, 0) => SnapshotKind::Full,
        (VERSION, 1) => SnapshotKind::Changes,
        _ => {
            let message = format!(
                "the snapshot is of format {version}.{kind}, which this build cannot read; use the version of staunch that wrote it, or a later one"
            );
            return Err(Error::new(ErrorKind::Checkpoint, message));
        }
    };
    let mut found = 0;
    while !bytes.is_empty() {
        let block = Stored::take(&mut bytes)?;
        found += u64::from(block.entries);
        if block.overlaps(groups) {
            each(block)?;
        }
    }
    if found == entries { Ok(kind) } else { Err(damaged(format_args!("{entries} entries expected, {found} found"))) }
}

/// The snapshot's kind, and an upper bound of the number of states in these key groups, to reserve
/// memory by.
///
/// # Errors
/// [`ErrorKind::Checkpoint`] when the file is damaged.
pub fn count_groups(bytes: &[u8], groups: &Range<u32>) -> Result<(SnapshotKind, u64)> {
    let mut entries = 0;
    let kind = read_blocks(bytes, groups, |block| {
        entries += if block.gone { 0 } else { u64::from(block.entries) };
        Ok(())
    })?;
    Ok((kind, entries))
}

/// Calls `each` with hash, canonical key and encoded state of each entry in these key groups; first
/// with the keys that are gone, whose state is `None`.
///
/// # Errors
/// [`ErrorKind::Checkpoint`] when the file is damaged, possibly after some calls; whatever `each` returns.
pub fn read_groups(
    bytes: &[u8],
    groups: &Range<u32>,
    mut each: impl FnMut(u64, &[u8], Option<&[u8]>) -> Result<()>,
) -> Result<()> {
    let mut pass = |gone| {
        read_blocks(
            bytes,
            groups,
            |block| if block.gone == gone { read_block(&block, groups, &mut each) } else { Ok(()) },
        )
    };
    // What is behind a block's head is only looked at where it is wanted, so two passes cost one.
    pass(true)?;
    pass(false)?;
    Ok(())
}

fn read_block(
    block: &Stored<'_>,
    groups: &Range<u32>,
    each: &mut impl FnMut(u64, &[u8], Option<&[u8]>) -> Result<()>,
) -> Result<()> {
    if crc32fast::hash(block.body) != block.crc {
        return Err(damaged("a block of state has another checksum"));
    }
    let mut body = block.body;
    for _ in 0..block.entries {
        let hash = take_u64(&mut body)?;
        let (key, state) = (take_sized(&mut body)?, take_sized(&mut body)?);
        if !(block.first..=block.last).contains(&key_group(hash)) {
            return Err(damaged("a key lies outside its block's key groups"));
        }
        if groups.contains(&key_group(hash)) {
            each(hash, key, (!block.gone).then_some(state))?;
        }
    }
    if body.is_empty() { Ok(()) } else { Err(damaged("a block of state is longer than its entries")) }
}
