use staunch::operator;

#[derive(Default, Clone)]
struct Seen(u64);

#[operator]
fn count(_line: String, #[state] seen: &mut Seen) -> u64 {
    seen.0 += 1;
    seen.0
}

fn main() {}
