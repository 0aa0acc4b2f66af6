//! What generated code calls: everything that is logic, so that the macros only write declarations.
//!
//! Nothing here is part of the public interface; `__private` passes it on to generated code.

use crate::api::context::Context;
use crate::api::metadata::Metadata;
use crate::api::output::Output;
use crate::api::state::Schema;
use crate::error::{Error, ErrorKind, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::TypeId;
use std::cell::RefCell;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::LazyLock;

pub use crate::flow::select::{borrowed, computed, unkeyed};
pub use crate::flow::stand_in::ShowFn;

/// The record type of an `#[output]` parameter, whatever alias it is spelled with.
#[diagnostic::on_unimplemented(
    message = "an `#[output]` parameter is an `Output<T>`, not `{Self}`",
    label = "expected `&mut Output<T>`",
    note = "write `#[output] records: &mut Output<T>` with the type of the records; they can be sent to other threads"
)]
pub trait OutputType {
    /// What is emitted.
    type Record: Send + 'static;
}

impl<T: Send + 'static> OutputType for Output<T> {
    type Record = T;
}

/// The error of a function whose return type is spelled `Result<T>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `Result`",
    label = "spelled like a `Result`, but another type",
    note = "an operator returns a record, `Option<T>`, `Result<T, E>` or `Result<Option<T>, E>`; rename a record type that is called `Result`"
)]
pub trait FallibleType {
    /// What goes to the stream of failures.
    type Error;
}

impl<T, E> FallibleType for std::result::Result<T, E> {
    type Error = E;
}

/// A configuration that the command line can read from a file.
#[diagnostic::on_unimplemented(
    message = "the pipeline's configuration `{Self}` cannot be read from a file",
    label = "does not implement `serde::Deserialize`",
    note = "write `#[derive(serde::Deserialize)]` above it, or `#[pipeline(no_main)]` to start the job from code with `job(config)`"
)]
pub trait JobConfig: DeserializeOwned + Send + Sync + 'static {}

impl<C: DeserializeOwned + Send + Sync + 'static> JobConfig for C {}

/// What a fallible `#[source]` or `#[sink]` function returned, as an error of this crate.
///
/// # Errors
/// The function's own.
pub fn described<T, E>(result: std::result::Result<T, E>) -> Result<T>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    result.map_err(|error| match error.into().downcast::<Error>() {
        Ok(own) => *own,
        Err(other) => Error::new(ErrorKind::Config, "it cannot be described").caused_by(other),
    })
}

/// The metadata of the record at hand; empty where there is none.
#[must_use]
pub fn metadata<'a>(context: &Context<'a>) -> &'a Metadata {
    static NONE: LazyLock<Metadata> = LazyLock::new(Metadata::default);
    context.metadata.unwrap_or(&NONE)
}

/// Finds how records of `T` are shown: by `Debug`, else by `Serialize`. Which of the traits below applies
/// depends on how many references deep the call has to look, so the first that a type has wins.
pub struct Show<T>(pub PhantomData<fn(&T)>);

/// Shows by `Debug`.
pub trait ShowByDebug<T> {
    /// How.
    fn show(&self) -> ShowFn<T>;
}

impl<T: Debug> ShowByDebug<T> for &&Show<T> {
    fn show(&self) -> ShowFn<T> {
        Some(|record| format!("{record:?}"))
    }
}

/// Shows by `Serialize`.
pub trait ShowBySerialize<T> {
    /// How.
    fn show(&self) -> ShowFn<T>;
}

impl<T: Serialize> ShowBySerialize<T> for &Show<T> {
    fn show(&self) -> ShowFn<T> {
        Some(|record| serde_json::to_string(record).unwrap_or_else(|error| error.to_string()))
    }
}

/// Does not show.
pub trait ShowNot<T> {
    /// `None`.
    fn show(&self) -> ShowFn<T>;
}

impl<T> ShowNot<T> for Show<T> {
    fn show(&self) -> ShowFn<T> {
        None
    }
}

/// How records of a type are shown. The type must not be generic where this is written.
#[doc(hidden)]
#[macro_export]
macro_rules! __show {
    ($record:ty) => {{
        #[allow(unused_imports)]
        use $crate::__private::{ShowByDebug as _, ShowBySerialize as _, ShowNot as _};
        (&&&$crate::__private::Show::<$record>(::core::marker::PhantomData)).show()
    }};
}

/// The body of functions that stand in for those with errors, which never run.
///
/// # Panics
/// Always.
pub fn never<T>() -> T {
    unreachable!("the macro reported errors, so this does not compile")
}

thread_local! {
    /// The types whose schema is being made, to find those that contain themselves.
    static ENCLOSING: RefCell<Vec<TypeId>> = const { RefCell::new(Vec::new()) };
}

fn named<T: 'static>(name: &str, make: impl FnOnce() -> Schema) -> Schema {
    let this = TypeId::of::<T>();
    if ENCLOSING.with_borrow(|enclosing| enclosing.contains(&this)) {
        return Schema::Recursive(name.to_owned());
    }
    ENCLOSING.with_borrow_mut(|enclosing| enclosing.push(this));
    let schema = make();
    ENCLOSING.with_borrow_mut(Vec::pop);
    schema
}

