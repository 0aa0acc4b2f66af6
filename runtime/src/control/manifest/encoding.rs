//! The text of a slot: one header line, then readable JSON.
//!
//! ```text
//! staunch manifest v1 crc32=5d0c4c1e length=412
//! { "job": "totals", … }
//! ```
//!
//! The checksum covers the header's other fields as well, so that no flipped bit passes. Reading tells
//! apart what a person has to treat differently: a file that was cut off, one that was damaged, one
//! that is not ours, one that a newer build wrote. Must never panic, whatever the bytes.

use super::{Abandoned, Claim, Manifest, Slot, StoreIdentity};
use crate::error::{Error, ErrorKind, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;

/// The version of the format that this build writes, and the only one that it reads.
pub const FORMAT_VERSION: u32 = 1;

const MAGIC: &str = "staunch ";
/// No header is longer; bounds the search for its end in a foreign file.
const HEADER_BYTES_MAX: usize = 128;

/// Why bytes could not be read as a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unreadable {
    /// Empty, or cut off: a copy or a disk that lost its end. The store itself never leaves such a file.
    HalfWritten(String),
    /// Complete in form, but its bytes have changed.
    Corrupt(String),
    /// Not a file of this program.
    Foreign,
    /// Written by a newer version.
    Newer(u32),
    /// Belongs to another job or another store.
    OtherStore(String),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HalfWritten(detail) => write!(f, "half-written: {detail}"),
            Self::Corrupt(detail) => write!(f, "damaged: {detail}"),
            Self::Foreign => f.write_str("not a file of staunch"),
            Self::Newer(version) => {
                write!(f, "written in format {version} by a newer build (this one reads {FORMAT_VERSION})")
            }
            Self::OtherStore(detail) => write!(f, "of another store: {detail}"),
        }
    }
}

impl Unreadable {
    /// The error for a slot (or another named place) that had to be read.
    #[must_use]
    pub fn at(&self, place: impl fmt::Display) -> Error {
        let advice = match self {
            Self::HalfWritten(_) => {
                "the file was copied incompletely or the disk lost its end; bring it back from a backup, or choose another checkpoint with `--restore <slot>`"
            }
            Self::Corrupt(_) => {
                "check the disk; bring the file back from a backup, or choose another checkpoint with `--restore <slot>`"
            }
            Self::Foreign => "move the file away, or point the job at its own checkpoint directory",
            Self::Newer(_) => "run the newer build again, or restore a checkpoint that this one wrote",
            Self::OtherStore(_) => "checkpoints of two jobs were mixed up: give each job a directory of its own",
        };
        Error::new(ErrorKind::Checkpoint, format!("{place} is {self}; {advice}"))
    }
}

impl Slot {
    /// The slot's bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when a value cannot be written as JSON.
    pub fn encode(&self) -> Result<Vec<u8>> {
        match self {
            Self::Claim(claim) => encode("claim", claim),
            Self::Manifest(manifest) => encode("manifest", manifest),
            Self::Abandoned(abandoned) => encode("abandoned", abandoned),
        }
    }

    /// Reads what [`Slot::encode`] wrote, and checks that it belongs to this store.
    ///
    /// # Errors
    /// Why it cannot be read; [`Unreadable::at`] makes an error of it.
    pub fn decode(bytes: &[u8], identity: &StoreIdentity) -> Result<Self, Unreadable> {
        let (kind, body) = open(bytes)?;
        let slot = match kind {
            "claim" => Self::Claim(json::<Claim>(body)?),
            "manifest" => Self::Manifest(json::<Manifest>(body)?),
            "abandoned" => Self::Abandoned(json::<Abandoned>(body)?),
            other => return Err(Unreadable::Corrupt(format!("a slot cannot hold `{other}`"))),
        };
        if slot.identity() != identity {
            return Err(Unreadable::OtherStore(format!("it is of {}, the store of {identity}", slot.identity())));
        }
        Ok(slot)
    }
}

/// The text that says whose store it is.
pub(crate) fn encode_identity(identity: &StoreIdentity) -> Result<Vec<u8>> {
    encode("store", identity)
}

