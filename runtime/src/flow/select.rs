//! How a keyed stream finds a record's key.

use crate::api::key::Key;
use std::marker::PhantomData;

/// Finds the key of a record. A type of its own for each `key_by`, so that the call is compiled into
/// the operator's loop and costs nothing per record.
pub trait KeySelector<T, K: Key + ?Sized>: Clone + Send + Sync + 'static {
    /// Whether the stream is keyed: its records have hashes, and each goes to the worker that owns its key.
    const KEYED: bool = true;

    /// Calls `f` with the record's key.
    fn with<R>(&self, record: &T, f: impl FnOnce(&K) -> R) -> R;
}

/// Borrows the key from the record: made by [`Stream::key_by`](super::flow::Stream::key_by).
#[derive(Clone)]
pub struct Borrowed<F>(F);

impl<F> Borrowed<F> {
    /// A selector that borrows the key with this function.
    pub fn new(key: F) -> Self {
        Self(key)
    }
}

impl<T, K: Key + ?Sized, F> KeySelector<T, K> for Borrowed<F>
where
    F: Fn(&T) -> &K + Clone + Send + Sync + 'static,
{
    #[inline(always)]
    fn with<R>(&self, record: &T, f: impl FnOnce(&K) -> R) -> R {
        f((self.0)(record))
    }
}

/// Computes the key from the record: made by [`Stream::key_with`](super::flow::Stream::key_with).
#[derive(Clone)]
pub struct Computed<F>(F);

impl<F> Computed<F> {
    /// A selector that computes the key with this function.
    pub fn new(key: F) -> Self {
        Self(key)
    }
}

impl<T, K: Key, F> KeySelector<T, K> for Computed<F>
where
    F: Fn(&T) -> K + Clone + Send + Sync + 'static,
{
    #[inline(always)]
    fn with<R>(&self, record: &T, f: impl FnOnce(&K) -> R) -> R {
        f(&(self.0)(record))
    }
}

/// The selector of streams that are not keyed: every record has the key `()`.
pub struct Unkeyed<T>(pub(crate) PhantomData<fn(T)>);

impl<T> Clone for Unkeyed<T> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl<T: 'static> KeySelector<T, ()> for Unkeyed<T> {
    const KEYED: bool = false;

    #[inline(always)]
    fn with<R>(&self, _record: &T, f: impl FnOnce(&()) -> R) -> R {
        f(&())
    }
}

/// A selector that borrows, for generated code.
pub fn borrowed<T, K: ?Sized, F: Fn(&T) -> &K>(select: F) -> Borrowed<F> {
    Borrowed(select)
}

/// A selector that computes, for generated code.
pub fn computed<T, K, F: Fn(&T) -> K>(select: F) -> Computed<F> {
    Computed(select)
}

/// The selector of streams that are not keyed, for generated code.
#[must_use]
pub fn unkeyed<T>() -> Unkeyed<T> {
    Unkeyed(PhantomData)
}