fn owned<const FIELDS: usize>(fields: [(&str, Schema); FIELDS]) -> Vec<(String, Schema)> {
    fields.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

/// The schema of the struct `T`. `fields` is not called within itself.
pub fn struct_schema<T: 'static, const FIELDS: usize>(
    name: &str,
    fields: impl FnOnce() -> [(&'static str, Schema); FIELDS],
) -> Schema {
    named::<T>(name, || Schema::Struct(name.to_owned(), owned(fields())))
}

/// A variant and its fields, within [`enum_schema`].
pub type Variant = (String, Vec<(String, Schema)>);

/// The schema of the enum `T`. `variants` is not called within itself.
pub fn enum_schema<T: 'static, const VARIANTS: usize>(
    name: &str,
    variants: impl FnOnce() -> [Variant; VARIANTS],
) -> Schema {
    named::<T>(name, || Schema::Enum(name.to_owned(), variants().into()))
}

/// One variant of an enum.
pub fn variant_schema<const FIELDS: usize>(name: &str, fields: [(&'static str, Schema); FIELDS]) -> Variant {
    (name.to_owned(), owned(fields))
}

/// From here on a variant's number takes four more bytes.
const VARIANT_LONG: u8 = u8::MAX;

/// Appends the number of a variant.
pub fn encode_variant(number: u32, out: &mut Vec<u8>) {
    match u8::try_from(number) {
        Ok(short) if short != VARIANT_LONG => out.push(short),
        _ => {
            out.push(VARIANT_LONG);
            out.extend_from_slice(&number.to_le_bytes());
        }
    }
}

/// Reads the number of a variant.
///
/// # Errors
/// When the bytes end.
pub fn decode_variant(bytes: &mut &[u8]) -> Result<u32> {
    use crate::api::state::State;
    match u8::decode(bytes)? {
        VARIANT_LONG => u32::decode(bytes),
        short => Ok(short.into()),
    }
}

/// The error for the number of a variant that the enum does not have.
#[must_use]
pub fn unknown_variant(name: &str, number: u32) -> Error {
    Error::new(ErrorKind::Checkpoint, format!("the checkpoint is damaged: `{name}` has no variant {number}"))
}

/// The implementations of a generated state row: `Default`, `Clone` and `State`, field by field.
///
/// A field is `plain`, `opaque` (kept through serde) or a `marker` that holds nothing.
#[doc(hidden)]
#[macro_export]
macro_rules! __row {
    ([$($generics:tt)*] [$($bounds:tt)*] $row:ty, $name:literal { $($kind:ident $field:ident: $ty:ty,)* }) => {
        #[automatically_derived]
        impl $($generics)* ::core::default::Default for $row $($bounds)* {
            fn default() -> Self {
                Self { $($field: <$ty as ::core::default::Default>::default(),)* }
            }
        }
        #[automatically_derived]
        impl $($generics)* ::core::clone::Clone for $row $($bounds)* {
            fn clone(&self) -> Self {
                Self { $($field: ::core::clone::Clone::clone(&self.$field),)* }
            }
        }
        #[automatically_derived]
        impl $($generics)* $crate::State for $row $($bounds)* {
            fn schema() -> $crate::__private::Schema {
                $crate::__row!(@schema $name [] $($kind $field: $ty,)*)
            }
            fn encode(&self, out: &mut ::std::vec::Vec<u8>) {
                $($crate::__row!(@encode $kind self.$field, $ty, out);)*
            }
            fn decode(bytes: &mut &[u8]) -> $crate::Result<Self> {
                ::core::result::Result::Ok(Self { $($field: $crate::__row!(@decode $kind $ty, bytes),)* })
            }
        }
    };
    (@schema $name:literal [$($done:tt)*]) => {
        $crate::__private::struct_schema::<Self, _>($name, || [$($done)*])
    };
    (@schema $name:literal [$($done:tt)*] plain $field:ident: $ty:ty, $($rest:tt)*) => {
        $crate::__row!(@schema $name [$($done)* (::core::stringify!($field), <$ty as $crate::State>::schema()),] $($rest)*)
    };
    (@schema $name:literal [$($done:tt)*] opaque $field:ident: $ty:ty, $($rest:tt)*) => {
        $crate::__row!(@schema $name [$($done)* (::core::stringify!($field), $crate::__private::opaque_schema::<$ty>()),] $($rest)*)
    };
    (@schema $name:literal [$($done:tt)*] marker $field:ident: $ty:ty, $($rest:tt)*) => {
        $crate::__row!(@schema $name [$($done)*] $($rest)*)
    };
    (@encode plain $value:expr, $ty:ty, $out:ident) => { <$ty as $crate::State>::encode(&$value, $out) };
    (@encode opaque $value:expr, $ty:ty, $out:ident) => { $crate::__private::encode_opaque::<$ty>(&$value, $out) };
    (@encode marker $value:expr, $ty:ty, $out:ident) => {};
    (@decode plain $ty:ty, $bytes:ident) => { <$ty as $crate::State>::decode($bytes)? };
    (@decode opaque $ty:ty, $bytes:ident) => { $crate::__private::decode_opaque::<$ty>($bytes)? };
    (@decode marker $ty:ty, $bytes:ident) => { <$ty as ::core::default::Default>::default() };
}
