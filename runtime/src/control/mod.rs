//! A checkpoint's journey.

pub mod manifest;
pub mod permit;
pub mod store;
