use super::*;
use proptest::prelude::*;
use uuid::Uuid;

fn bytes<K: Key + ?Sized>(key: &K) -> Vec<u8> {
    let mut out = Vec::new();
    key.encode(&mut out);
    out
}

/// Canonical bytes and hash are in every checkpoint: these expectations may be added to, never changed.
#[track_caller]
fn golden<K: Key + ?Sized>(key: &K, name: &str, canonical: &[u8], hash: u64) {
    assert_eq!(K::type_name(), name);
    assert_eq!(bytes(key), canonical);
    assert_eq!(key.frozen_hash(), hash, "{:#018x}", key.frozen_hash());
    assert_eq!(xxh3_64(canonical), hash);
    assert!(K::decode(canonical).unwrap().borrow() == key);
}

#[test]
fn canonical_bytes_and_hashes_never_change() {
    golden(&(), "()", &[], 0x2d06_8005_38d3_94c2);
    golden(&1_u8, "u8", &[1], 0xe12e_f9d2_eb86_ceeb);
    golden(&0x0102_u16, "u16", &[2, 1], 0x66e9_c4aa_7c53_ef78);
    golden(&-1_i32, "i32", &[0xFF; 4], 0xcd6b_1c92_0d3f_662c);
    golden(&42_u64, "u64", &[42, 0, 0, 0, 0, 0, 0, 0], 0xd5a6_f8c8_38df_27c8);
    golden(&-2_i64, "i64", &[0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], 0x77f9_9232_1730_1859);
    golden(&1_u128, "u128", &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 0x26f2_a114_8cf5_2011);
    golden(&true, "bool", &[1], 0xe12e_f9d2_eb86_ceeb);
    golden(&'ß', "char", &[0xDF, 0, 0, 0], 0x4b26_0a42_388c_5521);
    golden("", "str", b"", 0x2d06_8005_38d3_94c2);
    golden("key", "str", b"key", 0xbbea_0d63_a051_65e3);
    golden(&String::from("key"), "str", b"key", 0xbbea_0d63_a051_65e3);
    golden(&[1_u8, 2, 3][..], "bytes", &[1, 2, 3], 0xebce_9b76_32ae_733b);
    golden(&vec![1_u8, 2, 3], "bytes", &[1, 2, 3], 0xebce_9b76_32ae_733b);
    golden(&[1_u8, 2, 3], "[u8; 3]", &[1, 2, 3], 0xebce_9b76_32ae_733b);
    golden(&Uuid::from_u128(1), "Uuid", &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 0x4152_418f_75dd_93bb);
    golden(&None::<u8>, "Option<u8>", &[0], 0xc44b_dff4_074e_ecdb);
    golden(&Some(7_u8), "Option<u8>", &[1, 7], 0x869e_23d5_8dc6_2d16);
    golden(&(7_u8,), "(u8)", &[1, 0, 0, 0, 7], 0xeb93_e33e_c826_e1d0);
    golden(&(String::from("a"), 2_u16), "(str, u16)", &[1, 0, 0, 0, b'a', 2, 0, 0, 0, 2, 0], 0x8f21_bab9_df43_3d18);
    golden(
        &(true, (1_u8, 2_u8), 'a', Vec::from(b"xy")),
        "(bool, (u8, u8), char, bytes)",
        &[1, 0, 0, 0, 1, 10, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0, 2, 4, 0, 0, 0, b'a', 0, 0, 0, 2, 0, 0, 0, b'x', b'y'],
        0xc472_7d8d_a0e4_d29d,
    );
}

#[test]
fn bytes_of_no_key_are_refused() {
    assert!(u32::decode(&[1, 2, 3]).is_none());
    assert!(bool::decode(&[2]).is_none());
    assert!(char::decode(&[0, 0xD8, 0, 0]).is_none());
    assert!(str::decode(&[0xFF]).is_none());
    assert!(<[u8; 2]>::decode(&[1]).is_none());
    assert!(Uuid::decode(&[1]).is_none());
    assert!(Option::<()>::decode(&[0, 1]).is_none());
    assert!(<(u8, u8)>::decode(&[1, 0, 0, 0, 7]).is_none());
    assert!(<(u8,)>::decode(&[1, 0, 0, 0, 7, 7]).is_none());
    assert!(<(Vec<u8>,)>::decode(&[0xFF, 0xFF, 0xFF, 0xFF, 7]).is_none());
}

#[test]
fn a_key_whose_encoding_asks_for_a_hash_is_hashed() {
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
    struct Nested(String, u8);
    impl Key for Nested {
        fn type_name() -> String {
            "Nested".into()
        }
        fn encode(&self, out: &mut Vec<u8>) {
            out.extend((self.0.clone(), self.1).frozen_hash().to_le_bytes());
        }
        fn decode(_: &[u8]) -> Option<Self> {
            None
        }
    }
    let inner = (String::from("a"), 1_u8).frozen_hash();
    assert_eq!(Nested("a".into(), 1).frozen_hash(), xxh3_64(&inner.to_le_bytes()));
}

proptest! {
    #[test]
    fn different_keys_have_different_bytes(a: (String, Option<String>, Vec<u8>), b: (String, Option<String>, Vec<u8>)) {
        prop_assert_eq!(a == b, bytes(&a) == bytes(&b));
        let back = <(String, Option<String>, Vec<u8>)>::decode(&bytes(&a));
        prop_assert_eq!(back.as_ref(), Some(&a));
        prop_assert_eq!(a.frozen_hash(), xxh3_64(&bytes(&a)));
    }

    #[test]
    fn shifting_bytes_between_the_parts_makes_another_key(text in "[ab]{2,6}", i in 0..6_usize, j in 0..6_usize) {
        let split = |at: usize| { let (a, b) = text.split_at(at.min(text.len())); (a.to_owned(), b.to_owned()) };
        prop_assert_eq!(split(i) == split(j), bytes(&split(i)) == bytes(&split(j)));
    }
}
