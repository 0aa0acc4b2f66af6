//! Exactly-once stream processing as a library.

pub mod api;
pub mod connectors;
pub mod control;
mod error;
mod id;
#[doc(hidden)]
pub mod testing;
mod time;

pub use api::batch::{BATCH_RECORDS, Batch};
pub use api::context::Context;
pub use api::key::Key;
pub use api::metadata::{Metadata, Origin};
pub use api::output::{Failed, Output};
pub use api::state::State;
pub use error::{Error, ErrorKind, Result};
pub use id::{Epoch, KEY_GROUPS};
pub use time::Timestamp;
