//! A checkpoint's journey.

pub mod log;
pub mod manifest;
pub mod permit;
pub mod store;
