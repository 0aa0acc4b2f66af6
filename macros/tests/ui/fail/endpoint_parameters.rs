use staunch::memory::{MemorySink, MemorySource};
use staunch::{sink, source};

struct Config;

#[source]
fn lines(_config: Config, #[key] _key: &u64) -> MemorySource<u64> {
    MemorySource::new([])
}

#[sink]
async fn totals<T: Send>(_config: &mut Config) -> MemorySink<T> {
    MemorySink::new()
}

#[source(topic = "a")]
struct Lines;

fn main() {}
