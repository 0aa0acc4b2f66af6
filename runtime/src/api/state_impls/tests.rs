use super::*;
use crate::ErrorKind;
use proptest::prelude::*;

fn encoded<T: State>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    value.encode(&mut out);
    out
}

/// The value comes back, leaves what follows alone, and is refused when it is cut short.
#[track_caller]
fn survives<T: State + PartialEq + std::fmt::Debug>(value: T) {
    let mut bytes = encoded(&value);
    let len = bytes.len();
    for cut in 0..len {
        assert_eq!(T::decode(&mut &bytes[..cut]).unwrap_err().kind(), ErrorKind::Checkpoint);
    }
    bytes.extend(b"rest");
    let mut rest = &bytes[..];
    assert_eq!(T::decode(&mut rest).unwrap(), value);
    assert_eq!(rest, b"rest");
}

#[test]
fn every_type_comes_back() {
    survives((u8::MAX, u16::MAX, u32::MAX, u64::MAX, u128::MAX, usize::MAX));
    survives((i8::MIN, i16::MIN, i32::MIN, i64::MIN, i128::MIN, isize::MIN));
    survives((f32::MIN_POSITIVE, f64::NEG_INFINITY, true, 'ß', String::from("grün"), ()));
    survives((Some(1_u8), None::<u8>, Box::new(3_i32), [1_u16, 2, 3], Duration::new(u64::MAX, 999_999_999)));
    survives((Timestamp::MIN, Timestamp::MAX, uuid::Uuid::from_u128(7), [[0_u8; 3]; 2], Vec::<u8>::new()));
    survives(vec![vec![String::from("a")], vec![], vec![String::new(); 3]]);
    survives(vec![(); 1000]);
    survives(VecDeque::from([1_u8, 2, 3]));
    survives(BTreeMap::from([(1_u8, "a".to_owned()), (2, "b".to_owned())]));
    survives(BTreeSet::from([(1_u8, true), (2, false)]));
    survives((0..100_u32).map(|n| (n.to_string(), n)).collect::<HashMap<_, _>>());
    survives((0..100_u32).collect::<HashSet<_>>());
}

#[test]
fn a_float_keeps_its_bits() {
    let odd = f64::from_bits(0x7FF8_0000_0000_1234);
    assert_eq!(f64::decode(&mut &encoded(&odd)[..]).unwrap().to_bits(), odd.to_bits());
}

#[test]
fn the_encoding_does_not_change() {
    assert_eq!(encoded(&0x0102_0304_u32), [4, 3, 2, 1]);
    assert_eq!(encoded(&-2_i16), [0xFE, 0xFF]);
    assert_eq!(encoded(&String::from("ab")), [2, 0, 0, 0, b'a', b'b']);
    assert_eq!(encoded(&vec![1_u16, 2]), [2, 0, 0, 0, 1, 0, 2, 0]);
    assert_eq!(encoded(&(Some(true), None::<u8>)), [1, 1, 0]);
    assert_eq!(encoded(&'a'), [97, 0, 0, 0]);
    assert_eq!(encoded(&[7_u8; 2]), [7, 7]);
    assert_eq!(encoded(&Timestamp::from_millis(1)), [1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(encoded(&BTreeMap::from([(2_u8, 3_u8)])), [1, 0, 0, 0, 2, 3]);
    // Of the serialisation crate too: fixed-width, little-endian, lengths of 64 bits.
    let mut out = Vec::new();
    crate::codec::encode_serde(&("a", 1_u16), &mut out).unwrap();
    assert_eq!(out, [11, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, b'a', 1, 0]);
}

#[test]
fn types_that_are_held_differently_have_one_encoding_and_schema() {
    let pairs = [("b", 1_u8), ("a", 2), ("ab", 3)].map(|(key, value)| (key.to_owned(), value));
    let hash = encoded(&HashMap::<_, _>::from(pairs.clone()));
    assert_eq!(BTreeMap::<String, u8>::decode(&mut &hash[..]).unwrap(), BTreeMap::from(pairs));
    assert_eq!(HashMap::<u8, bool>::schema(), BTreeMap::<u8, Box<bool>>::schema());
    assert_eq!(Vec::<u8>::schema(), VecDeque::<u8>::schema());
    let mut ring = VecDeque::from([9_u8, 1, 2]);
    ring.rotate_left(1);
    assert_eq!(encoded(&ring), encoded(&Vec::from(ring.clone())));
    assert_eq!(<(Option<u8>, Vec<[f32; 2]>)>::schema().to_string(), "Tuple<Option<u8>, Vec<Array2<f32>>>");
}

#[test]
fn what_no_value_encodes_to_is_refused() {
    assert!(bool::decode(&mut &[2][..]).is_err());
    assert!(Option::<()>::decode(&mut &[2][..]).is_err());
    assert!(char::decode(&mut &[0, 0xD8, 0, 0][..]).is_err());
    assert!(String::decode(&mut &[1, 0, 0, 0, 0xFF][..]).is_err());
    assert!(Duration::decode(&mut &[0xFF; 12][..]).is_err());
    assert!(BTreeSet::<u8>::decode(&mut &[2, 0, 0, 0, 1, 1][..]).is_err());
    assert!(HashMap::<u8, u8>::decode(&mut &[2, 0, 0, 0, 1, 1, 1, 2][..]).is_err());
    // Lengths that are not there.
    let huge = [0xFF; 12];
    assert!(Vec::<u8>::decode(&mut &huge[..]).is_err());
    assert!(Vec::<[u64; 1000]>::decode(&mut &huge[..]).is_err());
    assert!(HashSet::<String>::decode(&mut &huge[..]).is_err());
}

proptest! {
    #[test]
    fn equal_maps_have_equal_bytes(map: HashMap<String, Vec<u8>>) {
        // Another map has another order: its hasher is seeded anew.
        let other: HashMap<String, Vec<u8>> = map.clone().into_iter().collect();
        prop_assert_eq!(encoded(&map), encoded(&other));
        prop_assert_eq!(HashMap::decode(&mut &encoded(&map)[..]).unwrap(), map);
    }
}
