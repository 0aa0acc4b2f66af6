//! What a memory source reads, first and after a restart.

use super::{MemorySink, MemorySource};
use crate::api::batch::Batch;
use crate::api::source::{Polled, ReaderContext, Source, SourceReader, SplitPosition, Waker, Wants};
use crate::error::ErrorKind;
use crate::time::Timestamp;
use std::time::Duration;

fn context<'a>(worker: usize, workers: usize, restored: Option<&'a [SplitPosition]>) -> ReaderContext<'a> {
    let waker = Waker::new(|| {});
    ReaderContext { id: "numbers", job: "test", worker, workers, restored, wants: Wants::default(), waker }
}

/// Polls until the end or until so many batches came.
fn read<R: SourceReader>(reader: &mut R, batches: usize) -> Vec<(R::Record, Timestamp)> {
    let (mut all, mut batch) = (Vec::new(), Batch::default());
    for _ in 0..batches {
        match reader.poll(&mut batch).unwrap() {
            Polled::Records { .. } => all.extend(batch.drain()),
            Polled::Pending { .. } => {}
            Polled::End => break,
        }
    }
    all
}

fn values<T>(records: Vec<(T, Timestamp)>) -> Vec<T> {
    records.into_iter().map(|(record, _)| record).collect()
}

#[test]
fn records_keep_their_order_and_times() {
    let source = MemorySource::with_times((0..3_000).map(|n| (n, Timestamp::from_millis(n * 2))));
    let mut reader = source.reader(&context(0, 1, None)).unwrap();
    assert_eq!(reader.lag(), Some(3_000));
    let all = read(&mut reader, usize::MAX);
    assert!(all.iter().enumerate().all(|(at, (n, time))| *n == at as i64 && time.as_millis() == n * 2));
    assert_eq!((all.len(), reader.lag()), (3_000, Some(0)));
    assert!(reader.positions()[0].finished);
    let mut idle = source.reader(&context(1, 2, None)).unwrap();
    assert!(read(&mut idle, usize::MAX).is_empty());
}

#[test]
fn a_restart_goes_on_where_the_positions_say() {
    for source in
        [MemorySource::new(0..5_000_u64), MemorySource::generate(5_000, |n| n), MemorySource::iterate(|| 0..5_000_u64)]
    {
        let mut before = source.reader(&context(0, 1, None)).unwrap();
        let mut all = values(read(&mut before, 2));
        let restored = before.positions();
        // What is read after the positions were taken is read again.
        read(&mut before, 1);
        let mut after = source.reader(&context(0, 1, Some(&restored))).unwrap();
        all.extend(values(read(&mut after, usize::MAX)));
        assert!(all.into_iter().eq(0..5_000));
        let mut ended = source.reader(&context(0, 1, Some(&after.positions()))).unwrap();
        assert!(read(&mut ended, usize::MAX).is_empty());
    }
}

#[test]
fn generated_records_are_made_once_whatever_the_number_of_workers() {
    let source = MemorySource::generate(10_000, |n| n);
    let (mut all, mut restored) = (Vec::new(), Vec::new());
    for worker in 0..3 {
        let mut reader = source.reader(&context(worker, 3, None)).unwrap();
        let mine = values(read(&mut reader, worker));
        assert!(mine.iter().all(|n| n % 3 == worker as u64));
        all.extend(mine);
        restored.extend(reader.positions());
    }
    for worker in 0..5 {
        let mut reader = source.reader(&context(worker, 5, Some(&restored))).unwrap();
        all.extend(values(read(&mut reader, usize::MAX)));
    }
    all.sort_unstable();
    assert!(all.into_iter().eq(0..10_000));
}

#[test]
fn origins_are_there_where_asked_for() {
    let source = MemorySource::splits(vec![Vec::new(), (0..2_000).map(|n| (n, Timestamp::MIN)).collect()]);
    let mut context = context(0, 1, None);
    context.wants.origin = true;
    let mut reader = source.reader(&context).unwrap();
    let mut batch = Batch::default();
    for first in [0, 1_024] {
        reader.poll(&mut batch).unwrap();
        let origin = &batch.metadata[1].origin;
        assert_eq!((&*origin.source, origin.partition, origin.offset), ("numbers", 1, first + 1));
        assert_eq!(batch.metadata.len(), batch.len());
        batch.clear();
    }
}

#[test]
fn pauses_come_after_so_many_records() {
    let pause = Duration::from_millis(5);
    let source = MemorySource::new(0..250_u64).pause_every(100, pause);
    let mut reader = source.reader(&context(0, 1, None)).unwrap();
    let mut batch = Batch::default();
    let mut lengths = Vec::new();
    loop {
        match reader.poll(&mut batch).unwrap() {
            Polled::Records { .. } => lengths.push(batch.len()),
            Polled::Pending { retry_after } => assert_eq!(retry_after, pause),
            Polled::End => break,
        }
        batch.clear();
    }
    assert_eq!(lengths.into_iter().filter(|length| *length > 0).collect::<Vec<_>>(), [100, 100, 50]);
}

#[test]
fn positions_of_other_splits_are_refused() {
    let source = MemorySource::new(0..3);
    for split in ["1/2", "nonsense", "5/3"] {
        let at = SplitPosition { split: split.to_owned(), position: 0.into(), finished: false };
        let error = source.reader(&context(0, 1, Some(&[at]))).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Config);
    }
    let beyond = SplitPosition { split: "0/1".to_owned(), position: 99.into(), finished: false };
    let mut reader = source.reader(&context(0, 1, Some(&[beyond]))).unwrap();
    assert!(read(&mut reader, usize::MAX).is_empty());
}

#[test]
fn a_fresh_output_has_nothing() {
    let output = MemorySink::<u64>::new().output();
    assert!(output.committed().is_empty() && output.prepared().is_empty() && output.committed_by_epoch().is_empty());
}
