//! Reads one worker's files: in order if bounded, in turns if followed.
//!
//! One buffer serves all files. A file that is left is read again from its last line start, so a
//! split's position is all there is to remember.

use super::failed;
use super::lines::{Filled, Line, Lines};
use super::position::{Bounds, FilePosition, Head, changed};
use super::source::{OnChangedFile, Settings};
use crate::api::batch::{BATCH_RECORDS, Batch};
use crate::api::metadata::{Metadata, Origin};
use crate::api::source::{Polled, ReaderContext, SourceReader, SplitPosition};
use crate::connectors::format::{Format, OnBadRecord};
use crate::error::{Error, ErrorKind, Result};
use crate::time::Timestamp;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::marker::PhantomData;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// With more followed files than this, each is opened only while it is read.
const KEPT_OPEN_MAX: usize = 256;
/// After so many batches of one followed file the next has its turn.
const TURN_BATCHES: u32 = 256;
/// How often a poll fills the buffer while it finds no record, before it lets the worker go on.
const FILLS_MAX: u32 = 16;

/// Reads one worker's share of a [`FileSource`](super::FileSource).
pub struct FileReader<F> {
    settings: Settings,
    worker: usize,
    workers: usize,
    splits: Vec<Split>,
    /// The files of `splits`.
    known: HashSet<String>,
    current: usize,
    /// The split whose bytes are in `lines`.
    loaded: Option<usize>,
    lines: Lines,
    /// How many batches `current` has had in a row.
    turn: u32,
    /// What each record's metadata starts from, where it is asked for.
    metadata: Option<Metadata>,
    /// Lines that are no record and were left out.
    skipped: u64,
    format: PhantomData<fn() -> F>,
}

struct Split {
    path: PathBuf,
    position: FilePosition,
    finished: bool,
    file: Option<File>,
    /// The file's length when it was last looked at; none before this attempt opened it.
    length: Option<u64>,
    /// Whether the file has to be looked at before reading on: it was at its end.
    at_end: bool,
    source: Arc<str>,
}

/// What a visit to a split came to, besides records.
#[derive(PartialEq)]
enum Visit {
    Done,
    /// Much was read and nothing found: come back at once.
    Busy,
}

impl<F: Format> FileReader<F> {
    pub(super) fn new(settings: Settings, splits: Vec<(FilePosition, bool)>, context: &ReaderContext<'_>) -> Self {
        let wanted = context.wants.origin || context.wants.metadata;
        let mut reader = Self {
            settings,
            worker: context.worker,
            workers: context.workers,
            splits: Vec::new(),
            known: HashSet::new(),
            current: 0,
            loaded: None,
            lines: Lines::default(),
            turn: 0,
            metadata: wanted.then(Metadata::default),
            skipped: 0,
            format: PhantomData,
        };
        for (position, finished) in splits {
            if position.owner(context.workers) == context.worker {
                reader.add(position, finished);
            }
        }
        reader
    }

    fn add(&mut self, position: FilePosition, finished: bool) {
        let path = self.settings.place.path_of(&position.file);
        let source = Arc::from(path.to_string_lossy());
        self.known.insert(position.file.clone());
        self.splits.push(Split { path, position, finished, file: None, length: None, at_end: false, source });
    }

    fn poll_bounded(&mut self, batch: &mut Batch<F::Record>) -> Result<Polled> {
        while self.current < self.splits.len() {
            let at = self.current;
            if self.splits[at].finished {
                self.splits[at].file = None;
                self.current += 1;
                continue;
            }
            let visit = self.visit(at, batch)?;
            if !batch.is_empty() {
                return Ok(Polled::Records { split: at });
            }
            if visit == Visit::Busy {
                return Ok(Polled::Pending { retry_after: Duration::ZERO });
            }
        }
        Ok(Polled::End)
    }

    fn poll_followed(&mut self, batch: &mut Batch<F::Record>) -> Result<Polled> {
        for _ in 0..self.splits.len() {
            let at = self.current;
            let visit = self.visit(at, batch)?;
            if !batch.is_empty() {
                self.turn += 1;
                if self.turn >= TURN_BATCHES {
                    self.next_turn();
                }
                return Ok(Polled::Records { split: at });
            }
            if visit == Visit::Busy {
                return Ok(Polled::Pending { retry_after: Duration::ZERO });
            }
            self.next_turn();
        }
        let found = self.discover()?;
        Ok(Polled::Pending { retry_after: if found { Duration::ZERO } else { self.settings.look_every } })
    }

    fn next_turn(&mut self) {
        if self.splits.len() > KEPT_OPEN_MAX {
            self.splits[self.current].file = None;
        }
        self.current = (self.current + 1) % self.splits.len();
        self.turn = 0;
    }

