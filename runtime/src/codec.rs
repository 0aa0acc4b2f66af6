//! Bytes in and out: the bounds checks of everything that decodes, and the one place that names
//! the serialisation crate.
//!
//! Checkpoints are written with fixed-width little-endian numbers: several times faster in bulk
//! than variable-width ones, and readable in a hex dump. Whoever changes the configuration here
//! changes the checkpoint format.
//!
//! Must not know: what is encoded, nor where the bytes go.

use crate::error::{Error, ErrorKind, Result};
use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::Cell;

/// A checkpoint whose bytes are not what was written.
pub(crate) fn damaged(what: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::Checkpoint,
        format!("damaged checkpoint: {what}; restore an older checkpoint or a copy of this one"),
    )
}

/// Takes the first `count` bytes.
#[inline]
pub(crate) fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Result<&'a [u8]> {
    match bytes.split_at_checked(count) {
        Some((taken, rest)) => {
            *bytes = rest;
            Ok(taken)
        }
        None => Err(damaged(format_args!("{count} bytes expected, {} left", bytes.len()))),
    }
}

/// Takes the first `N` bytes as an array.
#[inline]
pub(crate) fn take_array<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N]> {
    match bytes.split_first_chunk::<N>() {
        Some((taken, rest)) => {
            *bytes = rest;
            Ok(*taken)
        }
        None => Err(damaged(format_args!("{N} bytes expected, {} left", bytes.len()))),
    }
}

/// Takes a `u32`.
#[inline]
pub(crate) fn take_u32(bytes: &mut &[u8]) -> Result<u32> {
    take_array(bytes).map(u32::from_le_bytes)
}

/// Takes a `u64`.
#[inline]
pub(crate) fn take_u64(bytes: &mut &[u8]) -> Result<u64> {
    take_array(bytes).map(u64::from_le_bytes)
}

/// Appends a length as `u32`.
#[inline]
pub(crate) fn put_len(out: &mut Vec<u8>, len: usize) {
    // What is longer cannot be read again, and is not written either: a snapshot refuses states of 4 GiB.
    out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
}

/// Takes what [`put_len`] wrote. The caller must not allocate by it before it has seen the bytes.
#[inline]
pub(crate) fn take_len(bytes: &mut &[u8]) -> Result<usize> {
    Ok(take_u32(bytes)? as usize)
}

/// Appends what `write` appends, preceded by its length as `u32`; returns whether it fits.
#[inline]
pub(crate) fn put_sized(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> bool {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    let len = u32::try_from(out.len() - at - 4);
    out[at..at + 4].copy_from_slice(&len.unwrap_or(u32::MAX).to_le_bytes());
    len.is_ok()
}

/// Takes what [`put_sized`] wrote.
#[inline]
pub(crate) fn take_sized<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8]> {
    let len = take_len(bytes)?;
    take(bytes, len)
}

type Config<L> = Configuration<LittleEndian, Fixint, L>;

fn config() -> Config<bincode::config::NoLimit> {
    bincode::config::standard().with_little_endian().with_fixed_int_encoding()
}

/// Appends a value through serde, with its length.
pub(crate) fn encode_serde<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<()> {
    let mut result = Ok(0);
    let fits = put_sized(out, |out| result = bincode::serde::encode_into_std_write(value, out, config()));
    let name = std::any::type_name::<T>();
    match result {
        Ok(_) if fits => Ok(()),
        Ok(_) => Err(Error::new(ErrorKind::State, format!("a value of `{name}` takes more than 4 GiB; keep less per key"))),
        Err(error) => Err(Error::new(
            ErrorKind::State,
            format!("`{name}` cannot be written through serde (attributes such as `flatten` and `untagged` do not work); derive `State` for it instead"),
        )
        .caused_by(error)),
    }
}

/// Decodes what [`encode_serde`] wrote and moves `bytes` past it.
pub(crate) fn decode_serde<T: DeserializeOwned>(bytes: &mut &[u8]) -> Result<T> {
    let value = take_sized(bytes)?;
    // The decoder allocates by the lengths it reads, so it gets a limit: a constant of its type,
    // hence steps. A value's limit is at least four times its bytes.
    match value.len() {
        0..=0x1000 => decode_limited::<T, 0x4000>(value),
        0x1001..=0x10_0000 => decode_limited::<T, 0x40_0000>(value),
        0x10_0001..=0x1000_0000 => decode_limited::<T, 0x4000_0000>(value),
        _ => decode_limited::<T, { usize::MAX >> 4 }>(value),
    }
}

fn decode_limited<T: DeserializeOwned, const BYTES: usize>(value: &[u8]) -> Result<T> {
    let config: Config<Limit<BYTES>> = config().with_limit::<BYTES>();
    let name = std::any::type_name::<T>();
    let (decoded, read) = bincode::serde::decode_from_slice(value, config)
        .map_err(|error| damaged(format_args!("not a value of `{name}`")).caused_by(error))?;
    if read != value.len() {
        return Err(damaged(format_args!("{} bytes left over after a value of `{name}`", value.len() - read)));
    }
    Ok(decoded)
}

thread_local! {
    /// What went wrong in an encoding that has no way to say so: [`State::encode`](crate::State::encode).
    static FAILURE: Cell<Option<Error>> = const { Cell::new(None) };
}

/// Keeps the error for [`take_failure`], which whoever encodes on this thread asks before using the bytes.
pub(crate) fn keep_failure(error: Error) {
    FAILURE.set(Some(error));
}

/// The last error of an encoding on this thread, once.
pub(crate) fn take_failure() -> Option<Error> {
    FAILURE.take()
}
