//! What each answer looks like on the wire, so that it can be walked through before it is decoded.
//!
//! `kafka-protocol` reserves room for as many elements as an array claims to have: four bytes of
//! nonsense would ask the system for hundreds of gigabytes. A walk that needs no memory proves first
//! that everything an answer counts is really there. What has no shape here is not decoded.
//!
//! Follows the message definitions of Apache Kafka (`clients/src/main/resources/common/message`), in
//! versions with compact lengths and tagged fields (KIP-482) unless said otherwise.

#![warn(clippy::disallowed_methods, reason = "no clock and no thread reaches what only decides or decodes")]

/// A field of an answer.
pub(super) enum Field {
    /// So many bytes: numbers, flags, uuids.
    Fixed(usize),
    /// Text or bytes with a compact length; 0 is null.
    Text,
    /// Any number of these, compact; 0 is null.
    List(&'static [Field]),
    /// Tagged fields; those listed are decoded by their fields, others skipped by their size.
    Tags(&'static [(u32, &'static [Field])]),
    /// Text with a length of two bytes.
    OldText,
    /// Any number of these, counted by four bytes.
    OldList(&'static [Field]),
}

use Field::{Fixed, List, OldList, OldText, Tags, Text};

type Shape = &'static [Field];

const END: Field = Tags(&[]);

/// The fields of an answer, by the request's key and version; `None` for those that are not asked for.
pub(super) fn of(key: i16, version: i16) -> Option<Shape> {
    Some(match (key, version) {
        (0, 9..=11) => PRODUCE,
        (1, 12) => FETCH,
        (2, 6..=7) => LIST_OFFSETS,
        (3, 11..=12) => METADATA,
        (10, 3) => FIND_COORDINATOR,
        (17, 1) => SASL_HANDSHAKE,
        (18, 3) => API_VERSIONS,
        (22, 2..=4) => INIT_PRODUCER_ID,
        (24, 3) => ADD_PARTITIONS,
        (26, 3..=4) => END_TRANSACTION,
        (32, 4) => CONFIGS,
        (36, 2) => SASL_AUTHENTICATE,
        (61, 0) => PRODUCERS,
        (65, 0) => TRANSACTIONS,
        (66, 0..=1) => TRANSACTION_LIST,
        _ => return None,
    })
}

const PRODUCE: Shape = &[
    List(&[
        Text, // topic
        List(&[
            // partition, error, first offset, append time, log start
            Fixed(4 + 2 + 8 + 8 + 8),
            List(&[Fixed(4), Text, END]), // records with errors
            Text,                         // message
            Tags(&[(0, LEADER)]),
        ]),
        END,
    ]),
    Fixed(4),                                                      // throttle time
    Tags(&[(0, &[List(&[Fixed(4), Text, Fixed(4), Text, END])])]), // nodes
];

const LEADER: Shape = &[Fixed(4 + 4), END];

const FETCH: Shape = &[
    Fixed(4 + 2 + 4), // throttle time, error, session
    List(&[
        Text, // topic
        List(&[
            // partition, error, high watermark, last stable offset, log start
            Fixed(4 + 2 + 8 + 8 + 8),
            List(&[Fixed(8 + 8), END]), // aborted transactions
            Fixed(4),                   // preferred replica
            Text,                       // records
            // diverging epoch, leader, snapshot
            Tags(&[(0, &[Fixed(4 + 8), END]), (1, LEADER), (2, &[Fixed(8 + 4), END])]),
        ]),
        END,
    ]),
    END,
];

const LIST_OFFSETS: Shape = &[
    Fixed(4),
    // partition, error, timestamp, offset, leader epoch
    List(&[Text, List(&[Fixed(4 + 2 + 8 + 8 + 4), END]), END]),
    END,
];

const METADATA: Shape = &[
    Fixed(4),
    List(&[Fixed(4), Text, Fixed(4), Text, END]), // brokers: id, host, port, rack
    Text,                                         // cluster
    Fixed(4),                                     // controller
    List(&[
        Fixed(2),      // error
        Text,          // name
        Fixed(16 + 1), // id, internal
        List(&[
            Fixed(2 + 4 + 4 + 4), // error, partition, leader, epoch
            List(&[Fixed(4)]),    // replicas
            List(&[Fixed(4)]),    // in sync
            List(&[Fixed(4)]),    // offline
            END,
        ]),
        Fixed(4), // operations
        END,
    ]),
    END,
];

