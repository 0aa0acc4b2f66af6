<<<<<<< HEAD
//! What users test with.

mod operator;

pub use operator::{OperatorHarness, Snapshot};
=======
//! Tools for tests: of pipelines, and of connectors that others write.

pub mod conformance;
>>>>>>> files
