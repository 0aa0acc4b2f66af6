//! What a harness of a whole pipeline promises.

use crate::connectors::memory::{MemorySink, MemorySource};
use crate::{Flow, operator, pipeline, sink, source};

#[source]
fn words() -> MemorySource<String> {
    MemorySource::new(Vec::new())
}

#[operator]
fn count(#[key] word: &str, _occurrence: String, #[state] seen: &mut u64) -> (String, u64) {
    *seen += 1;
    (word.to_owned(), *seen)
}

#[sink]
fn totals() -> MemorySink<(String, u64)> {
    MemorySink::new()
}

#[pipeline(no_main)]
fn word_count(flow: &Flow<()>) {
    totals::write(count::on(words::open(flow).key_by(|word| word.as_str())));
}

#[test]
fn at_rest_nothing_is_on_its_way_to_another_worker() {
    let mut pipeline = word_count::harness(()).workers(3);
    for pushed in 1..=50 {
        pipeline.source::<words>().push(format!("word {pushed}"));
        pipeline.run_until_idle();
        assert_eq!(pipeline.sink::<totals>().uncommitted().len(), pushed, "{}", pipeline.story());
    }
}