const FIND_COORDINATOR: Shape = &[Fixed(4 + 2), Text, Fixed(4), Text, Fixed(4), END];

const SASL_HANDSHAKE: Shape = &[Fixed(2), OldList(&[OldText])];

const FEATURES: Shape = &[List(&[Text, Fixed(2 + 2), END])];

const API_VERSIONS: Shape = &[
    Fixed(2),
    List(&[Fixed(2 + 2 + 2), END]),
    Fixed(4),
    Tags(&[(0, FEATURES), (1, &[Fixed(8)]), (2, FEATURES), (3, &[Fixed(1)])]),
];

const INIT_PRODUCER_ID: Shape = &[Fixed(4 + 2 + 8 + 2), END];

const ADD_PARTITIONS: Shape = &[Fixed(4), List(&[Text, List(&[Fixed(4 + 2), END]), END]), END];

const END_TRANSACTION: Shape = &[Fixed(4 + 2), END];

const CONFIGS: Shape = &[
    Fixed(4),
    List(&[
        Fixed(2), // error
        Text,
        Fixed(1), // type of resource
        Text,
        List(&[
            Text,             // name
            Text,             // value
            Fixed(1 + 1 + 1), // read only, source, sensitive
            List(&[Text, Text, Fixed(1), END]),
            Fixed(1), // type
            Text,     // documentation
            END,
        ]),
        END,
    ]),
    END,
];

const SASL_AUTHENTICATE: Shape = &[Fixed(2), Text, Text, Fixed(8), END];

const PRODUCERS: Shape = &[
    Fixed(4),
    List(&[
        Text, // topic
        List(&[
            Fixed(4 + 2), // partition, error
            Text,         // message
            // producer, epoch, sequence, time, coordinator's epoch, first offset of its transaction
            List(&[Fixed(8 + 4 + 4 + 8 + 4 + 8), END]),
            END,
        ]),
        END,
    ]),
    END,
];

const TRANSACTIONS: Shape = &[
    Fixed(4),
    List(&[
        Fixed(2), // error
        Text,     // id
        Text,     // state
        // timeout, start, producer, epoch
        Fixed(4 + 8 + 8 + 2),
        List(&[Text, List(&[Fixed(4)]), END]),
        END,
    ]),
    END,
];

const TRANSACTION_LIST: Shape = &[Fixed(4 + 2), List(&[Text]), List(&[Text, Fixed(8), Text, END]), END];

/// Whether the bytes hold all that they count; returns what is left behind it.
pub(super) fn walk<'a>(shape: &[Field], mut bytes: &'a [u8]) -> Option<&'a [u8]> {
    for field in shape {
        bytes = match field {
            Fixed(length) => bytes.get(*length..)?,
            Text => {
                let (length, rest) = varint(bytes)?;
                rest.get((length as usize).saturating_sub(1)..)?
            }
            OldText => {
                let (length, rest) = bytes.split_first_chunk()?;
                // -1 is null.
                rest.get(usize::try_from(i16::from_be_bytes(*length)).unwrap_or(0)..)?
            }
            List(element) => {
                let (count, rest) = varint(bytes)?;
                elements(element, count.saturating_sub(1), rest)?
            }
            OldList(element) => {
                let (count, rest) = bytes.split_first_chunk()?;
                elements(element, u32::try_from(i32::from_be_bytes(*count)).unwrap_or(0), rest)?
            }
            Tags(known) => tags(known, bytes)?,
        };
    }
    Some(bytes)
}

/// Each element has a byte at least, so this ends with the bytes.
fn elements<'a>(element: &[Field], count: u32, mut bytes: &'a [u8]) -> Option<&'a [u8]> {
    for _ in 0..count {
        bytes = walk(element, bytes)?;
    }
    Some(bytes)
}

fn tags<'a>(known: &[(u32, Shape)], bytes: &'a [u8]) -> Option<&'a [u8]> {
    let (count, mut bytes) = varint(bytes)?;
    for _ in 0..count {
        let (tag, rest) = varint(bytes)?;
        let (size, rest) = varint(rest)?;
        bytes = match known.iter().find(|(name, _)| *name == tag) {
            Some((_, shape)) => walk(shape, rest)?,
            None => rest.get(size as usize..)?,
        };
    }
    Some(bytes)
}

/// Seven bits a byte, the least significant first.
fn varint(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(5).enumerate() {
        value |= u32::from(byte & 0x7f).checked_shl(7 * at as u32)?;
        if byte & 0x80 == 0 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests;
