use staunch::memory::{MemorySink, MemorySource};
use staunch::{Flow, operator, pipeline, sink, source};

#[source]
fn lines() -> MemorySource<String> {
    MemorySource::new([])
}

#[operator]
fn count(#[key] _word: &str, _occurrence: String, #[state] seen: &mut u64) -> u64 {
    *seen += 1;
    *seen
}

#[operator]
fn length(line: String) -> Result<usize, String> {
    Ok(line.len())
}

#[sink]
fn counts() -> MemorySink<u64> {
    MemorySink::new()
}

#[pipeline(no_main)]
fn job(flow: &Flow<()>) {
    let words = lines::open(flow).key_with(|word| word.len() as u64);
    counts::write(count::on(words));
}

fn main() {}
