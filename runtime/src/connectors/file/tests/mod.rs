//! Reading and writing real files in a temporary directory.

mod follow;
mod read;
mod write;

use crate::api::batch::Batch;
use crate::api::source::{Polled, ReaderContext, Source, SourceReader, SplitPosition, Waker, Wants};
use crate::error::Result;

fn context<'a>(worker: usize, workers: usize, restored: Option<&'a [SplitPosition]>) -> ReaderContext<'a> {
    let waker = Waker::new(|| {});
    ReaderContext { id: "lines", job: "test", worker, workers, restored, wants: Wants::default(), waker }
}

/// Polls until nothing is left just now.
fn read<R: SourceReader>(reader: &mut R) -> Result<Vec<R::Record>> {
    let (mut all, mut batch, mut pending) = (Vec::new(), Batch::default(), 0);
    while pending < 3 {
        match reader.poll(&mut batch)? {
            Polled::Records { .. } => {
                assert!(!batch.is_empty() && batch.len() <= crate::BATCH_RECORDS);
                all.extend(batch.drain().map(|(record, _)| record));
            }
            Polled::Pending { .. } => pending += 1,
            Polled::End => break,
        }
    }
    Ok(all)
}

/// Reads everything with so many workers; returns records and positions.
fn read_all<S: Source>(
    source: &S,
    workers: usize,
    restored: Option<&[SplitPosition]>,
) -> Result<(Vec<S::Record>, Vec<SplitPosition>)> {
    let (mut all, mut positions) = (Vec::new(), Vec::new());
    for worker in 0..workers {
        let mut reader = source.reader(&context(worker, workers, restored))?;
        all.extend(read(&mut reader)?);
        positions.extend(reader.positions());
    }
    Ok((all, positions))
}
