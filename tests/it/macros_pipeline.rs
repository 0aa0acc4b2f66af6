//! Sources, sinks and pipelines.

use staunch::memory::{MemorySink, MemorySource};
use staunch::{Error, ErrorKind, Failed, Flow, Pipeline, operator, pipeline, sink, source};

#[derive(Clone, serde::Deserialize)]
pub struct Config {
    limit: u64,
    #[serde(skip)]
    numbers: MemorySink<u64>,
    #[serde(skip)]
    refused: MemorySink<Failed<String>>,
}

impl Config {
    fn new(limit: u64) -> Self {
        Self { limit, numbers: MemorySink::new(), refused: MemorySink::new() }
    }
}

#[derive(Clone)]
pub struct Step(u64);

#[source]
fn numbers(config: &Config, step: &Step) -> Result<MemorySource<u64>, String> {
    let (limit, step) = (config.limit, step.0);
    if limit == 0 { Err("nothing to count".into()) } else { Ok(MemorySource::generate(limit, move |n| n * step)) }
}

#[operator]
fn below_ten(number: u64) -> Result<u64, String> {
    if number < 10 { Ok(number) } else { Err(format!("{number} is too much")) }
}

#[sink]
fn small(config: &Config) -> MemorySink<u64> {
    config.numbers.clone()
}

#[sink]
fn refused(config: &Config) -> MemorySink<Failed<String>> {
    config.refused.clone()
}

#[pipeline]
pub fn counting(flow: &Flow<Config>) {
    flow.provide(|_| Step(3));
    let (fine, failed) = below_ten::on(numbers::open(flow));
    small::write(fine);
    refused::write(failed);
}

#[test]
fn a_pipeline_runs_as_a_job() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config::new(5);
    counting::job(config.clone()).checkpoint_dir(dir.path()).run().unwrap();
    let mut numbers = config.numbers.output().committed();
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 3, 6, 9]);
    assert_eq!(config.refused.output().committed()[0].error, "12 is too much");
    assert_eq!(counting::NAME, "counting");
}

#[test]
fn what_a_source_function_returns_as_error_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let error: Error = counting::job(Config::new(0)).checkpoint_dir(dir.path()).run().unwrap_err();
    assert!(error.to_string().contains("nothing to count"), "{error}");
    assert_ne!(error.kind(), ErrorKind::Internal);
}

// `main` exists, and its configuration can be read.
#[allow(dead_code)]
fn main() -> staunch::Result<()> {
    counting::main()
}
