//! Each form of parameter and return value, through the operator's harness.

use staunch::{Context, Metadata, Output, Timestamp, operator};
use std::num::ParseIntError;

type Line = String;
type Lines = Output<Line>;

#[operator]
fn split(line: &Line, #[output] words: &mut Lines) {
    for word in line.split_whitespace() {
        words.emit(word.to_owned());
    }
}

#[test]
fn aliases_are_taken_for_what_they_stand_for() {
    let mut h = split::harness();
    h.push("to be").push("or");
    assert_eq!(h.take(), ["to", "be", "or"]);
}

#[operator]
fn shout(line: String) -> String {
    line.to_uppercase()
}

#[operator]
fn not_empty(line: String) -> Option<String> {
    Some(line).filter(|line| !line.is_empty())
}

#[operator]
fn parse(line: &String) -> Result<u64, ParseIntError> {
    line.parse()
}

#[operator]
fn parse_if_any(line: &String) -> Result<Option<u64>, ParseIntError> {
    if line.is_empty() { Ok(None) } else { line.parse().map(Some) }
}

#[operator]
fn parse_all(line: &String, #[output] numbers: &mut Output<u64>) -> Result<(), ParseIntError> {
    for word in line.split_whitespace() {
        numbers.emit(word.parse()?);
    }
    Ok(())
}

#[operator]
fn check(line: &String) -> Result<(), ParseIntError> {
    line.parse::<u64>().map(drop)
}

#[operator]
fn check_io(line: &String) -> std::io::Result<String> {
    if line.is_empty() { Err(std::io::Error::other("empty")) } else { Ok(line.clone()) }
}

#[operator]
fn nothing(_line: &String) {}

#[test]
fn what_is_returned_is_emitted() {
    let mut h = shout::harness();
    assert_eq!(h.push("a").take(), ["A"]);
    let mut h = not_empty::harness();
    assert_eq!(h.push("").push("a").take(), ["a"]);
    let mut h = nothing::harness();
    let () = h.push("a").take();
}

#[test]
fn errors_go_to_the_last_output() {
    let mut h = parse::harness();
    let (numbers, failed) = h.push("1").push("x").take();
    assert_eq!(numbers, [1]);
    assert_eq!((failed.len(), failed[0].operator.as_str()), (1, "parse"));
    assert_eq!(failed[0].error.to_string(), "invalid digit found in string");

    let (numbers, failed) = parse_if_any::harness().push("").push("2").push("y").take();
    assert_eq!((numbers, failed.len()), (vec![2], 1));

    let (numbers, failed) = parse_all::harness().push("1 2 z 3").take();
    assert_eq!((numbers, failed.len()), (vec![1, 2], 1));

    assert_eq!(check::harness().push("1").push("x").take().len(), 1);

    let (lines, failed) = check_io::harness().push("").push("a").take();
    assert_eq!((lines, failed[0].error.to_string()), (vec!["a".to_owned()], "empty".to_owned()));
}

#[operator]
fn spread(
    number: u64,
    #[output] even: &mut Output<u64>,
    #[output] odd: &mut Output<u64>,
    #[output] zero: &mut Output<()>,
) -> Result<(), String> {
    match number {
        0 => zero.emit(()),
        13 => return Err("unlucky".into()),
        n if n % 2 == 0 => even.emit(n),
        n => odd.emit(n),
    }
    Ok(())
}

#[test]
fn several_outputs_are_a_tuple_with_the_failures_last() {
    let mut h = spread::harness();
    let (even, odd, zero, failed) = h.push(0u64).push(1u64).push(2u64).push(13u64).take();
    assert_eq!((even, odd, zero), (vec![2], vec![1], vec![()]));
    assert_eq!(failed[0].error, "unlucky");
}

struct Limit(u64);
struct Greeting(String);

