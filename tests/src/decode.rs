//! Everything that reads bytes which somebody else may have damaged: what a broker answers, what a log
//! holds, what a checkpoint's files hold. Each takes any bytes, and must neither panic nor take more memory
//! than a multiple of them; what it makes of the bytes does not matter here.

use staunch::control::manifest::{Abandoned, Claim, Manifest, Slot, StoreIdentity};
use staunch::kafka::{KafkaCommittable, wire};

/// What a decoder may take besides a multiple of its input.
const ROOM: usize = 64 << 10;
/// The multiple: the smallest of an answer's parts takes a few bytes there, and a struct with several
/// lists here.
const MULTIPLE: usize = 256;

/// Whose store the seeds are from.
const IDENTITY: &str = r#"{"job": "word_count", "lineage": "a3521bb5-418e-47ef-b852-f276513512c6"}"#;

/// Reads any bytes.
pub type Decoder = fn(&[u8]);

/// The decoders by name, which is also that of the folder of their seeds and of the fuzz target.
pub const DECODERS: [(&str, Decoder); 4] =
    [("answer", answer), ("batches", batches), ("committable", committable), ("manifest", manifest)];

/// The memory that a decoder may take for so many bytes, both in bytes.
#[must_use]
pub const fn memory_max(bytes: usize) -> usize {
    ROOM + MULTIPLE * bytes
}

/// A broker's answer, behind one byte each for the key and the version of the request.
pub fn answer(bytes: &[u8]) {
    if let [key, version, frame @ ..] = bytes {
        let _ = wire::read_answer(i16::from(*key), i16::from(*version), frame);
    }
}

/// What a Fetch answer holds of a log.
pub fn batches(bytes: &[u8]) {
    let _ = wire::read_records(bytes);
    let _ = wire::read_headers(bytes);
}

/// A transaction in a manifest.
pub fn committable(bytes: &[u8]) {
    let _ = KafkaCommittable::all_from_bytes(bytes);
    let _ = KafkaCommittable::from_bytes(bytes);
}

/// A slot of the checkpoint log; and what may stand in one, as its checksum lets no damage through to there.
pub fn manifest(bytes: &[u8]) {
    let identity: StoreIdentity = serde_json::from_str(IDENTITY).expect("a job and a uuid");
    let _ = Slot::decode(bytes, &identity);
    let _ = serde_json::from_slice::<Manifest>(bytes);
    let _ = serde_json::from_slice::<Claim>(bytes);
    let _ = serde_json::from_slice::<Abandoned>(bytes);
}