    /// Reads records of one split until the batch is full or nothing is left just now.
    fn visit(&mut self, at: usize, batch: &mut Batch<F::Record>) -> Result<Visit> {
        let split = &self.splits[at];
        if split.finished {
            return Ok(Visit::Done);
        }
        let look = self.loaded != Some(at) || split.at_end || split.file.is_none();
        if look && !self.look(at)? {
            return Ok(Visit::Done);
        }
        if self.loaded != Some(at) {
            self.load(at)?;
        }
        let visit = self.read(at, batch);
        // Unless the file changed and is begun anew.
        if self.loaded == Some(at) {
            let Split { position, file, path, .. } = &mut self.splits[at];
            position.offset = self.lines.offset();
            if let Some(file) = file
                && position.bounds.is_none()
                && position.head.can_grow(position.offset)
            {
                position.head = Head::of(file, path, position.offset)?;
            }
        }
        visit
    }

    /// Opens the file if need be, and makes sure that it still is the one that was read. Returns
    /// whether there is something to read.
    fn look(&mut self, at: usize) -> Result<bool> {
        let split = &mut self.splits[at];
        let Split { path, position, file, .. } = split;
        if file.is_none() {
            match File::open(&*path) {
                Ok(opened) => *file = Some(opened),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return self.vanished(at).map(|()| false),
                Err(error) => return Err(failed(ErrorKind::Source, "open", path, error)),
            }
        }
        let Some(opened) = file else { return Ok(false) };
        let metadata = opened.metadata().map_err(|error| failed(ErrorKind::Source, "look at", path, error))?;
        let known_to = match position.bounds {
            Some(bounds) => bounds.limit,
            None if self.loaded == Some(at) => self.lines.read_to(),
            None => position.offset,
        };
        let grown = metadata.len() != known_to;
        let first = split.length.replace(metadata.len()).is_none();
        if (grown || first)
            && let Err(what) = position.head.verify(opened, path, known_to)?
        {
            return self.changed(at, &what).map(|()| false);
        }
        if grown || position.bounds.is_some() {
            return Ok(true);
        }
        match fs::metadata(&*path) {
            Ok(now) if (now.dev(), now.ino()) == (metadata.dev(), metadata.ino()) => Ok(false),
            Ok(_) => self.changed(at, "was replaced by another file").map(|()| false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.vanished(at).map(|()| false),
            Err(error) => Err(failed(ErrorKind::Source, "look at", path, error)),
        }
    }

    /// The file is gone. If it was followed to its end, that is no loss.
    fn vanished(&mut self, at: usize) -> Result<()> {
        let split = &mut self.splits[at];
        if split.position.bounds.is_none() && split.length == Some(split.position.offset) {
            (split.finished, split.file) = (true, None);
            return Ok(());
        }
        self.changed(at, "is gone, and was not known to be read to its end")
    }

    /// The file is not what it was: stops, or begins anew.
    fn changed(&mut self, at: usize, what: &str) -> Result<()> {
        let split = &mut self.splits[at];
        let chunk = split.position.bounds.is_some_and(|bounds| bounds.is_chunk());
        if self.settings.on_changed_file == OnChangedFile::Stop || chunk {
            return Err(changed(&split.path, what, !chunk));
        }
        tracing::warn!(file = %split.path.display(), "{what}; reading it from its start");
        (split.file, split.length, split.at_end, split.finished) = (None, None, false, false);
        (split.position.offset, split.position.head) = (0, Head::default());
        if self.loaded == Some(at) {
            self.loaded = None;
        }
        let length = match fs::metadata(&split.path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                split.finished = true;
                0
            }
            Err(error) => return Err(failed(ErrorKind::Source, "look at", &split.path, error)),
        };
        if let Some(bounds) = &mut split.position.bounds {
            *bounds = Bounds { number: bounds.number, begin: 0, end: length, limit: length };
        }
        Ok(())
    }

    /// Points the buffer at the split's next line.
    fn load(&mut self, at: usize) -> Result<()> {
        let Split { position, file, path, .. } = &self.splits[at];
        let Some(file) = file else { return Ok(()) };
        self.loaded = Some(at);
        self.lines.reset(position.offset);
        let Some(bounds) = position.bounds.filter(|bounds| bounds.begin > 0 && bounds.begin == position.offset) else {
            return Ok(());
        };
        // A line belongs to the chunk that holds its first byte: from the byte before the chunk,
        // the first newline comes just before the chunk's first line.
        self.lines.reset(bounds.begin - 1);
        while !self.lines.skip_line() {
            let filled = self.lines.fill(file, bounds.limit, self.settings.line_bytes_max);
            if !matches!(filled.map_err(|error| failed(ErrorKind::Source, "read", path, error))?, Filled::Read) {
                break;
            }
        }
        Ok(())
    }

