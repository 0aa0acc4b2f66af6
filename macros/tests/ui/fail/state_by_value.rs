#[staunch::operator]
fn count(_line: String, #[state] seen: u64) -> u64 {
    seen
}

fn main() {}
