//! [`State`] of the types of the standard library.
//!
//! Numbers are fixed-width little-endian; lengths are `u32`; maps and sets without an order are
//! written in the order of their encoded keys, so that equal states have equal bytes. Types that
//! differ only in how they are held in memory (`Vec` and `VecDeque`, `HashMap` and `BTreeMap`,
//! `Box<T>` and `T`) have one schema and one encoding.
//!
//! No decoder allocates by a length before it has seen the bytes.

use super::state::{Schema, State};
use crate::codec::{damaged, put_len, take, take_array, take_len};
use crate::error::Result;
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, Hash};
use std::time::Duration;

/// Memory is reserved for a list of claimed length up to so many bytes; the rest grows with what is read.
const RESERVE_BYTES: usize = 64 * 1024;

fn leaf(name: &str) -> Schema {
    Schema::Leaf(name.to_owned())
}

fn of(name: &str, parts: Vec<Schema>) -> Schema {
    Schema::Of(name.to_owned(), parts)
}

macro_rules! numbers {
    ($($number:ident)*) => {$(
        impl State for $number {
            fn schema() -> Schema {
                leaf(stringify!($number))
            }
            #[inline]
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            #[inline]
            fn decode(bytes: &mut &[u8]) -> Result<Self> {
                take_array(bytes).map(Self::from_le_bytes)
            }
        }
    )*};
}
numbers!(u16 u32 u64 u128 i8 i16 i32 i64 i128 f32 f64);

impl State for u8 {
    fn schema() -> Schema {
        leaf("u8")
    }
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }
    #[inline]
    fn decode(bytes: &mut &[u8]) -> Result<Self> {
        take_array(bytes).map(|[byte]| byte)
    }
    fn encode_all(items: &[Self], out: &mut Vec<u8>) {
        out.extend_from_slice(items);
    }
    fn decode_all(count: usize, bytes: &mut &[u8]) -> Result<Vec<Self>> {
        take(bytes, count).map(<[u8]>::to_vec)
    }
}

macro_rules! states {
    ($($type:ty, $schema:expr, $this:ident $out:ident => $encode:expr, $bytes:ident => $decode:expr;)*) => {$(
        impl State for $type {
            fn schema() -> Schema {
                $schema
            }
            fn encode(&self, $out: &mut Vec<u8>) {
                let $this = self;
                $encode
            }
            fn decode($bytes: &mut &[u8]) -> Result<Self> {
                $decode
            }
        }
    )*};
}
states! {
    usize, leaf("u64"), this out => (*this as u64).encode(out),
        bytes => usize::try_from(u64::decode(bytes)?).map_err(|_| damaged("a number too large for this machine"));
    isize, leaf("i64"), this out => (*this as i64).encode(out),
        bytes => isize::try_from(i64::decode(bytes)?).map_err(|_| damaged("a number too large for this machine"));
    bool, leaf("bool"), this out => out.push(u8::from(*this)),
        bytes => match u8::decode(bytes)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(damaged(format_args!("a bool of {other}"))),
        };
    char, leaf("char"), this out => u32::from(*this).encode(out),
        bytes => char::from_u32(u32::decode(bytes)?).ok_or_else(|| damaged("not a char"));
    (), leaf("()"), _this _out => {}, _bytes => Ok(());
    String, leaf("String"), this out => {
            put_len(out, this.len());
            out.extend_from_slice(this.as_bytes());
        },
        bytes => {
            let len = take_len(bytes)?;
            String::from_utf8(take(bytes, len)?.to_vec()).map_err(|error| damaged("not UTF-8").caused_by(error))
        };
    Duration, leaf("Duration"), this out => {
            this.as_secs().encode(out);
            this.subsec_nanos().encode(out);
        },
        bytes => match (u64::decode(bytes)?, u32::decode(bytes)?) {
            (seconds, nanos) if nanos < 1_000_000_000 => Ok(Duration::new(seconds, nanos)),
            _ => Err(damaged("a duration whose nanoseconds exceed a second")),
        };
    Timestamp, leaf("Timestamp"), this out => this.as_millis().encode(out), bytes => i64::decode(bytes).map(Timestamp::from_millis);
    uuid::Uuid, leaf("Uuid"), this out => out.extend_from_slice(this.as_bytes()), bytes => take_array(bytes).map(uuid::Uuid::from_bytes);
}

impl<T: State> State for Option<T> {
    fn schema() -> Schema {
        of("Option", vec![T::schema()])
    }
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_some()));
        if let Some(value) = self {
            value.encode(out);
        }
    }
    fn decode(bytes: &mut &[u8]) -> Result<Self> {
        Ok(if bool::decode(bytes)? { Some(T::decode(bytes)?) } else { None })
    }
}

impl<T: State> State for Box<T> {
    fn schema() -> Schema {
        T::schema()
    }
    fn encode(&self, out: &mut Vec<u8>) {
        (**self).encode(out);
    }
    fn decode(bytes: &mut &[u8]) -> Result<Self> {
        T::decode(bytes).map(Box::new)
    }
}

/// Decodes so many items, reserving no more than the bytes can hold.
pub(super) fn decode_items<T: State>(count: usize, bytes: &mut &[u8]) -> Result<Vec<T>> {
    let reserve = RESERVE_BYTES / size_of::<T>().max(1);
    let mut items = Vec::with_capacity(count.min(bytes.len()).min(reserve));
    for _ in 0..count {
        items.push(T::decode(bytes)?);
    }
    Ok(items)
}

