//! State: values that are kept per key, snapshotted, restored, and described by a schema.

use crate::error::Result;
use std::fmt;

/// A value that can be kept as operator state.
///
/// `#[derive(State)]` implements it for structs and enums of the user; integers, floats, `bool`,
/// `char`, `String`, `Option`, `Vec`, `VecDeque`, maps, sets, arrays, tuples, [`Timestamp`](crate::Timestamp)
/// and `Duration` have it. A type of another crate that has serde's traits is kept as
/// `#[state(opaque)]`, recorded by name only.
///
/// The encoding is not self-describing: [`State::schema`] is stored beside it, and a checkpoint whose
/// schema differs is refused before anything is decoded.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be kept as operator state",
    label = "not a state type",
    note = "write `#[derive(staunch::State, Default, Clone)]` above it, or, for a serde type of another crate, mark it `#[state(opaque)]`"
)]
pub trait State: Clone + Send + 'static {
    /// The type's shape: names of fields and variants, and their types.
    fn schema() -> Schema;
    /// Appends the encoding.
    fn encode(&self, out: &mut Vec<u8>);
    /// Decodes from the front of `bytes` and moves it past what was read.
    ///
    /// # Errors
    /// [`ErrorKind::Checkpoint`](crate::ErrorKind::Checkpoint) when the bytes are not an encoding of this type.
    fn decode(bytes: &mut &[u8]) -> Result<Self>;

    /// Appends the encodings of many, one after the other: for lists of bytes, in one go.
    #[doc(hidden)]
    fn encode_all(items: &[Self], out: &mut Vec<u8>) {
        items.iter().for_each(|item| item.encode(out));
    }
    /// Decodes what [`State::encode_all`] wrote.
    #[doc(hidden)]
    fn decode_all(count: usize, bytes: &mut &[u8]) -> Result<Vec<Self>> {
        super::state_impls::decode_items(count, bytes)
    }
}

/// The shape of a state type, as recorded in checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schema {
    /// A type without visible parts: a number, a string, or an opaque type. By name.
    Leaf(String),
    /// A named struct and its fields, in order.
    Struct(String, Vec<(String, Schema)>),
    /// A named enum and its variants, in order, each with its fields.
    Enum(String, Vec<(String, Vec<(String, Schema)>)>),
    /// A container (`Vec`, `Option`, `Map`, …, or a tuple) and the types in it.
    Of(String, Vec<Schema>),
    /// A recursive use of the named type that encloses it.
    Recursive(String),
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn fields(f: &mut fmt::Formatter<'_>, fields: &[(String, Schema)]) -> fmt::Result {
            f.write_str("{ ")?;
            for (at, (name, schema)) in fields.iter().enumerate() {
                write!(f, "{}{name}: {schema}", if at == 0 { "" } else { ", " })?;
            }
            f.write_str(" }")
        }
        match self {
            Self::Leaf(name) | Self::Recursive(name) => f.write_str(name),
            Self::Struct(name, parts) => {
                write!(f, "{name} ")?;
                fields(f, parts)
            }
            Self::Enum(name, variants) => {
                write!(f, "{name} [ ")?;
                for (at, (variant, parts)) in variants.iter().enumerate() {
                    write!(f, "{}{variant}", if at == 0 { "" } else { " | " })?;
                    if !parts.is_empty() {
                        f.write_str(" ")?;
                        fields(f, parts)?;
                    }
                }
                f.write_str(" ]")
            }
            Self::Of(name, parts) => {
                write!(f, "{name}<")?;
                for (at, part) in parts.iter().enumerate() {
                    write!(f, "{}{part}", if at == 0 { "" } else { ", " })?;
                }
                f.write_str(">")
            }
        }
    }
}
