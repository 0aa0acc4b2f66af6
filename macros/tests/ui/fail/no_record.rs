#[staunch::operator]
fn tick(#[state] seen: &mut u64) -> u64 {
    *seen += 1;
    *seen
}

fn main() {}
