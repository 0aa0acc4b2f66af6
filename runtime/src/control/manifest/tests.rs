use super::*;
use serde_json::json;

pub(crate) fn identity() -> StoreIdentity {
    StoreIdentity { job: "totals".into(), lineage: Uuid::from_u128(7) }
}

fn manifest() -> Manifest {
    let schema = Schema::Struct("Count".into(), vec![("n".into(), Schema::Leaf("u64".into()))]);
    Manifest {
        identity: identity(),
        attempt: Uuid::from_u128(8),
        published_ms: 1_000,
        cut: Cut {
            epoch: Epoch(3),
            kind: CheckpointKind::Checkpoint,
            triggered_ms: 900,
            workers: 2,
            sources: vec![SourceCut {
                id: "orders".into(),
                splits: vec![SplitPosition { split: "0".into(), position: json!({ "offset": 17 }), finished: false }],
                finished: false,
            }],
            operators: vec![OperatorCut {
                id: "count".into(),
                layout: StateLayout::new("String", schema, true, false),
                watermarks: vec![Timestamp::MIN, Timestamp::MAX],
                parts: vec![StatePart::of(1, 16_384..32_768, "b".into(), b"state", 4)],
            }],
            committables: vec![
                Committable { participant: "kafka".into(), epoch: Epoch(3), bytes: vec![0xff, 0] },
                Committable { participant: "files".into(), epoch: Epoch(3), bytes: b"text".to_vec() },
            ],
        },
    }
}

fn slots() -> [Slot; 3] {
    [
        Slot::Claim(Claim {
            identity: identity(),
            attempt: Uuid::from_u128(8),
            restored_slot: Some(4),
            restored_epoch: Some(Epoch(2)),
            chosen: false,
            claimed_ms: 800,
            info: "host, pid 1".into(),
        }),
        Slot::Manifest(manifest()),
        Slot::Abandoned(Abandoned {
            identity: identity(),
            attempt: Uuid::from_u128(8),
            epoch: Epoch(3),
            abandoned_ms: 801,
            reason: "disk full".into(),
        }),
    ]
}

#[test]
fn every_slot_reads_back_as_written() {
    for slot in slots() {
        let bytes = slot.encode().unwrap();
        assert_eq!(Slot::decode(&bytes, &identity()).unwrap(), slot);
        assert!(bytes.starts_with(b"staunch "));
    }
    let bytes = encode_identity(&identity()).unwrap();
    assert_eq!(decode_identity(&bytes).unwrap(), identity());
}

#[test]
fn no_truncation_passes() {
    for slot in slots() {
        let bytes = slot.encode().unwrap();
        for length in 0..bytes.len() {
            let refused = Slot::decode(&bytes[..length], &identity()).unwrap_err();
            assert!(matches!(refused, Unreadable::HalfWritten(_)), "{length}: {refused}");
        }
    }
}

#[test]
fn no_flipped_bit_passes() {
    for slot in slots() {
        let bytes = slot.encode().unwrap();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                assert!(Slot::decode(&flipped, &identity()).is_err(), "bit {bit} of byte {at}");
            }
        }
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_panic(tail in proptest::collection::vec(proptest::num::u8::ANY, 0..200), cut in 0..60usize) {
        let bytes = slots()[1].encode().unwrap();
        let mixed = [&bytes[..cut], &tail[..]].concat();
        proptest::prop_assert!(Slot::decode(&mixed, &identity()).is_err());
        proptest::prop_assert!(Slot::decode(&tail, &identity()).is_err());
        let _ = decode_identity(&mixed);
    }
}

