#[staunch::operator]
fn count(_line: String, #[state] seen: &mut u64, #[state] _seen: &mut u32) -> u64 {
    *seen += 1;
    *seen
}

fn main() {}
