// One wrong operator: every mistake is reported, and the code that uses it adds none.
use staunch::memory::{MemorySink, MemorySource};
use staunch::{Context, Flow, Output, operator, pipeline, sink, source};

#[source]
fn lines() -> MemorySource<String> {
    MemorySource::new([])
}

#[operator(idd = "words")]
async fn split(
    line: &str,
    #[state] seen: u64,
    #[output] words: &Output<String>,
    #[context] _a: &mut Context<'_>,
    #[context] _b: &mut Context<'_>,
) {
    let _ = (line, seen, words);
}

#[sink]
fn written() -> MemorySink<String> {
    MemorySink::new()
}

#[pipeline]
fn job(flow: &Flow<()>) {
    written::write(split::on(lines::open(flow).key_by(|line| line.as_str())));
}

fn main() {
    let _ = split;
    let _ = job::main();
}
