//! Keys: canonical bytes and a hash that never changes.
//!
//! `std::hash::Hash` is documented as not portable, so it never reaches a checkpoint: the hash here
//! is XXH3-64 (a published, frozen algorithm) of the key's canonical bytes.

use std::borrow::Borrow;
use xxhash_rust::xxh3::xxh3_64;

/// A type that streams can be keyed by.
///
/// Implemented for integers, `bool`, `char`, `str`, `String`, byte slices and vectors, and tuples of
/// these. Canonical bytes of different keys of one type differ; they and the hash are part of the
/// checkpoint format and must never change.
#[diagnostic::on_unimplemented(
    message = "a stream cannot be keyed by `{Self}`",
    label = "not a key type",
    note = "key by an integer, `bool`, `char`, `str`, `String`, `[u8]`, or a tuple of these, or implement `staunch::Key` for it"
)]
pub trait Key:
    ToOwned<Owned: Borrow<Self> + Ord + Clone + Send + std::fmt::Debug + 'static> + Eq + Ord + 'static
{
    /// The type's name in state layouts; two types with equal names have equal canonical bytes.
    fn type_name() -> String;

    /// Appends the canonical bytes.
    fn encode(&self, out: &mut Vec<u8>);

    /// The key with these canonical bytes, or `None` if they are not those of a key.
    fn decode(bytes: &[u8]) -> Option<Self::Owned>;

    /// The frozen hash: XXH3-64 of the canonical bytes.
    #[inline]
    fn frozen_hash(&self) -> u64 {
        let mut bytes = Vec::new();
        self.encode(&mut bytes);
        xxh3_64(&bytes)
    }
}

macro_rules! integer_keys {
    ($($int:ty),*) => {$(
        /// Canonical bytes: little-endian.
        impl Key for $int {
            fn type_name() -> String { stringify!($int).into() }
            fn encode(&self, out: &mut Vec<u8>) { out.extend_from_slice(&self.to_le_bytes()); }
            fn decode(bytes: &[u8]) -> Option<Self> { Some(Self::from_le_bytes(bytes.try_into().ok()?)) }
            #[inline]
            fn frozen_hash(&self) -> u64 { xxh3_64(&self.to_le_bytes()) }
        }
    )*};
}
integer_keys!(u8, u16, u32, u64, u128, i8, i16, i32, i64, i128);

/// The key of streams that are not keyed.
impl Key for () {
    fn type_name() -> String {
        "()".into()
    }
    fn encode(&self, _out: &mut Vec<u8>) {}
    fn decode(bytes: &[u8]) -> Option<()> {
        bytes.is_empty().then_some(())
    }
}

/// Canonical bytes: UTF-8.
impl Key for str {
    fn type_name() -> String {
        "str".into()
    }
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }
    fn decode(bytes: &[u8]) -> Option<String> {
        String::from_utf8(bytes.to_vec()).ok()
    }
    #[inline]
    fn frozen_hash(&self) -> u64 {
        xxh3_64(self.as_bytes())
    }
}
