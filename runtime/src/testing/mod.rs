//! Tools for tests: of pipelines, and of connectors that others write.

pub mod conformance;
