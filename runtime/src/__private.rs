//! Everything that generated code may name, and nothing else: the contract with `staunch-macros`,
//! whose `paths.rs` is the other side of it.

pub use crate::api::context::Context;
pub use crate::api::key::Key;
pub use crate::api::needs::{Needs, Opener};
pub use crate::api::operator::{Collectors, Handler, Operator, Timers};
pub use crate::api::output::{Failed, Output, Outputs};
pub use crate::api::sink::Sink;
pub use crate::api::source::Source;
pub use crate::api::state::{Schema, State};
pub use crate::data::outputs::Wired;
pub use crate::error::Result;
pub use crate::flow::{
    Flow, FlowType, KeyedInput, OperatorWiring, Parts, Pipeline, SinkFn, SourceFn, Stream, UnkeyedInput,
};
pub use crate::time::Timestamp;

pub use crate::api::metadata::Metadata;
pub use crate::api::state_opaque::{decode_opaque, encode_opaque, opaque_schema};
pub use crate::generated::{
    FallibleType, JobConfig, OutputType, Show, ShowByDebug, ShowBySerialize, ShowFn, ShowNot, borrowed, computed,
    decode_variant, described, encode_variant, enum_schema, metadata, never, struct_schema, unkeyed, unknown_variant,
    variant_schema,
};
pub use crate::job::JobBuilder;
pub use crate::testing::{CrashTest, Inputs, OperatorHarness, PipelineHarness};
pub use crate::{__harness as harness, __row as row, __show as show};
pub use std::clone::Clone;
pub use std::convert::Into;
pub use std::marker::{PhantomData, Send, Sync};
pub use std::ops::Fn;
pub use std::option::Option::{None, Some};
pub use std::result::Result::{Err, Ok};
pub use std::string::String;
pub use std::sync::Arc;
pub use std::vec::Vec;

/// What `my_pipeline::job(config)` calls.
pub fn job<P: Pipeline>(config: P::Config) -> crate::JobBuilder<P> {
    crate::JobBuilder::new(config)
}

/// What `my_pipeline::main()` calls: the whole command line.
///
/// # Errors
/// What the command returns.
pub fn main<P: Pipeline<Config: JobConfig>>() -> Result<()> {
    crate::cli::main::<P>()
}
