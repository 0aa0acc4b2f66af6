//! Keys: canonical bytes and a hash that never changes.
//!
//! `std::hash::Hash` is documented as not portable, so it never reaches a checkpoint: the hash here
//! is XXH3-64 (a published, frozen algorithm) of the key's canonical bytes.

use crate::codec::{put_sized, take_sized};
use std::borrow::Borrow;
use std::cell::Cell;
use xxhash_rust::xxh3::xxh3_64;

/// A type that streams can be keyed by.
///
/// Implemented for integers, `bool`, `char`, `str`, `String`, byte slices, vectors and arrays, `Uuid`,
/// and `Option`s and tuples (up to four parts) of these. Canonical bytes of different keys of one type differ; they and the hash are part of the
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
        SCRATCH.with(|scratch| {
            let mut bytes = scratch.take();
            bytes.clear();
            self.encode(&mut bytes);
            let hash = xxh3_64(&bytes);
            scratch.set(bytes);
            hash
        })
    }
}

thread_local! {
    /// Memory for the bytes of keys that are not bytes already, so that no record allocates. Taken
    /// and put back, not borrowed: an `encode` that asks for a hash in turn finds an empty one.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
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

/// Canonical bytes: 0 or 1.
impl Key for bool {
    fn type_name() -> String {
        "bool".into()
    }
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    fn decode(bytes: &[u8]) -> Option<bool> {
        match bytes {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }
    #[inline]
    fn frozen_hash(&self) -> u64 {
        xxh3_64(&[u8::from(*self)])
    }
}

/// Canonical bytes: the scalar value as little-endian `u32`.
impl Key for char {
    fn type_name() -> String {
        "char".into()
    }
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&u32::from(*self).to_le_bytes());
    }
    fn decode(bytes: &[u8]) -> Option<char> {
        char::from_u32(u32::from_le_bytes(bytes.try_into().ok()?))
    }
    #[inline]
    fn frozen_hash(&self) -> u64 {
        xxh3_64(&u32::from(*self).to_le_bytes())
    }
}

/// As `str`.
impl Key for String {
    fn type_name() -> String {
        str::type_name()
    }
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_str().encode(out);
    }
    fn decode(bytes: &[u8]) -> Option<String> {
        str::decode(bytes)
    }
    #[inline]
    fn frozen_hash(&self) -> u64 {
        self.as_str().frozen_hash()
    }
}

/// Canonical bytes: themselves.
impl Key for [u8] {
    fn type_name() -> String {
        "bytes".into()
    }
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
    fn decode(bytes: &[u8]) -> Option<Vec<u8>> {
        Some(bytes.to_vec())
    }
    #[inline]
    fn frozen_hash(&self) -> u64 {
        xxh3_64(self)
    }
}

/// As `[u8]`.
impl Key for Vec<u8> {
    fn type_name() -> String {
        <[u8]>::type_name()
    }
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_slice().encode(out);
    }
    fn decode(bytes: &[u8]) -> Option<Vec<u8>> {
        <[u8]>::decode(bytes)
    }
    #[inline]
    fn frozen_hash(&self) -> u64 {
        self.as_slice().frozen_hash()
    }
}

/// Canonical bytes: themselves.
impl<const N: usize> Key for [u8; N] {
    fn type_name() -> String {
        format!("[u8; {N}]")
    }
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
    fn decode(bytes: &[u8]) -> Option<[u8; N]> {
        bytes.try_into().ok()
    }
    #[inline]
    fn frozen_hash(&self) -> u64 {
        xxh3_64(self)
    }
}

/// Canonical bytes: the 16 of the UUID, in network order.
impl Key for uuid::Uuid {
    fn type_name() -> String {
        "Uuid".into()
    }
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }
    fn decode(bytes: &[u8]) -> Option<uuid::Uuid> {
        uuid::Uuid::from_slice(bytes).ok()
    }
    #[inline]
    fn frozen_hash(&self) -> u64 {
        xxh3_64(self.as_bytes())
    }
}

/// Canonical bytes: 0, or 1 and those of the key.
impl<K: Key + Clone + ToOwned<Owned = K>> Key for Option<K> {
    fn type_name() -> String {
        format!("Option<{}>", K::type_name())
    }
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_some()));
        if let Some(key) = self {
            key.encode(out);
        }
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0] => Some(None),
            [1, key @ ..] => K::decode(key).map(Some),
            _ => None,
        }
    }
}

macro_rules! tuple_keys {
    ($(($($part:ident $at:tt),+))*) => {$(
        /// Canonical bytes: those of each part, preceded by their number as little-endian `u32`.
        impl<$($part: Key + Clone + ToOwned<Owned = $part>),+> Key for ($($part,)+) {
            fn type_name() -> String {
                let mut name = String::from("(");
                $(name.push_str(&$part::type_name()); name.push_str(", ");)+
                name.truncate(name.len() - 2);
                name + ")"
            }
            fn encode(&self, out: &mut Vec<u8>) {
                $(put_sized(out, |out| self.$at.encode(out));)+
            }
            fn decode(mut bytes: &[u8]) -> Option<Self> {
                let key = ($($part::decode(take_sized(&mut bytes).ok()?)?,)+);
                bytes.is_empty().then_some(key)
            }
        }
    )*};
}
tuple_keys! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
}

#[cfg(test)]
mod tests;
