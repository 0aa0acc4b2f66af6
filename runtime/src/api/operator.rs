//! The traits that `#[operator]` implements: an operator is the state it keeps for one key, with a
//! handler for each of its inputs.
//!
//! Pipelines can be written against these traits without any macro.

use super::context::Context;
use super::key::Key;
use super::needs::{Needs, Opener};
use super::output::Outputs;
use super::state::State;
use crate::error::Result;
use crate::time::Timestamp;

/// An operator. `Self` is the state of *one key*; the runtime keeps one value of it per key and
/// starts each from `Default`. An operator without state is an empty struct.
pub trait Operator: State + Default {
    /// The id where none is given with `at`.
    const ID: &'static str;
    /// The names of the inputs, in order.
    const INPUTS: &'static [&'static str];
    /// The names of the outputs, in order; that of failures is `failed`.
    const OUTPUTS: &'static [&'static str];
    /// The outputs' record types, as a tuple.
    type Outputs: Outputs;
    /// What is made once per worker: configuration and resources.
    type Env: 'static;

    /// Says what [`Operator::open`] will ask for.
    fn needs(needs: &mut Needs);

    /// Called once on each worker before the first record.
    ///
    /// # Errors
    /// Whatever the resources' construction returns; the attempt then fails.
    fn open(opener: &mut Opener<'_>) -> Result<Self::Env>;
}

/// The outputs of an operator, ready to emit into.
pub type Collectors<O> = <<O as Operator>::Outputs as Outputs>::Collectors;

/// How an operator handles the records of its input number `INPUT`.
///
/// `K` is the key's type, `()` for operators that are not keyed.
pub trait Handler<const INPUT: usize, K: Key + ?Sized>: Operator {
    /// What the input carries.
    type Record: Send + 'static;

    /// Handles one record of the key `key`.
    fn handle(
        &mut self,
        record: Self::Record,
        key: &K,
        env: &mut Self::Env,
        context: &mut Context<'_>,
        out: &mut Collectors<Self>,
    );
}

/// What an operator does when a timer fires.
pub trait Timers<K: Key + ?Sized>: Operator {
    /// Whether there is an event-time timer method; setting a timer without one is an error.
    const EVENT: bool = false;
    /// Whether there is a processing-time timer method.
    const PROCESSING: bool = false;

    /// The watermark has reached `at`.
    #[allow(unused_variables)]
    fn on_event_timer(
        &mut self,
        at: Timestamp,
        key: &K,
        env: &mut Self::Env,
        context: &mut Context<'_>,
        out: &mut Collectors<Self>,
    ) {
    }

    /// The clock has reached `at`.
    #[allow(unused_variables)]
    fn on_processing_timer(
        &mut self,
        at: Timestamp,
        key: &K,
        env: &mut Self::Env,
        context: &mut Context<'_>,
        out: &mut Collectors<Self>,
    ) {
    }
}
