#[staunch::operator]
fn both(n: u64, #[resource] a: &mut String, #[resource] b: &String) -> u64 {
    a.push_str(b);
    n
}

fn main() {}
