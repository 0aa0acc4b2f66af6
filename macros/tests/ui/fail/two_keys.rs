#[staunch::operator]
fn count(#[key] user: &u64, #[key] country: &str, _line: String) -> String {
    format!("{user} {country}")
}

fn main() {}
