//! Exactly-once stream processing as a library: annotated Rust functions in, one plain binary out.

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
mod progress;
mod random;
mod settings;
mod signals;
pub mod state;
mod stop;
pub mod testing;
mod threads;
mod time;

#[doc(hidden)]
pub mod __private;

pub use api::batch::{BATCH_RECORDS, Batch};
pub use api::context::Context;
pub use api::key::Key;
pub use api::metadata::{Metadata, Origin};
pub use api::output::{Failed, Output};
pub use api::state::State;
pub use cli::main;
#[cfg(feature = "kafka")]
pub use connectors::kafka;
pub use connectors::{file, format, memory};
pub use error::{Error, ErrorKind, Result};
pub use flow::{Flow, Keyed, Pipeline, Stream};
pub use graph::show::GraphFormat;
pub use id::{Epoch, KEY_GROUPS};
pub use job::JobBuilder;
pub use metrics::NodeCounts;
pub use progress::{CheckpointStats, Observer, Outcome, Progress, Summary};
pub use settings::{CheckpointSettings, RestartSettings, Settings};
pub use staunch_macros::{State, operator, pipeline, sink, source};
pub use stop::StopHandle;
pub use time::Timestamp;
