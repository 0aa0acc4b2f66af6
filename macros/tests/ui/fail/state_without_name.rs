#[staunch::operator]
fn count(_line: String, #[state] (seen, _): &mut (u64, u64), #[state] _: &mut u64) -> u64 {
    *seen += 1;
    *seen
}

fn main() {}
