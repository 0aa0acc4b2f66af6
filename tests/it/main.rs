//! Behaviour across crates: macros, runtime and connectors together, and the rules of the house.

mod house;
mod macros_forms;
mod macros_methods;
mod macros_names;
mod macros_pipeline;
mod macros_state;