    fn read(&mut self, at: usize, batch: &mut Batch<F::Record>) -> Result<Visit> {
        let bounds = self.splits[at].position.bounds;
        let (end, limit) = bounds.map_or((u64::MAX, u64::MAX), |bounds| (bounds.end, bounds.limit));
        self.splits[at].at_end = false;
        for _ in 0..FILLS_MAX {
            while batch.len() < BATCH_RECORDS && self.lines.offset() < end {
                let Some(line) = self.lines.take_line() else { break };
                self.push(at, &line, batch)?;
            }
            if self.lines.offset() >= end {
                self.splits[at].finished = true;
            }
            if self.splits[at].finished || batch.len() >= BATCH_RECORDS {
                return Ok(Visit::Done);
            }
            let Split { file, path, .. } = &self.splits[at];
            let Some(file) = file else { return Ok(Visit::Done) };
            let filled = self.lines.fill(file, limit, self.settings.line_bytes_max);
            match filled.map_err(|error| failed(ErrorKind::Source, "read", path, error))? {
                Filled::Read => {}
                Filled::TooLong => return Err(self.too_long(at, self.lines.offset())),
                Filled::Nothing => return self.ended(at, limit, batch).map(|()| Visit::Done),
            }
        }
        Ok(Visit::Busy)
    }

    /// Nothing more up to the limit, or in the file.
    fn ended(&mut self, at: usize, limit: u64, batch: &mut Batch<F::Record>) -> Result<()> {
        if self.settings.follow {
            self.splits[at].at_end = true;
            return Ok(());
        }
        let read_to = self.lines.read_to();
        if read_to < limit {
            // What is in the batch goes out first, so that its position is of the old file.
            if !batch.is_empty() {
                return Ok(());
            }
            return self.changed(at, &format!("had {limit} bytes and now ends at byte {read_to}: it was cut"));
        }
        if let Some(line) = self.lines.take_rest() {
            self.push(at, &line, batch)?;
        }
        self.splits[at].finished = true;
        Ok(())
    }

    /// Decodes a line into the batch.
    #[inline]
    fn push(&mut self, at: usize, line: &Line, batch: &mut Batch<F::Record>) -> Result<()> {
        let bytes = self.lines.bytes(line);
        if bytes.len() > self.settings.line_bytes_max {
            return Err(self.too_long(at, line.offset));
        }
        match F::decode(bytes) {
            Ok(mut record) => {
                let origin = || {
                    let offset = i64::try_from(line.offset).unwrap_or(i64::MAX);
                    Origin { source: self.splits[at].source.clone(), partition: 0, offset }
                };
                F::locate(&mut record, || Metadata { origin: origin(), ..Metadata::default() });
                match &self.metadata {
                    None => batch.push(record, Timestamp::MIN),
                    Some(base) => {
                        let metadata = Metadata { origin: origin(), ..base.clone() };
                        batch.push_with_metadata(record, Timestamp::MIN, metadata);
                    }
                }
            }
            Err(_) if self.settings.on_bad_record == OnBadRecord::Skip => {
                self.settings.skipped.fetch_add(1, Ordering::Relaxed);
                self.skipped += 1;
            }
            Err(error) => {
                let message = format!(
                    "{} has a line at byte {} that is not a record: {error}; correct the file or the record's type, \
                     or set `.on_bad_record(OnBadRecord::Skip)`",
                    self.splits[at].path.display(),
                    line.offset
                );
                return Err(Error::new(ErrorKind::Config, message));
            }
        }
        Ok(())
    }

    fn too_long(&self, at: usize, offset: u64) -> Error {
        let message = format!(
            "{} has a line at byte {offset} of more than {} bytes; if that is right, raise `.line_bytes_max(…)`",
            self.splits[at].path.display(),
            self.settings.line_bytes_max
        );
        Error::new(ErrorKind::Config, message)
    }

    /// Looks for new files, and for removed ones that are there again. Returns whether there are any.
    fn discover(&mut self) -> Result<bool> {
        let mut any = false;
        for at in 0..self.splits.len() {
            if self.splits[at].finished && self.splits[at].path.exists() {
                self.changed(at, "was removed and is there again")?;
                any = true;
            }
        }
        if !self.settings.place.is_directory() {
            return Ok(any);
        }
        for found in self.settings.place.list(self.settings.extension.as_deref())? {
            let position = FilePosition { file: found.name, offset: 0, head: Head::default(), bounds: None };
            if position.owner(self.workers) == self.worker && !self.known.contains(&position.file) {
                self.add(position, false);
                any = true;
            }
        }
        Ok(any)
    }
}

impl<F: Format> SourceReader for FileReader<F> {
    type Record = F::Record;

    fn poll(&mut self, batch: &mut Batch<F::Record>) -> Result<Polled> {
        if self.settings.follow { self.poll_followed(batch) } else { self.poll_bounded(batch) }
    }

    fn positions(&self) -> Vec<SplitPosition> {
        let position = |split: &Split| SplitPosition {
            split: split.position.split(),
            // Plain numbers and text always are JSON.
            position: serde_json::to_value(&split.position).unwrap_or_default(),
            finished: split.finished,
        };
        self.splits.iter().map(position).collect()
    }

    fn left_out(&self) -> u64 {
        self.skipped
    }

    /// Bytes.
    fn lag(&self) -> Option<u64> {
        let unread = |split: &Split| {
            let end = match split.position.bounds {
                _ if split.finished => 0,
                Some(bounds) => bounds.end,
                None => split.length.unwrap_or(0),
            };
            end.saturating_sub(split.position.offset)
        };
        Some(self.splits.iter().map(unread).sum())
    }
}
