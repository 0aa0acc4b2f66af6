use staunch::operator;

struct Limit(u64);

#[operator]
fn limit(n: u64, #[config] limit: Limit, #[config] other: &mut u64) -> Option<u64> {
    (n < limit.0).then_some(*other)
}

fn main() {}
