//! The description of a file source.

use super::listing::{Place, divide};
use super::position::FilePosition;
use super::reader::FileReader;
use crate::api::source::{EventTime, ReaderContext, Source};
use crate::connectors::format::{Format, Json, OnBadRecord, Text};
use crate::error::{Error, ErrorKind, Result};
use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What to do when a file is not the one that was read before: replaced, cut, or gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnChangedFile {
    /// Fail the job, naming the file.
    #[default]
    Stop,
    /// Read what is there now from its first byte. What had not been read of the old file is lost.
    FromStart,
}

/// Reads records, one a line, from a file, some files, or all files of a directory.
///
/// Lines end with `\n` or `\r\n`. A directory's files are taken by name; hidden files and
/// subdirectories are left out. Files are expected to grow only at their end.
///
/// Bounded, unless [followed](FileSource::follow): it reads what is there at the job's first start,
/// also after restarts, then ends. A last line without newline counts. A file is read by one worker, in
/// its order, unless it may be read in [chunks](FileSource::chunk_bytes).
pub struct FileSource<F: Format> {
    pub(super) settings: Settings,
    event_time: Option<EventTime<F::Record>>,
    /// What a bounded read takes: listed once, so that all workers agree even if files grow.
    listed: Mutex<Option<Arc<[FilePosition]>>>,
    format: PhantomData<fn() -> F>,
}

/// What the reader needs to know.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) place: Place,
    pub(super) extension: Option<String>,
    pub(super) follow: bool,
    pub(super) chunk_bytes: u64,
    pub(super) line_bytes_max: usize,
    pub(super) look_every: Duration,
    pub(super) on_bad_record: OnBadRecord,
    pub(super) on_changed_file: OnChangedFile,
    pub(super) skipped: Arc<AtomicU64>,
}

impl FileSource<Text> {
    /// Reads lines as strings, from a file or all files of a directory.
    pub fn lines(path: impl Into<PathBuf>) -> Self {
        Self::new(path)
    }
}

impl<T> FileSource<Json<T>>
where
    Json<T>: Format<Record = T>,
{
    /// Reads one JSON value a line, from a file or all files of a directory.
    pub fn json(path: impl Into<PathBuf>) -> Self {
        Self::new(path)
    }
}