#[operator]
#[allow(clippy::too_many_arguments, reason = "one of each")]
fn everything(
    #[metadata] metadata: &Metadata,
    #[key] key: &str,
    #[config] limit: &Limit,
    #[state] seen: &mut u64,
    #[state] last: &mut Option<String>,
    line: String,
    #[resource] greeting: &mut Greeting,
    #[event_time] time: Timestamp,
    #[processing_time] now: Timestamp,
    #[context] cx: &mut Context<'_>,
) -> Option<String> {
    assert_eq!((time, now), (cx.event_time(), cx.processing_time()));
    *seen += 1;
    let before = last.replace(line).unwrap_or_default();
    greeting.0.push('!');
    let offset = metadata.origin.offset;
    (*seen <= limit.0).then(|| format!("{key} {seen} {before} {} {time} {offset}", greeting.0))
}

#[test]
fn every_kind_of_parameter_gets_its_argument() {
    let mut h = everything::harness(|line: &String| &line[..1]);
    h.provide(Limit(2)).resource(|| Greeting("hi".into()));
    h.push_at(Timestamp::from_millis(5), "a1").push_at(Timestamp::from_millis(6), "a2").push("a3").push("b1");
    assert_eq!(h.take(), ["a 1  hi! 5 ms 0", "a 2 a1 hi!! 6 ms 0", "b 1  hi!!!! none 0"]);
    let mut h = everything::harness(|line: &String| &line[..1]);
    h.provide(Limit(2)).resource(|| Greeting("hi".into()));
}

#[operator]
fn read_only(n: &u64, #[state] sum: &u64) -> u64 {
    n + sum
}

#[operator]
fn by_any_key(n: u64, #[state] sum: &mut u64) -> u64 {
    *sum += n;
    *sum
}

#[test]
fn without_a_key_parameter_any_key_will_do() {
    let mut h = by_any_key::harness_with(|n| n % 2);
    assert_eq!(h.push(1u64).push(2u64).push(3u64).take(), [1, 2, 4]);
    let mut h = by_any_key::harness_with(|n| (n % 2 == 0, 'c'));
    assert_eq!(h.push(1u64).push(2u64).push(3u64).take(), [1, 2, 4]);
    assert_eq!(read_only::harness(|n| n).push(4u64).take(), [4]);
}

// Names that generated code uses for its own variables, and a pattern for the record.
#[operator]
fn record((key, env): (u64, u64), #[state] out: &mut u64, #[context] context: &mut Context<'_>) -> u64 {
    *out += key + env;
    context.forget();
    *out
}

#[operator]
fn r#type(r#match: String, #[state] r#loop: &mut u64) -> u64 {
    *r#loop += r#match.len() as u64;
    *r#loop
}

#[test]
fn no_name_of_the_user_clashes_with_a_generated_one() {
    let mut h = record::harness(|pair: &(u64, u64)| &pair.0);
    assert_eq!(h.push((1, 2)).push((1, 3)).take(), [3, 4]);
    let mut h = r#type::harness(|line: &String| line.as_str());
    assert_eq!(h.push("ab").push("ab").take(), [2, 4]);
}

#[operator]
fn dedup<T>(record: T, #[state] last: &mut Option<T>) -> Option<T>
where
    T: Clone + PartialEq + staunch::State + std::fmt::Debug,
{
    (last.as_ref() != Some(&record)).then(|| last.insert(record).clone())
}

#[operator]
fn convert<A: Into<B>, B, const TIMES: usize>(record: A, #[output] out: &mut Output<[Option<B>; TIMES]>) {
    let mut all = [const { None }; TIMES];
    all[0] = Some(record.into());
    out.emit(all);
}

#[test]
fn generic_operators_keep_their_bounds() {
    let mut h = dedup::<u64>::harness_with(|n| n % 10);
    assert_eq!(h.push(1u64).push(1u64).push(11u64).push(2u64).take(), [1, 11, 2]);
    let mut h = convert::<u8, u64, 2>::harness();
    assert_eq!(h.push(1u8).take(), [[Some(1u64), None]]);
}

#[test]
fn the_function_itself_stays_callable() {
    let mut sum = 41;
    assert_eq!(by_any_key(1, &mut sum), 42);
    assert_eq!(parse(&"7".to_owned()), Ok(7));
    assert_eq!(dedup(1u64, &mut None), Some(1));
}
