//! Exactly-once stream processing as a library: annotated Rust functions in, one plain binary out.
//!
//! A pipeline is a set of functions with attributes and one function that wires them:
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use staunch::file::{FileSink, FileSource};
//! use staunch::format::{Json, Text};
//! use staunch::{Flow, Output, operator, pipeline, sink, source};
//!
//! #[derive(Deserialize)]
//! pub struct Config { input: String, output: String }
//!
//! #[derive(Serialize, Deserialize)]
//! pub struct Total { word: String, count: u64 }
//!
//! #[source]
//! pub fn lines(config: &Config) -> FileSource<Text> { FileSource::lines(&config.input) }
//!
//! #[operator]
//! pub fn split(line: &String, #[output] words: &mut Output<String>) {
//!     for word in line.split_whitespace() { words.emit(word.to_owned()); }
//! }
//!
//! #[operator]
//! pub fn count(#[key] word: &str, _occurrence: String, #[state] seen: &mut u64) -> Total {
//!     *seen += 1;
//!     Total { word: word.to_owned(), count: *seen }
//! }
//!
//! #[sink]
//! pub fn totals(config: &Config) -> FileSink<Json<Total>> { FileSink::json(&config.output) }
//!
//! #[pipeline]
//! pub fn word_count(flow: &Flow<Config>) {
//!     let words = split::on(lines::open(flow));
//!     totals::write(count::on(words.key_by(|word| word.as_str())));
//! }
//!
//! # mod binary { use super::word_count;
//! fn main() -> staunch::Result<()> { word_count::main() }
//! # }
//! # fn main() {}
//! ```
//!
//! `word_count::main()` is a whole command line (`run`, `graph`, `checkpoints`); `word_count::job(config)` is
//! the same job [from code](JobBuilder); `count::harness(..)` [runs one operator](testing::OperatorHarness) in a
//! test.
//!
//! # Where to read on
//!
//! | to | see |
//! |---|---|
//! | write operators, sources, sinks, pipelines | the attributes [`operator`], [`source`], [`sink`], [`pipeline`], the derive [`macro@State`] |
//! | wire streams | [`Flow`], [`Stream`], [`Keyed`] |
//! | read and write | [`mod@file`], `kafka` (feature `kafka`), [`memory`], [`mod@format`] |
//! | run and watch a job | [`JobBuilder`], [`Settings`], [`Observer`] |
//! | test | [`testing`] |
//! | write a source or a sink of one's own | [`api::source`], [`api::sink`], [`testing::conformance`] |
//! | keep checkpoints elsewhere | [`control::store`] |
//!
//! # The guarantee
//!
//! State, source positions and output move together. A checkpoint is a consistent cut: barriers flow
//! with the records, operators with several inputs align them, state is snapshotted at them, sinks
//! prepare what came before them. When everything is durable a manifest that lists it is published by a
//! compare-and-set, and only [the permit](control::permit::CommitPermit) which that gives allows sinks to commit. After
//! a crash the newest manifest says what to restore and what is still to be committed.
//!
//! # The map
//!
//! The modules, in the order in which they depend on each other:
//!
//! ```text
//! api         the traits users meet
//! graph       the logical graph, its checks and views (pure)
//! state       the keyed table, snapshots, timers
//! time        timestamps, watermarks
//! flow        wiring: Flow, Stream, Keyed
//! data        a record's journey:      source -> exchange -> align -> process -> sink
//! control     a checkpoint's journey:  coordinator -> log -> permit; recovery, restart (pure but for the store)
//! transaction exactly-once over Kafka transactions: fate, replay, rotation of ids; without a client or a clock
//! connectors  memory, file, kafka
//! job         attempts: claim -> recover -> build -> drive -> settle
//! cli         the command line
//! testing     harnesses of operators and pipelines, the crash test and its simulation, conformance of sinks
//! ```

// What the macros generate names the crate from outside; its own tests use them, too.
#[cfg(test)]
extern crate self as staunch;

pub mod api;
mod cli;
mod clock;
mod codec;
pub mod connectors;
pub mod control;
mod crash;
mod data;
mod error;
mod flow;
mod generated;
mod graph;
mod id;
mod job;
mod metrics;
mod planted;
mod progress;
mod random;
mod settings;
mod signals;
pub mod state;
mod stop;
pub mod testing;
mod threads;
mod time;
pub mod transaction;

#[doc(hidden)]
pub mod __private;

pub use api::batch::{BATCH_RECORDS, Batch};
pub use api::context::Context;
pub use api::key::Key;
pub use api::metadata::{Metadata, Origin};
pub use api::output::{Failed, Output};
pub use api::source::EventTime;
pub use api::state::State;
pub use cli::main;
#[cfg(feature = "kafka")]
pub use connectors::kafka;
pub use connectors::{file, format, memory};
pub use error::{DataLoss, Error, ErrorKind, Result};
pub use flow::{Flow, Keyed, Pipeline, Stream};
pub use graph::show::GraphFormat;
pub use id::{Epoch, KEY_GROUPS};
pub use job::JobBuilder;
pub use metrics::NodeCounts;
pub use progress::{CheckpointStats, Observer, Outcome, Progress, Summary};
pub use settings::{CheckpointSettings, RestartSettings, Settings};
pub use staunch_macros::{State, operator, pipeline, sink, source};
pub use stop::{Cancellation, StopHandle};
pub use time::Timestamp;
