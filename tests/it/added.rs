//! A job that gets another source.

use crate::tally::settings;
use staunch::api::source::{ReaderContext, Source};
use staunch::connectors::memory::{MemoryReader, MemorySource};
use staunch::{Flow, Result, pipeline, sink, source};
use staunch_tests::guard::job_test;
use staunch_tests::sink::Probe;
use std::sync::{Arc, Mutex};

/// A source, and what its readers were told of earlier positions: how many there are.
#[derive(Clone)]
pub struct Told {
    source: Arc<MemorySource<u64>>,
    restored: Arc<Mutex<Vec<Option<usize>>>>,
}

impl Told {
    fn new() -> Self {
        Self { source: Arc::new(MemorySource::new([1, 2, 3])), restored: Arc::default() }
    }
}

impl Source for Told {
    type Record = u64;
    type Reader = MemoryReader<u64>;

    fn describe(&self) -> String {
        "told".to_owned()
    }

    fn reader(&self, context: &ReaderContext<'_>) -> Result<MemoryReader<u64>> {
        self.restored.lock().unwrap().push(context.restored.map(<[_]>::len));
        self.source.reader(context)
    }
}

pub struct Two {
    first: Told,
    second: Option<Told>,
    outputs: [Probe<u64>; 2],
}

#[source]
fn first(config: &Two) -> Told {
    config.first.clone()
}

#[source]
fn second(config: &Two) -> Told {
    config.second.clone().expect("it is wired")
}

#[sink]
fn from_first(config: &Two) -> Probe<u64> {
    config.outputs[0].clone()
}

#[sink]
fn from_second(config: &Two) -> Probe<u64> {
    config.outputs[1].clone()
}

#[pipeline(no_main)]
pub fn growing(flow: &Flow<Two>) {
    from_first::write(first::open(flow));
    if flow.config().second.is_some() {
        from_second::write(second::open(flow));
    }
}

#[test]
fn a_source_that_is_added_to_a_job_starts_for_the_first_time() {
    job_test(|| {
        let dir = tempfile::tempdir().unwrap();
        let (first, second, outputs) = (Told::new(), Told::new(), [(); 2].map(|()| Probe::default()));
        for second in [None, Some(second.clone())] {
            let config = Two { first: first.clone(), second, outputs: outputs.clone() };
            growing::job(config).settings(settings(dir.path(), 1)).run().unwrap();
        }
        assert_eq!(*first.restored.lock().unwrap(), [None, Some(1)]);
        assert_eq!(*second.restored.lock().unwrap(), [None]);
        assert_eq!(outputs.map(|output| output.committed()), [[1, 2, 3]; 2]);
    });
}
