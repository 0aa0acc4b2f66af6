//! `#[derive(State)]`: what is encoded comes back, and schemas say what it was.

use staunch::State;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

fn round_trip<T: State + PartialEq + std::fmt::Debug>(value: &T) {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    let mut rest = bytes.as_slice();
    assert_eq!(&T::decode(&mut rest).unwrap(), value);
    assert!(rest.is_empty());
    for length in 0..bytes.len() {
        assert!(T::decode(&mut &bytes[..length]).is_err(), "{length} of {} bytes were enough", bytes.len());
    }
}

#[derive(State, Clone, Debug, PartialEq, Default)]
struct Named {
    count: u64,
    r#type: Option<String>,
    #[state(opaque)]
    foreign: Option<IpAddr>,
}

#[derive(State, Clone, Debug, PartialEq)]
struct Positions(u8, (i64, bool));

#[derive(State, Clone, Debug, PartialEq)]
struct Unit;

#[derive(State, Clone, Debug, PartialEq)]
enum Shape<T> {
    Nothing,
    Circle(T),
    Box { width: T, height: T },
}

#[derive(State, Clone, Debug, PartialEq)]
enum Tree {
    Leaf(u32),
    Node { children: Vec<Tree>, tags: Option<Box<Self>> },
}

#[derive(State, Clone, Debug, PartialEq)]
struct Left {
    right: Option<Box<Right>>,
}

#[derive(State, Clone, Debug, PartialEq)]
struct Right {
    left: Vec<Left>,
}

#[derive(State, Clone, Debug, PartialEq)]
enum Never {}

#[derive(State, Clone, Debug, PartialEq)]
struct Holds<T, const N: usize>
where
    T: Ord,
{
    never: Option<Never>,
    many: [BTreeMap<T, u8>; N],
}

#[test]
fn what_is_encoded_comes_back() {
    let foreign = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    round_trip(&Named { count: 7, r#type: Some("x".into()), foreign });
    round_trip(&Positions(1, (-1, true)));
    round_trip(&Unit);
    round_trip(&vec![Shape::Nothing, Shape::Circle(1u8), Shape::Box { width: 2, height: 3 }]);
    let leaf = Tree::Leaf(1);
    round_trip(&Tree::Node { children: vec![leaf.clone(), leaf.clone()], tags: Some(Box::new(leaf)) });
    round_trip(&Holds { never: None, many: [BTreeMap::from([("k".to_owned(), 1)]), BTreeMap::new()] });
}

#[test]
fn a_schema_names_fields_and_variants() {
    assert!(
        Named::schema()
            .to_string()
            .starts_with("Named { count: u64, type: Option<String>, foreign: opaque Option<IpAddr> }")
    );
    assert_eq!(Positions::schema().to_string(), "Positions { 0: u8, 1: Tuple<i64, bool> }");
    assert_eq!(Unit::schema().to_string(), "Unit {  }");
    assert_eq!(
        Shape::<u16>::schema().to_string(),
        "Shape [ Nothing | Circle { 0: u16 } | Box { width: u16, height: u16 } ]"
    );
}

#[test]
fn the_schema_of_a_recursive_type_ends() {
    let tree = Tree::schema().to_string();
    assert_eq!(tree, "Tree [ Leaf { 0: u32 } | Node { children: Vec<Tree>, tags: Option<Tree> } ]");
    assert_eq!(Tree::schema().to_string(), tree);
    assert_eq!(Left::schema().to_string(), "Left { right: Option<Right { left: Vec<Left> }> }");
    assert_eq!(Right::schema().to_string(), "Right { left: Vec<Left { right: Option<Right> }> }");
}

#[test]
fn an_unknown_variant_is_an_error() {
    let error = Shape::<u8>::decode(&mut [9u8].as_slice()).unwrap_err();
    assert_eq!(error.message(), "the checkpoint is damaged: `Shape` has no variant 9");
}
