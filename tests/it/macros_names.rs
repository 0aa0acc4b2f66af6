//! Functions and their generated types: renamed, re-exported, shadowed, local, used twice.

use staunch::memory::{MemorySink, MemorySource};
use staunch::{Flow, operator, pipeline, sink, source};

mod words {
    pub mod inner {
        #[staunch::operator(id = "counts", type_name = Counting)]
        pub fn counting(#[key] word: &str, _occurrence: String, #[state] seen: &mut u64) -> (String, u64) {
            *seen += 1;
            (word.to_owned(), *seen)
        }
        #[staunch::operator]
        pub(crate) fn upper(word: String) -> String {
            word.to_uppercase()
        }
    }
    pub(crate) use inner::upper;
    pub use inner::{Counting, counting};
}

use words::{Counting, upper};

pub struct Config {
    output: MemorySink<(String, u64)>,
    second: MemorySink<(String, u64)>,
}

#[source]
fn some_words() -> MemorySource<String> {
    MemorySource::new(["a", "b", "a"].map(ToOwned::to_owned))
}

#[sink]
fn written(config: &Config) -> MemorySink<(String, u64)> {
    config.output.clone()
}

#[sink(type_name = Second)]
fn second(config: &Config) -> Result<MemorySink<(String, u64)>, std::io::Error> {
    Ok(config.second.clone())
}

#[pipeline(no_main, name = "used-twice")]
fn twice(flow: &Flow<Config>) {
    // A variable of the operator's name, and an operator local to the function.
    let some_words = some_words::open(flow);
    let upper = upper::on(some_words);
    #[operator]
    fn keep(word: String) -> String {
        word
    }
    let keep = keep::on(upper);
    let counts = Counting::on(keep.key_by(|word| word.as_str()));
    written::write(counts);
    let more = some_words::at("more_words").open(flow);
    let lower = words::Counting::at("counts_lower").on(more.key_by(|word| word.as_str()));
    Second::at("written_lower").write(lower);
}

#[test]
fn the_same_function_can_be_used_twice() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { output: MemorySink::new(), second: MemorySink::new() };
    let (output, lower) = (config.output.output(), config.second.output());
    twice::job(config).checkpoint_dir(dir.path()).run().unwrap();
    let expect = |a: &str, b: &str| vec![(a.to_owned(), 1), (a.to_owned(), 2), (b.to_owned(), 1)];
    let sorted = |mut got: Vec<(String, u64)>| {
        got.sort();
        got
    };
    assert_eq!(sorted(output.committed()), expect("A", "B"));
    assert_eq!(sorted(lower.committed()), expect("a", "b"));
    assert_eq!(words::counting("x", "x".into(), &mut 1).1, 2);
}

macro_rules! operators {
    ($($name:ident: $ty:ty),*) => {$(
        #[operator]
        fn $name(record: $ty, #[state] seen: &mut $ty) -> $ty {
            *seen += record;
            *seen
        }
    )*};
}
operators!(sum_small: u8, sum_large: u64);

#[test]
fn operators_can_come_out_of_macros() {
    let mut h = sum_small::harness(|n| n);
    assert_eq!(h.push(1u8).push(1u8).take(), [1, 2]);
    assert_eq!(sum_large(1, &mut 2), 3);
}

#[cfg(any())]
#[operator]
fn never_compiled(record: NoSuchType) {}

#[operator]
#[cfg(any())]
fn never_compiled_either(record: NoSuchType) {}
