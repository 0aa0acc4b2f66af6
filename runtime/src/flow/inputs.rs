//! What an operator's input accepts, with errors that say what to write.

use super::handle::Shared;
use super::select::KeySelector;
use super::stream::{Keyed, Stream};
use crate::api::key::Key;

/// A stream of `T`, keyed or not, as the input of an operator that is not keyed.
#[diagnostic::on_unimplemented(
    message = "this input takes a stream of `{T}`",
    label = "expected a stream of `{T}`, found `{Self}`"
)]
pub trait UnkeyedInput<T> {
    /// The stream itself.
    fn stream(self) -> Stream<T>;
}

impl<T> UnkeyedInput<T> for Stream<T> {
    fn stream(self) -> Stream<T> {
        self
    }
}

impl<K: ?Sized, T, F> UnkeyedInput<T> for Keyed<K, T, F> {
    fn stream(self) -> Stream<T> {
        self.stream
    }
}

/// A stream of `T` keyed by `K`, as the input of an operator that keeps state per key.
#[diagnostic::on_unimplemented(
    message = "this operator works per key, so its input must be a stream of `{T}` keyed by `{K}`",
    label = "expected a stream of `{T}` keyed by `{K}`, found `{Self}`",
    note = "key the stream with `.key_by(|record| &record.field)` or `.key_with(|record| computed)`; the inputs of one operator are all keyed by one type"
)]
pub trait KeyedInput<T, K: Key + ?Sized> {
    /// Finds a record's key.
    type Selector: KeySelector<T, K>;

    /// The stream and its selector.
    fn keyed(self) -> (Stream<T>, Self::Selector);
}

impl<K, T, F> KeyedInput<T, K> for Keyed<K, T, F>
where
    K: Key + ?Sized,
    F: KeySelector<T, K>,
{
    type Selector = F;

    fn keyed(self) -> (Stream<T>, F) {
        (self.stream, self.select)
    }
}

impl<T> Stream<T> {
    pub(crate) fn wiring(&self) -> &Shared {
        &self.wiring
    }
}
