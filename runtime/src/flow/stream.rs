//! Streams: handles of the graph's outputs.

use super::handle::Shared;
use super::inputs::UnkeyedInput;
use super::select::{Borrowed, Computed};
use crate::api::key::Key;
use crate::api::output::Failed;
use crate::data::push::TeeFn;
use crate::graph::logical::PortRef;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Display;
use std::marker::PhantomData;
use std::sync::Arc;

/// An output in the graph: records of type `T`.
///
/// Each stream is used once; clone it for several readers. A stream that nothing reads is an error when
/// the graph is built: end it with [`discard`](Stream::discard) where that is meant.
#[must_use = "a stream that nothing reads is an error when the graph is built; write it to a sink or call `.discard()`"]
pub struct Stream<T> {
    pub(crate) wiring: Shared,
    pub(crate) port: PortRef,
    pub(crate) record: PhantomData<fn() -> T>,
}

impl<T: Clone + Send + 'static> Clone for Stream<T> {
    fn clone(&self) -> Self {
        self.wiring.borrow_mut().tees.entry(self.port).or_insert_with(|| Arc::new(TeeFn::<T>::new()));
        Self { wiring: self.wiring.clone(), port: self.port, record: PhantomData }
    }
}

impl<T: Send + 'static> Stream<T> {
    pub(crate) fn new(wiring: Shared, port: PortRef) -> Self {
        Self { wiring, port, record: PhantomData }
    }

    /// Keys the stream by a part of the record, without copying it: `words.key_by(|word| word.as_str())`.
    /// Records of one key go to one worker, in their order.
    ///
    /// The record is serde-encodable so that it can also be sent to another process.
    pub fn key_by<K, F>(self, key: F) -> Keyed<K, T, Borrowed<F>>
    where
        K: Key + ?Sized,
        T: Serialize + DeserializeOwned,
        F: Fn(&T) -> &K + Clone + Send + Sync + 'static,
    {
        Keyed { stream: self, select: Borrowed::new(key), key: PhantomData }
    }

    /// Keys the stream by a value computed from the record: `trades.key_with(|trade| trade.account % 16)`.
    pub fn key_with<K, F>(self, key: F) -> Keyed<K, T, Computed<F>>
    where
        K: Key,
        T: Serialize + DeserializeOwned,
        F: Fn(&T) -> K + Clone + Send + Sync + 'static,
    {
        Keyed { stream: self, select: Computed::new(key), key: PhantomData }
    }

    /// The records of both streams. Each keeps its own order; between the two there is none.
    pub fn union(self, other: impl UnkeyedInput<T>) -> Stream<T> {
        super::operator::wire_union(self, other.stream())
    }

    /// Ends the stream: its records are counted and dropped.
    pub fn discard(self) {
        super::endpoint::wire_discard(self);
    }
}

impl<E: Display + Send + 'static> Stream<Failed<E>> {
    /// Ends a stream of failures: the first one fails the attempt, with its message. The restart policy
    /// decides what follows.
    pub fn fail_job(self) {
        super::endpoint::wire_fail_job(self);
    }
}

/// A stream whose records are spread over the workers by key.
///
/// `K` is the key's type (`str` for text), `F` the selector that `key_by` or `key_with` made.
#[must_use = "a stream that nothing reads is an error when the graph is built; pass it to an operator or call `.unkeyed().discard()`"]
pub struct Keyed<K: ?Sized, T, F> {
    pub(crate) stream: Stream<T>,
    pub(crate) select: F,
    key: PhantomData<fn() -> Box<K>>,
}

impl<K: ?Sized, T: Clone + Send + 'static, F: Clone> Clone for Keyed<K, T, F> {
    fn clone(&self) -> Self {
        Self { stream: self.stream.clone(), select: self.select.clone(), key: PhantomData }
    }
}

impl<K: ?Sized, T, F> Keyed<K, T, F> {
    /// The stream without its key.
    pub fn unkeyed(self) -> Stream<T> {
        self.stream
    }
}
