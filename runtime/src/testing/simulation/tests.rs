//! The simulation itself.
