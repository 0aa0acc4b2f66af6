//! The manifest (to be written in full).

/// Bytes as text where they are UTF-8, else as hexadecimal.
pub mod readable_bytes {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Readable {
        Text(String),
        Hex(String),
    }

    /// Writes bytes readably.
    pub fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Readable::Text(text.to_owned()).serialize(to),
            Err(_) => Readable::Hex(bytes.iter().map(|byte| format!("{byte:02x}")).collect()).serialize(to),
        }
    }

    /// Reads what [`serialize`] wrote.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        match Readable::deserialize(from)? {
            Readable::Text(text) => Ok(text.into_bytes()),
            Readable::Hex(hex) => (0..hex.len())
                .step_by(2)
                .map(|at| hex.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
                .collect::<Option<_>>()
                .ok_or_else(|| serde::de::Error::custom("not hexadecimal")),
        }
    }
}

/// Why a checkpoint is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckpointKind {
    /// Because its time has come.
    Checkpoint,
    /// Because someone asked for one to keep.
    Savepoint,
    /// Because the job is to stop and go on later.
    Suspend,
    /// Because all bounded input has been read: the job is done.
    End,
}
