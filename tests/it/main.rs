//! Behaviour across crates: macros, runtime and connectors together.

mod macros_forms;
mod macros_methods;
mod macros_names;
mod macros_pipeline;
mod macros_state;