impl<T: State> State for Vec<T> {
    fn schema() -> Schema {
        of("Vec", vec![T::schema()])
    }
    fn encode(&self, out: &mut Vec<u8>) {
        put_len(out, self.len());
        T::encode_all(self, out);
    }
    fn decode(bytes: &mut &[u8]) -> Result<Self> {
        let count = take_len(bytes)?;
        T::decode_all(count, bytes)
    }
}

impl<T: State> State for VecDeque<T> {
    fn schema() -> Schema {
        Vec::<T>::schema()
    }
    fn encode(&self, out: &mut Vec<u8>) {
        put_len(out, self.len());
        let (front, back) = self.as_slices();
        T::encode_all(front, out);
        T::encode_all(back, out);
    }
    fn decode(bytes: &mut &[u8]) -> Result<Self> {
        Vec::decode(bytes).map(Self::from)
    }
}

impl<T: State, const N: usize> State for [T; N] {
    fn schema() -> Schema {
        of(&format!("Array{N}"), vec![T::schema()])
    }
    fn encode(&self, out: &mut Vec<u8>) {
        T::encode_all(self, out);
    }
    fn decode(bytes: &mut &[u8]) -> Result<Self> {
        T::decode_all(N, bytes)?.try_into().map_err(|_| damaged("an array of another length"))
    }
}

/// Writes items of a collection without an order, in the order of their bytes.
fn encode_sorted<T>(items: impl ExactSizeIterator<Item = T>, out: &mut Vec<u8>, encode: impl Fn(T, &mut Vec<u8>)) {
    put_len(out, items.len());
    let mut bytes = Vec::new();
    let mut ends = Vec::with_capacity(items.len());
    for item in items {
        let start = bytes.len();
        encode(item, &mut bytes);
        ends.push(start..bytes.len());
    }
    // The key comes first and no key's bytes are the beginning of another's, so this is the keys' order.
    ends.sort_unstable_by(|a, b| bytes[a.clone()].cmp(&bytes[b.clone()]));
    for item in ends {
        out.extend_from_slice(&bytes[item]);
    }
}

fn decode_distinct<T: State, C: Extend<T>>(bytes: &mut &[u8], mut into: C, len: impl Fn(&C) -> usize) -> Result<C> {
    let count = take_len(bytes)?;
    for _ in 0..count {
        into.extend(Some(T::decode(bytes)?));
    }
    if len(&into) == count { Ok(into) } else { Err(damaged("a map or set that has a key twice")) }
}

impl<K: State + Ord, V: State> State for BTreeMap<K, V> {
    fn schema() -> Schema {
        of("Map", vec![K::schema(), V::schema()])
    }
    fn encode(&self, out: &mut Vec<u8>) {
        put_len(out, self.len());
        for (key, value) in self {
            key.encode(out);
            value.encode(out);
        }
    }
    fn decode(bytes: &mut &[u8]) -> Result<Self> {
        decode_distinct::<(K, V), _>(bytes, Self::new(), Self::len)
    }
}

impl<K: State + Hash + Eq, V: State, H: BuildHasher + Default + Clone + Send + 'static> State for HashMap<K, V, H> {
    fn schema() -> Schema {
        of("Map", vec![K::schema(), V::schema()])
    }
    fn encode(&self, out: &mut Vec<u8>) {
        encode_sorted(self.iter(), out, |(key, value), out| {
            key.encode(out);
            value.encode(out);
        });
    }
    fn decode(bytes: &mut &[u8]) -> Result<Self> {
        decode_distinct::<(K, V), _>(bytes, Self::default(), Self::len)
    }
}

impl<T: State + Ord> State for BTreeSet<T> {
    fn schema() -> Schema {
        of("Set", vec![T::schema()])
    }
    fn encode(&self, out: &mut Vec<u8>) {
        put_len(out, self.len());
        for item in self {
            item.encode(out);
        }
    }
    fn decode(bytes: &mut &[u8]) -> Result<Self> {
        decode_distinct::<T, _>(bytes, Self::new(), Self::len)
    }
}

impl<T: State + Hash + Eq, H: BuildHasher + Default + Clone + Send + 'static> State for HashSet<T, H> {
    fn schema() -> Schema {
        of("Set", vec![T::schema()])
    }
    fn encode(&self, out: &mut Vec<u8>) {
        encode_sorted(self.iter(), out, |item, out| item.encode(out));
    }
    fn decode(bytes: &mut &[u8]) -> Result<Self> {
        decode_distinct::<T, _>(bytes, Self::default(), Self::len)
    }
}

macro_rules! tuples {
    ($(($($part:ident $at:tt),+))*) => {$(
        impl<$($part: State),+> State for ($($part,)+) {
            fn schema() -> Schema {
                of("Tuple", vec![$($part::schema()),+])
            }
            fn encode(&self, out: &mut Vec<u8>) {
                $(self.$at.encode(out);)+
            }
            fn decode(bytes: &mut &[u8]) -> Result<Self> {
                Ok(($($part::decode(bytes)?,)+))
            }
        }
    )*};
}
tuples! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
}

#[cfg(test)]
mod tests;
