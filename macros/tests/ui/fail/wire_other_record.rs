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
    let (lengths, failed) = length::on(lines::open(flow));
    failed.discard();
    let (again, failed) = length::on(lengths);
    again.discard();
    failed.discard();
}

fn main() {}
