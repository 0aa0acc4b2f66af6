use staunch::memory::MemorySource;
use staunch::{Flow, pipeline, source};

struct Line(String);

#[source]
fn lines() -> MemorySource<Line> {
    MemorySource::generate(1, |n| Line(n.to_string()))
}

#[pipeline(no_main)]
fn job(flow: &Flow<()>) {
    lines::open(flow).key_by(|line| line.0.as_str()).unkeyed().discard();
}

fn main() {}
