//! What tests of operators, pipelines and sinks are made of. Must not be needed by a job that runs.
//!
#![doc = include_str!("testing.md")]

pub mod conformance;
mod crash;
mod named;
mod operator;
#[doc(hidden)]
pub mod permit;
mod pipeline;
pub(crate) mod simulation;

pub use crate::crash::CRASH_POINTS;
pub use crash::{Compare, CrashFailure, CrashReport, CrashTest, Inputs};
pub use operator::{Emitted, OperatorHarness, Snapshot};
pub use pipeline::{PipelineHarness, PipelineSink, PipelineSource};
