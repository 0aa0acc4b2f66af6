//! From tokens to the [model](crate::model): recognises, and reports only what cannot be recognised.

mod attributes;
mod endpoint;
mod item;
mod operator;
mod options;
mod params;
mod pipeline;
mod returns;
mod state;

pub use endpoint::endpoint;
pub use item::FnItem;
pub use operator::{OperatorItem, function, methods, unraw};
pub use pipeline::pipeline;
pub use state::{member_name, state};