/// Reads what [`encode_identity`] wrote.
pub(crate) fn decode_identity(bytes: &[u8]) -> Result<StoreIdentity, Unreadable> {
    match open(bytes)? {
        ("store", body) => json(body),
        (other, _) => Err(Unreadable::Corrupt(format!("a store's identity was expected, not `{other}`"))),
    }
}

fn encode(kind: &str, value: &impl Serialize) -> Result<Vec<u8>> {
    let mut body = serde_json::to_vec_pretty(value).map_err(|error| {
        Error::new(ErrorKind::Internal, format!("a {kind} cannot be written as JSON")).caused_by(error)
    })?;
    body.push(b'\n');
    let version = format!("v{FORMAT_VERSION}");
    let length = format!("length={}", body.len());
    let crc32 = checksum(kind, &version, &length, &body);
    let mut bytes = format!("{MAGIC}{kind} {version} crc32={crc32:08x} {length}\n").into_bytes();
    bytes.append(&mut body);
    Ok(bytes)
}

/// Checks the header and returns the kind and the body.
fn open(bytes: &[u8]) -> Result<(&str, &[u8]), Unreadable> {
    if bytes.iter().all(|byte| *byte == 0) {
        // What some file systems leave when power fails before the data is on disk.
        return Err(Unreadable::HalfWritten(format!("{} bytes, all zero", bytes.len())));
    }
    let shared = bytes.len().min(MAGIC.len());
    if bytes[..shared] != MAGIC.as_bytes()[..shared] {
        return Err(Unreadable::Foreign);
    }
    let head = &bytes[..bytes.len().min(HEADER_BYTES_MAX)];
    let Some(end) = head.iter().position(|byte| *byte == b'\n') else {
        return Err(if bytes.len() < HEADER_BYTES_MAX {
            Unreadable::HalfWritten("it ends within its first line".to_owned())
        } else {
            Unreadable::Corrupt("its first line does not end".to_owned())
        });
    };
    let header =
        std::str::from_utf8(&head[..end]).map_err(|_| Unreadable::Corrupt("its first line is not text".to_owned()))?;
    let fields: Vec<&str> = header.split(' ').collect();
    let [_, kind, version, crc32, length] = fields[..] else {
        return Err(Unreadable::Corrupt(format!("its first line is `{header}`")));
    };
    check_version(version)?;
    let body = &bytes[end + 1..];
    let expected: u64 = field(length, "length=")?;
    if (body.len() as u64) < expected {
        return Err(Unreadable::HalfWritten(format!("{} bytes of {expected}", body.len())));
    }
    if body.len() as u64 > expected {
        return Err(Unreadable::Corrupt(format!("{} bytes instead of {expected}", body.len())));
    }
    let found = format!("crc32={:08x}", checksum(kind, version, length, body));
    if found != crc32 {
        return Err(Unreadable::Corrupt(format!("its checksum is `{found}`, its first line says `{crc32}`")));
    }
    Ok((kind, body))
}

fn check_version(version: &str) -> Result<(), Unreadable> {
    match field(version, "v")? {
        FORMAT_VERSION => Ok(()),
        newer if newer > FORMAT_VERSION => Err(Unreadable::Newer(newer)),
        older => Err(Unreadable::Corrupt(format!("there is no format {older}"))),
    }
}

fn field<T: std::str::FromStr>(text: &str, prefix: &str) -> Result<T, Unreadable> {
    text.strip_prefix(prefix)
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| Unreadable::Corrupt(format!("its first line has `{text}` where `{prefix}…` belongs")))
}

fn checksum(kind: &str, version: &str, length: &str, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(format!("{kind} {version} {length}\n").as_bytes());
    hasher.update(body);
    hasher.finalize()
}

fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Unreadable> {
    // The checksum held, so this is a file that another program, or another build, wrote on purpose.
    serde_json::from_slice(body).map_err(|error| Unreadable::Corrupt(format!("its content does not fit: {error}")))
}
