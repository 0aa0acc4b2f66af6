use staunch::{Context, Timestamp, operator};

#[operator]
fn both(n: u64, #[context] _a: &mut Context<'_>, #[context] _b: &mut Context<'_>, #[event_time] _at: &Timestamp) -> u64 {
    n
}

fn main() {}
