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
pub use crate::error::Result;
pub use crate::flow::{Flow, FlowType, KeyedInput, OperatorWiring, Parts, Pipeline, SinkFn, SourceFn, Stream, UnkeyedInput};
pub use crate::data::outputs::Wired;
pub use crate::time::Timestamp;

/// The record type of an `#[output]` parameter, whatever alias it is spelled with.
#[diagnostic::on_unimplemented(message = "an `#[output]` parameter is an `Output<T>`", label = "expected `&mut Output<T>`")]
pub trait OutputType {
    /// What is emitted.
    type Record: Send + 'static;
}

impl<T: Send + 'static> OutputType for Output<T> {
    type Record = T;
}

/// Asserts once, on the user's tokens, that a type can be kept as state.
pub fn assert_state<T: State + Default>() {}

/// What `my_pipeline::job(config)` calls.
pub fn job<P: Pipeline>(config: P::Config) -> crate::JobBuilder<P> {
    crate::JobBuilder::new(config)
}
