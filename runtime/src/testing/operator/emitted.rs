//! One output of an operator under test.

use crate::data::outputs::Bucket;
use crate::time::Timestamp;
use std::fmt::{Debug, Write};

/// What one output of an operator has emitted and nobody has taken: returned by the harness's `out()`, or
/// by `out_name()` for the output `name`.
///
/// What is read is taken: it is not there a second time.
pub struct Emitted<'a, T> {
    bucket: &'a Bucket<T>,
    operator: &'static str,
    output: &'static str,
}

impl<'a, T> Emitted<'a, T> {
    pub(super) fn new(bucket: &'a Bucket<T>, operator: &'static str, output: &'static str) -> Self {
        Self { bucket, operator, output }
    }

    /// How many records wait to be taken.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bucket.records().len()
    }

    /// Whether there is nothing to take.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes all records.
    #[must_use = "what is taken is gone"]
    pub fn take(&self) -> Vec<T> {
        self.take_timed().into_iter().map(|(record, _)| record).collect()
    }

    /// Takes all records with their event times.
    #[must_use = "what is taken is gone"]
    pub fn take_timed(&self) -> Vec<(T, Timestamp)> {
        std::mem::take(&mut *self.bucket.records())
    }

    /// Takes the oldest record.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    pub fn take_next(&self) -> T {
        let mut records = self.bucket.records();
        assert!(!records.is_empty(), "{}: nothing was emitted", self.place());
        records.remove(0).0
    }

    /// Takes all records, which have to be these, in this order.
    ///
    /// # Panics
    /// If they are not; both lists are printed, with a mark at each difference.
    #[track_caller]
    pub fn expect<E>(&self, expected: impl IntoIterator<Item = E>)
    where
        T: PartialEq<E> + Debug,
        E: Debug,
    {
        self.compare(&self.take(), &expected.into_iter().collect::<Vec<_>>(), PartialEq::eq);
    }

    /// As [`expect`](Self::expect), with the records' event times.
    ///
    /// # Panics
    /// As there.
    #[track_caller]
    pub fn expect_timed<E>(&self, expected: impl IntoIterator<Item = (E, Timestamp)>)
    where
        T: PartialEq<E> + Debug,
        E: Debug,
    {
        let expected: Vec<_> = expected.into_iter().collect();
        self.compare(&self.take_timed(), &expected, |(record, time), (other, at)| record == other && time == at);
    }

    /// There must be nothing to take.
    ///
    /// # Panics
    /// If there is something, which is printed.
    #[track_caller]
    pub fn expect_none(&self)
    where
        T: Debug,
    {
        let emitted = self.take();
        assert!(emitted.is_empty(), "{}: nothing was expected, emitted: {emitted:#?}", self.place());
    }

    fn place(&self) -> String {
        format!("operator `{}`, output `{}`", self.operator, self.output)
    }

    #[track_caller]
    fn compare<A: Debug, E: Debug>(&self, emitted: &[A], expected: &[E], same: impl Fn(&A, &E) -> bool) {
        let rows = 0..emitted.len().max(expected.len());
        let equal = |at: usize| match (emitted.get(at), expected.get(at)) {
            (Some(emitted), Some(expected)) => same(emitted, expected),
            _ => false,
        };
        if rows.clone().all(equal) {
            return;
        }
        let (place, count, wanted) = (self.place(), emitted.len(), expected.len());
        let mut text = format!("{place}: {count} emitted, {wanted} expected");
        for at in rows {
            // Writing to a string cannot fail.
            let _ = match (emitted.get(at), expected.get(at)) {
                (Some(emitted), Some(expected)) if same(emitted, expected) => write!(text, "\n    {emitted:?}"),
                (Some(emitted), Some(expected)) => write!(text, "\n  ! {emitted:?}\n    expected {expected:?}"),
                (Some(emitted), None) => write!(text, "\n  ! {emitted:?}\n    expected nothing more"),
                (None, Some(expected)) => write!(text, "\n  ! nothing more\n    expected {expected:?}"),
                (None, None) => Ok(()),
            };
        }
        panic!("{text}");
    }
}
