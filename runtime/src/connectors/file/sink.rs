//! The description of an exactly-once file sink, and the writer of one worker.
//!
//! A writer appends to a hidden side file of its own, one an epoch, and never waits for the disk:
//! making files durable and naming them is the participant's.

use super::failed;
use super::participant::{Directory, FileParticipant, Part};
use crate::api::batch::Batch;
use crate::api::sink::{Sink, SinkContext, SinkWriter, WriterContext};
use crate::connectors::format::{Format, Json, Text};
use crate::error::{Error, ErrorKind, Result};
use crate::id::Epoch;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::marker::PhantomData;
use std::path::PathBuf;

/// How many encoded bytes a writer collects before it writes them.
const BUFFER_BYTES: usize = 256 * 1024;

/// Writes records, one a line, to files of a directory, exactly once. Each record's encoded form is
/// followed by a newline; a newline within it is not escaped.
///
/// Each worker's records of a checkpoint become one file, `part-<epoch>-<worker>.jsonl`, which
/// appears, complete, once the checkpoint is durable, and is never changed. Files of one checkpoint
/// appear one after another; [`committed_lines`](super::committed_lines) reads them in order.
///
/// Unfinished work is in `.staunch` in the directory. A directory belongs to one job; a second one
/// needs another directory, or another [prefix](FileSink::prefix). Files may be taken away once they
/// have appeared.
pub struct FileSink<F: Format> {
    directory: PathBuf,
    prefix: String,
    extension: String,
    format: PhantomData<fn() -> F>,
}

impl FileSink<Text> {
    /// Writes strings as lines to `.txt` files.
    pub fn lines(directory: impl Into<PathBuf>) -> Self {
        Self::new(directory, "txt")
    }
}

impl<T> FileSink<Json<T>>
where
    Json<T>: Format<Record = T>,
{
    /// Writes one JSON value a line to `.jsonl` files.
    pub fn json(directory: impl Into<PathBuf>) -> Self {
        Self::new(directory, "jsonl")
    }
}

impl<F: Format> FileSink<F> {
    /// Writes records of the format `F` to files with this extension.
    pub fn new(directory: impl Into<PathBuf>, extension: impl Into<String>) -> Self {
        let (prefix, extension) = ("part".to_owned(), extension.into());
        Self { directory: directory.into(), prefix, extension, format: PhantomData }
    }

    /// What file names begin with, instead of `part`.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    fn check_names(&self) -> Result<()> {
        for (what, name) in [("prefix", &self.prefix), ("extension", &self.extension)] {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
            let dots = name.trim_matches('.').len() == name.len();
            if name.is_empty() || !dots || !name.bytes().all(|byte| plain(byte) || byte == b'.') {
                let message = format!("a file sink's {what} cannot be {name:?}: use letters, digits, `_`, `-` and `.`");
                return Err(Error::new(ErrorKind::Config, message));
            }
        }
        Ok(())
    }
}

impl<F: Format> Sink for FileSink<F> {
    type Record = F::Record;
    type Participant = FileParticipant;
    type Writer = FileWriter<F>;

    fn describe(&self) -> String {
        format!("files {}/{}-*.{}, exactly once", self.directory.display(), self.prefix, self.extension)
    }

    fn open(&self, context: &SinkContext<'_>) -> Result<FileParticipant> {
        self.check_names()?;
        let directory = Directory::claim(&self.directory, &self.prefix, context)?;
        Ok(FileParticipant::new(directory, context.attempt))
    }

    fn writer(&self, participant: &mut FileParticipant, context: &WriterContext<'_>) -> Result<FileWriter<F>> {
        Ok(FileWriter {
            directory: participant.directory().clone(),
            attempt: participant.attempt(),
            worker: context.worker,
            prefix: self.prefix.clone(),
            extension: self.extension.clone(),
            epoch: context.epoch,
            buffer: Vec::new(),
            part: None,
            format: PhantomData,
        })
    }
}

/// Writes one worker's records.
pub struct FileWriter<F> {
    directory: Directory,
    attempt: u64,
    worker: usize,
    prefix: String,
    extension: String,
    /// The epoch that is being written.
    epoch: Epoch,
    buffer: Vec<u8>,
    /// The side file, once the epoch has one.
    part: Option<(Part, File)>,
    format: PhantomData<fn() -> F>,
}

impl<F: Format> FileWriter<F> {
    fn flush(&mut self) -> Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let (part, file) = match &mut self.part {
            Some(part) => part,
            none => none.insert(self.directory.create(Part {
                part: format!("{}-{:08}-{}.part", self.attempt, self.epoch.0, self.worker),
                file: String::new(),
                bytes: 0,
            })?),
        };
        file.write_all(&self.buffer)
            .map_err(|error| failed(ErrorKind::Sink, "write", &self.directory.part(part), error))?;
        part.bytes += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

impl<F: Format> SinkWriter for FileWriter<F> {
    type Record = F::Record;

    fn write(&mut self, batch: &mut Batch<F::Record>) -> Result<()> {
        for (record, _) in batch.drain() {
            F::encode(&record, &mut self.buffer).map_err(|error| {
                let message = format!(
                    "a record cannot be written to {}: {error}; correct the record's type or its values",
                    self.directory.visible().display()
                );
                Error::new(ErrorKind::Config, message)
            })?;
            self.buffer.push(b'\n');
        }
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    fn seal(&mut self, epoch: Epoch) -> Result<Vec<u8>> {
        self.flush()?;
        self.epoch = epoch.next();
        let Some((mut part, _)) = self.part.take() else { return Ok(Vec::new()) };
        // Only now is it certain which epoch it is of.
        part.file = format!("{}-{:08}-{}.{}", self.prefix, epoch.0, self.worker, self.extension);
        part.to_bytes()
    }
}

impl Directory {
    /// Creates a side file.
    fn create(&self, part: Part) -> Result<(Part, File)> {
        let path = self.part(&part);
        // A new name for each attempt, epoch and worker: what has it already is a mistake.
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(|error| failed(ErrorKind::Sink, "create", &path, error))?;
        Ok((part, file))
    }
}
