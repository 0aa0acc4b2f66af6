//! What a pipeline function calls: [`Flow`], [`Stream`], [`Keyed`], and the typed wiring behind them.
//!
//! Wiring only describes. Wrong types do not compile; what types cannot say (a duplicate id, a
//! dangling output, a missing part of the configuration) is reported, all of it at once, before
//! anything connects.

mod endpoint;
pub(crate) mod handle;
mod inputs;
mod operator;
pub(crate) mod parts;
pub mod select;
pub(crate) mod stand_in;
mod stream;

pub use endpoint::{SinkFn, SourceFn};
pub use handle::Shared;
pub(crate) use handle::Wiring;
pub use handle::{Flow, FlowType, Pipeline};
pub use inputs::{KeyedInput, UnkeyedInput};
pub use operator::OperatorWiring;
pub use parts::Parts;
pub use stream::{Keyed, Stream};
