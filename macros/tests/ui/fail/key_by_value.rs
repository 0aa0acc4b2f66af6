#[staunch::operator]
fn count(#[key] user: u64, _line: String) -> u64 {
    user
}

fn main() {}
