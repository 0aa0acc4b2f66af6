#[staunch::operator]
fn count(line: String, #[cfg(unix)] #[state] seen: &mut u64) -> String {
    line
}

fn main() {}
