//! Behaviour across crates: macros, whole jobs in this process, and the rules of the house.
//!
//! The jobs have sources and sinks in memory, a real checkpoint store and real threads.

mod added;
mod alignment;
mod bounded;
mod failures;
mod graph;
mod house;
mod macros_forms;
mod macros_harness;
mod macros_methods;
mod macros_names;
mod macros_pipeline;
mod macros_state;
mod pressure;
mod rescale;
mod shapes;
mod sink_failures;
mod takeover;
mod tally;
mod time;