#[test]
fn each_reason_is_told_apart_and_says_what_to_do() {
    let bytes = slots()[1].encode().unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    let other = StoreIdentity { job: "other".into(), ..identity() };
    let zeros = [0; 40];
    let newer = text.replacen(" v1 ", " v2 ", 1);
    let changed = text.replacen("orders", "0rders", 1);
    let longer = format!("{text}x");
    let cases: [(&[u8], &StoreIdentity, &str); 7] = [
        (b"", &identity(), "half-written"),
        (&zeros, &identity(), "all zero"),
        (b"#!/bin/sh\n", &identity(), "move the file away"),
        (newer.as_bytes(), &identity(), "newer build"),
        (changed.as_bytes(), &identity(), "checksum"),
        (longer.as_bytes(), &identity(), "instead of"),
        (&bytes, &other, "a directory of its own"),
    ];
    for (bytes, identity, expected) in cases {
        let error = Slot::decode(bytes, identity).unwrap_err().at("slot 4");
        assert_eq!(error.kind(), ErrorKind::Checkpoint);
        assert!(error.message().starts_with("slot 4 is ") && error.message().contains(expected), "{error}");
    }
}

#[test]
fn a_blob_that_is_not_the_one_written_is_refused() {
    let part = StatePart::of(0, 0..10, "b".into(), b"state", 1);
    assert!(part.check(b"state").is_ok());
    for other in [&b"stat"[..], b"stale"] {
        assert_eq!(part.check(other).unwrap_err().kind(), ErrorKind::Checkpoint);
    }
}

#[test]
fn a_layout_is_compared_by_its_parts_not_its_text() {
    let layout = StateLayout::new("u64", Schema::Leaf("u32".into()), true, true);
    assert_eq!(layout.text, "u64 -> u32, event and processing timers");
    assert!(layout.reads(&StateLayout { text: "older wording".into(), ..layout.clone() }));
    assert!(!layout.reads(&StateLayout::new("u64", Schema::Leaf("u32".into()), true, false)));
    assert!(!layout.reads(&StateLayout::new("u64", Schema::Leaf("u64".into()), true, true)));
}

fn fields(fields: &[(&str, &str)]) -> Vec<(String, Schema)> {
    fields.iter().map(|(name, leaf)| ((*name).to_owned(), Schema::Leaf((*leaf).to_owned()))).collect()
}

#[test]
fn what_differs_between_two_layouts_is_said_by_field() {
    let user = |list| Schema::Of("Vec".into(), vec![Schema::Struct("User".into(), fields(list))]);
    let kind = |variants: &[(&str, &str)]| {
        Schema::Enum(
            "Kind".into(),
            variants.iter().map(|(name, leaf)| ((*name).into(), fields(&[("0", leaf)]))).collect(),
        )
    };
    let row = |users, kind, timers| {
        let state = Schema::Struct("Row".into(), vec![("users".into(), users), ("kind".into(), kind)]);
        StateLayout::new("str", state, timers, !timers)
    };
    let then = row(user(&[("id", "u32"), ("name", "String")]), kind(&[("A", "u8"), ("B", "u8")]), true);
    let now = row(user(&[("id", "u64"), ("mail", "String")]), kind(&[("A", "u16"), ("C", "u8")]), false);
    let differences = now.differences(&then);
    let expected = [
        "`state.users.Vec.id` is u64, and was u32",
        "the field `state.users.Vec.mail` is new",
        "the field `state.users.Vec.name` is gone",
        "`state.kind.A.0` is u16, and was u8",
        "the variant `state.kind.C` is new",
        "the variant `state.kind.B` is gone",
        "it has no event-time timers, and had some",
        "it has processing-time timers, and had none",
    ];
    assert_eq!(differences, expected);
    assert_eq!(now.differences(&now), [""; 0]);

    let moved = row(user(&[("name", "String"), ("id", "u32")]), kind(&[("A", "u8"), ("B", "u8")]), true);
    assert_eq!(moved.differences(&then), ["the fields of `state.users.Vec` stand in another order"]);
    let other = StateLayout::new("u64", Schema::Leaf("u8".into()), true, false);
    let expected = ["the key is `u64`, and was `str`", &format!("`state` is u8, and was {}", then.state)];
    assert_eq!(other.differences(&then), expected);
    for (one, another) in [(&now, &then), (&moved, &then), (&other, &then), (&then, &then)] {
        assert_eq!(one.reads(another), one.differences(another).is_empty());
    }
}
