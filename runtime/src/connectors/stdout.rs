//! Prints records once their checkpoint is durable.
//!
//! What is to be printed travels in the committable itself, so that another process can print it.
//! A terminal cannot tell whether it already showed a line: at least once, after a restart the last
//! checkpoint's lines may come again. For demonstrations, not for volume: manifests hold the lines.

use crate::api::batch::Batch;
use crate::api::sink::{Committable, Share, Sink, SinkContext, SinkWriter, TwoPhaseCommit, WriterContext};
use crate::connectors::format::{Format, Json, Text};
use crate::control::permit::{CommitPermit, Published, Recovery};
use crate::error::{Error, ErrorKind, Result};
use crate::id::Epoch;
use std::io::{Write, stdout};
use std::marker::PhantomData;

/// Prints records, one a line, **at least once**: each as soon as its checkpoint is durable.
pub struct StdoutSink<F: Format> {
    format: PhantomData<fn() -> F>,
}

impl StdoutSink<Text> {
    /// Prints strings.
    #[must_use]
    pub fn lines() -> Self {
        Self::new()
    }
}

impl<T> StdoutSink<Json<T>>
where
    Json<T>: Format<Record = T>,
{
    /// Prints JSON.
    #[must_use]
    pub fn json() -> Self {
        Self::new()
    }
}

impl<F: Format> StdoutSink<F> {
    /// Prints records of the format `F`.
    #[must_use]
    #[allow(
        clippy::new_without_default,
        reason = "`lines` and `json` are the usual ways; a default would hide the format"
    )]
    pub fn new() -> Self {
        Self { format: PhantomData }
    }
}

impl<F: Format> Sink for StdoutSink<F> {
    type Record = F::Record;
    type Participant = StdoutParticipant;
    type Writer = StdoutWriter<F>;

    fn describe(&self) -> String {
        "standard output, at least once".to_owned()
    }

    fn open(&self, _context: &SinkContext<'_>) -> Result<StdoutParticipant> {
        Ok(StdoutParticipant { to: Box::new(stdout()) })
    }

    fn writer(&self, _: &mut StdoutParticipant, _context: &WriterContext<'_>) -> Result<StdoutWriter<F>> {
        Ok(StdoutWriter { lines: Vec::new(), format: PhantomData })
    }
}

/// Encodes one worker's records.
pub struct StdoutWriter<F> {
    lines: Vec<u8>,
    format: PhantomData<fn() -> F>,
}

impl<F: Format> SinkWriter for StdoutWriter<F> {
    type Record = F::Record;

    fn write(&mut self, batch: &mut Batch<F::Record>) -> Result<()> {
        for (record, _) in batch.drain() {
            F::encode(&record, &mut self.lines).map_err(|error| {
                let message = format!("a record cannot be printed: {error}; correct the record's type or its values");
                Error::new(ErrorKind::Config, message)
            })?;
            self.lines.push(b'\n');
        }
        Ok(())
    }

    fn seal(&mut self, _epoch: Epoch) -> Result<Vec<u8>> {
        Ok(std::mem::take(&mut self.lines))
    }
}

/// Prints what was sealed, once it may.
pub struct StdoutParticipant {
    to: Box<dyn Write + Send>,
}

impl TwoPhaseCommit for StdoutParticipant {
    fn recover(&mut self, published: Vec<Published>, _recovery: &mut Recovery<'_>) -> Result<()> {
        published.iter().try_for_each(|published| self.commit(published.committable(), published.permit()))
    }

    fn prepare(&mut self, _epoch: Epoch, shares: Vec<Share>) -> Result<Option<Vec<u8>>> {
        let lines = shares.into_iter().map(|share| share.bytes).collect::<Vec<_>>().concat();
        Ok((!lines.is_empty()).then_some(lines))
    }

    fn commit(&mut self, committable: &Committable, _permit: &CommitPermit) -> Result<()> {
        let print = self.to.write_all(&committable.bytes).and_then(|()| self.to.flush());
        print.map_err(|error| {
            let message = "cannot print: standard output is closed or broken; the lines come again after a restart";
            Error::new(ErrorKind::Sink, message).caused_by(error)
        })
    }

    fn abort(&mut self, _committable: &Committable) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn prints_a_workers_lines_only_at_commit() {
        let printed = Arc::new(Mutex::new(Vec::new()));
        let mut participant = StdoutParticipant { to: Box::new(Shared(printed.clone())) };
        let mut writer = StdoutWriter::<Text> { lines: Vec::new(), format: PhantomData };
        let mut batch = Batch::default();
        batch.push("one".to_owned(), crate::Timestamp::MIN);
        batch.push("two".to_owned(), crate::Timestamp::MIN);
        writer.write(&mut batch).unwrap();
        let shares = vec![Share { sink: "out".to_owned(), worker: 0, bytes: writer.seal(Epoch(1)).unwrap() }];
        let bytes = participant.prepare(Epoch(1), shares).unwrap().unwrap();
        assert!(printed.lock().unwrap().is_empty());
        let committable = Committable { participant: "out".to_owned(), epoch: Epoch(1), bytes };
        participant.commit(&committable, &CommitPermit::published(Epoch(1))).unwrap();
        assert_eq!(*printed.lock().unwrap(), b"one\ntwo\n");
    }
}
