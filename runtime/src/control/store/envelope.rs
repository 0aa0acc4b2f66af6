//! What surrounds a blob on a disk: magic, version, checksum, length.
//!
//! A manifest names each blob's checksum too; this one makes a blob checkable on its own. Must not know
//! what is inside.

use crate::error::{Error, ErrorKind, Result};

const MAGIC: &[u8; 8] = b"stnchblb";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 24;

/// The header of a blob with this content: what precedes it in the file.
pub(super) fn header(content: &[u8]) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[12..16].copy_from_slice(&crc32fast::hash(content).to_le_bytes());
    header[16..].copy_from_slice(&(content.len() as u64).to_le_bytes());
    header
}

/// Takes the header off and checks the content.
pub(super) fn open(name: &str, mut bytes: Vec<u8>) -> Result<Vec<u8>> {
    let refuse = |reason: String| {
        let advice = "check the disk; bring the file back from a backup, or go on from another checkpoint with `--restore <slot>`";
        Err(Error::new(ErrorKind::Checkpoint, format!("state blob `{name}` {reason}; {advice}")))
    };
    if bytes.len() < HEADER_BYTES {
        return refuse(format!("is cut off: it has {} bytes", bytes.len()));
    }
    if &bytes[..8] != MAGIC {
        return refuse("is not a file of staunch".to_owned());
    }
    let version = bytes[8..12].iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
    if version != VERSION {
        return refuse(format!("is of format {version}, this build reads {VERSION}"));
    }
    let length = bytes[16..24].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
    let expected = header(&bytes[HEADER_BYTES..]);
    if length != (bytes.len() - HEADER_BYTES) as u64 {
        return refuse(format!("has {} bytes of content instead of {length}", bytes.len() - HEADER_BYTES));
    }
    if bytes[..HEADER_BYTES] != expected {
        return refuse("is damaged: its checksum does not fit".to_owned());
    }
    bytes.drain(..HEADER_BYTES);
    Ok(bytes)
}
