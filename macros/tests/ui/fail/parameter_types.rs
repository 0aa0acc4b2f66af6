use staunch::operator;

#[operator]
fn late(n: u64, #[event_time] time: u64, #[context] cx: &mut String) -> u64 {
    cx.clear();
    n + time
}

fn main() {}
