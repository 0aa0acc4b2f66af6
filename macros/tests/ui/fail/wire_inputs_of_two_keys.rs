use staunch::memory::MemorySource;
use staunch::{Flow, State, operator, pipeline, source};

#[derive(State, Default, Clone)]
struct Both;

#[operator]
impl Both {
    #[input]
    fn left(&mut self, _line: String) {}
    #[input]
    fn right(&mut self, _n: u64) {}
}

#[source]
fn lines() -> MemorySource<String> {
    MemorySource::new([])
}

#[source]
fn numbers() -> MemorySource<u64> {
    MemorySource::new([])
}

#[pipeline(no_main)]
fn job(flow: &Flow<()>) {
    let lines = lines::open(flow).key_by(|line| line.as_str());
    let numbers = numbers::open(flow).key_by(|n| n);
    Both::on(lines, numbers);
}

fn main() {}
