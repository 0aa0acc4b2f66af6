use staunch::memory::MemorySink;
use staunch::{sink, source};

#[source]
fn lines() -> String {
    String::new()
}

#[source]
fn any_lines() -> impl Iterator<Item = String> {
    std::iter::empty()
}

#[sink]
fn totals() -> Vec<u64> {
    Vec::new()
}

fn main() {
    let _: MemorySink<u64>;
}
