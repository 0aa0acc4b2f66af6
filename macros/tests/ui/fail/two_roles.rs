#[staunch::operator]
fn count(_line: String, #[state] #[key] seen: &mut u64) -> u64 {
    *seen
}

fn main() {}
