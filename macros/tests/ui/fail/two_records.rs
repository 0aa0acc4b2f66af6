#[staunch::operator]
fn add(left: u64, right: u64) -> u64 {
    left + right
}

fn main() {}
