//! Behaviour across crates: macros, runtime and connectors together.

mod house;
