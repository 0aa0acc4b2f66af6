//! The Kafka connector on a real broker: see `staunch_tests::kafka` for what it needs.

mod atleast;
mod conformance;
mod dead;
mod fate;
mod kills;
mod peer;
mod security;
mod sink;
mod source;
mod support;
