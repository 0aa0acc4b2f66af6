#[staunch::operator]
fn count(_line: String, #[state(ttl = "1h")] seen: &mut u64) -> u64 {
    *seen += 1;
    *seen
}

fn main() {}
