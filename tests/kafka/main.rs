//! The Kafka connector on a real broker: see `staunch_tests::kafka` for what it needs.

mod atleast;
mod checks;
mod conformance;
mod dead;
mod expiry;
mod kills;
mod lost;
mod messages;
mod peer;
mod replay;
mod security;
mod sink;
mod situations;
mod sizes;
mod source;
mod support;
mod tools;
