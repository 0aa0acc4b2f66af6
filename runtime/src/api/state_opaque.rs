//! How a type of another crate is kept as state: through serde, recorded by name only.
//!
//! `#[state(opaque)]` on a field calls these functions. What such a type looks like inside is not
//! recorded, so that a change of it is found when it is decoded, not before the job starts.

use super::state::Schema;
use crate::codec::{decode_serde, encode_serde, keep_failure};
use crate::error::Result;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Appends the value, with its length.
///
/// A type that cannot be written fails the snapshot for which it is encoded.
pub fn encode_opaque<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    if let Err(error) = encode_serde(value, out) {
        keep_failure(error);
    }
}

/// Decodes what [`encode_opaque`] wrote and moves `bytes` past it.
///
/// # Errors
/// [`ErrorKind::Checkpoint`](crate::ErrorKind::Checkpoint) when the bytes are not a value of this type.
pub fn decode_opaque<T: DeserializeOwned>(bytes: &mut &[u8]) -> Result<T> {
    decode_serde(bytes)
}

/// The type's name without the modules it lies in, which other crates may change.
#[must_use]
pub fn opaque_schema<T: ?Sized>() -> Schema {
    Schema::Leaf(format!("opaque {}", without_modules(std::any::type_name::<T>())))
}

fn without_modules(name: &str) -> String {
    let mut short = String::with_capacity(name.len());
    let mut word = 0;
    let mut colons = 0;
    for letter in name.chars() {
        if letter == ':' {
            colons += 1;
            if colons == 2 {
                short.truncate(word);
            }
            continue;
        }
        colons = 0;
        short.push(letter);
        if !letter.is_alphanumeric() && letter != '_' {
            word = short.len();
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_recorded_without_modules() {
        assert_eq!(without_modules("u64"), "u64");
        assert_eq!(without_modules("chrono::datetime::DateTime<chrono::offset::utc::Utc>"), "DateTime<Utc>");
        assert_eq!(without_modules("(alloc::vec::Vec<a::B>, [my_x::C; 3])"), "(Vec<B>, [C; 3])");
    }

    #[test]
    fn a_value_comes_back_and_a_failure_is_kept() {
        #[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
        struct Seen {
            names: Vec<String>,
            at: Option<i64>,
        }
        let seen = Seen { names: vec!["a".into(), "b".repeat(5000)], at: Some(-1) };
        let mut bytes = Vec::new();
        encode_opaque(&seen, &mut bytes);
        let whole = bytes.clone();
        bytes.push(7);
        let mut rest = &bytes[..];
        assert_eq!(decode_opaque::<Seen>(&mut rest).unwrap(), seen);
        assert_eq!(rest, [7]);
        for len in 0..whole.len() {
            assert!(decode_opaque::<Seen>(&mut &whole[..len]).is_err());
        }
        // A string that claims to be longer than anything there is.
        let mut huge = 8_u32.to_le_bytes().to_vec();
        huge.extend([0xFF; 8]);
        assert!(decode_opaque::<String>(&mut &huge[..]).is_err());

        struct Unwritable;
        impl Serialize for Unwritable {
            fn serialize<S: serde::Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap;
                to.serialize_map(None)?.end()
            }
        }
        encode_opaque(&Unwritable, &mut bytes);
        assert!(crate::codec::take_failure().unwrap().to_string().contains("derive `State`"));
    }
}