impl<F: Format> FileSource<F> {
    /// Reads records of the format `F`, from a file or all files of a directory.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self::at(Place::Path(path.into()))
    }

    /// Reads these files, in this order. Their paths, as given, are their names in checkpoints.
    pub fn files<P: Into<PathBuf>>(paths: impl IntoIterator<Item = P>) -> Self {
        Self::at(Place::Files(paths.into_iter().map(Into::into).collect()))
    }

    fn at(place: Place) -> Self {
        let settings = Settings {
            place,
            extension: None,
            follow: false,
            chunk_bytes: u64::MAX,
            line_bytes_max: 16 << 20,
            look_every: Duration::from_millis(100),
            on_bad_record: OnBadRecord::Stop,
            on_changed_file: OnChangedFile::Stop,
            skipped: Arc::default(),
        };
        Self { settings, event_time: None, listed: Mutex::new(None), format: PhantomData }
    }

    /// Does not end: reads what is appended, and files that appear in the directory, as they come.
    /// A last line counts once its newline is there. Each file belongs to one worker.
    #[must_use]
    pub fn follow(mut self) -> Self {
        self.settings.follow = true;
        self
    }

    /// Of a directory, takes only files with this extension: `log`.
    #[must_use]
    pub fn extension(mut self, extension: impl Into<String>) -> Self {
        self.settings.extension = Some(extension.into().trim_start_matches('.').to_owned());
        self
    }

    /// Makes event time and watermarks from the records.
    #[must_use]
    pub fn event_time(mut self, event_time: EventTime<F::Record>) -> Self {
        self.event_time = Some(event_time);
        self
    }

    /// What to do with a line that is not a record; the default is to stop.
    #[must_use]
    pub fn on_bad_record(mut self, then: OnBadRecord) -> Self {
        self.settings.on_bad_record = then;
        self
    }

    /// What to do when a file was replaced, cut or removed; the default is to stop.
    #[must_use]
    pub fn on_changed_file(mut self, then: OnChangedFile) -> Self {
        self.settings.on_changed_file = then;
        self
    }

    /// Reads larger files in chunks of about this size, each a split of its own, by several workers at
    /// once, if they are not followed. By default files are kept whole: the order of records is kept
    /// within a chunk only, so results that depend on it change with chunks.
    #[must_use]
    pub fn chunk_bytes(mut self, bytes: u64) -> Self {
        self.settings.chunk_bytes = bytes;
        self
    }

    /// The longest line, without its end, that is read; a longer one is an error. 16 MiB by default.
    #[must_use]
    pub fn line_bytes_max(mut self, bytes: usize) -> Self {
        self.settings.line_bytes_max = bytes;
        self
    }

    /// How long after its end a followed file is looked at again; 100 ms by default.
    #[must_use]
    pub fn look_every(mut self, pause: Duration) -> Self {
        self.settings.look_every = pause;
        self
    }

    /// How many lines all attempts together skipped as [bad](FileSource::on_bad_record); lines read
    /// again after a restart count again.
    pub fn skipped(&self) -> impl Fn() -> u64 + Send + Sync + 'static {
        let skipped = self.settings.skipped.clone();
        move || skipped.load(Ordering::Relaxed)
    }

    /// Every split of all workers, with whether it is finished.
    fn splits(&self, restored: Option<&[crate::api::source::SplitPosition]>) -> Result<Vec<(FilePosition, bool)>> {
        let settings = &self.settings;
        if let Some(restored) = restored.filter(|restored| !restored.is_empty()) {
            return restored.iter().map(|at| self.restored(at)).collect();
        }
        if settings.follow {
            let new = |found: super::listing::Found| FilePosition {
                file: found.name,
                offset: 0,
                head: Default::default(),
                bounds: None,
            };
            let found = settings.place.list(settings.extension.as_deref())?;
            return Ok(found.into_iter().map(|found| (new(found), false)).collect());
        }
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        let splits = match &*listed {
            Some(splits) => splits.clone(),
            None => {
                let found = settings.place.list(settings.extension.as_deref())?;
                listed.insert(divide(found, settings.chunk_bytes)?.into()).clone()
            }
        };
        Ok(splits.iter().map(|split| (split.clone(), false)).collect())
    }

    fn restored(&self, at: &crate::api::source::SplitPosition) -> Result<(FilePosition, bool)> {
        let position: FilePosition = serde_json::from_value(at.position.clone()).map_err(|error| {
            let message = format!(
                "the checkpoint's position of {} was not made by a file source; restore a checkpoint of this pipeline",
                at.split
            );
            Error::new(ErrorKind::Checkpoint, message).caused_by(error)
        })?;
        if self.settings.follow && position.bounds.is_some() {
            let message = format!(
                "the checkpoint is of a bounded read of {}, which cannot be followed from there: its last line may \
                 have been read without its end; start without the checkpoint",
                at.split
            );
            return Err(Error::new(ErrorKind::Config, message));
        }
        if self.settings.place.is_another_file(&position.file) {
            let message = format!(
                "the checkpoint is of reading {}, and the source is now given {}; give it the same file again, or the job \
                 another checkpoint folder",
                position.file,
                self.settings.place.describe()
            );
            return Err(Error::new(ErrorKind::Config, message));
        }
        Ok((position, at.finished))
    }
}

impl<F: Format> Source for FileSource<F> {
    type Record = F::Record;
    type Reader = FileReader<F>;

    fn describe(&self) -> String {
        let followed = if self.settings.follow { ", followed" } else { "" };
        format!("lines of {}{followed}", self.settings.place.describe())
    }

    fn event_time(&self) -> Option<EventTime<F::Record>> {
        self.event_time.clone()
    }

    fn reader(&self, context: &ReaderContext<'_>) -> Result<FileReader<F>> {
        let splits = self.splits(context.restored).map_err(|error| error.at(format_args!("source {}", context.id)))?;
        Ok(FileReader::new(self.settings.clone(), splits, context))
    }
}
