use staunch::{Context, operator};

#[operator]
fn upper(line: String, #[context(mut)] _cx: &mut Context<'_>, #[key = 1] _key: &u64) -> String {
    line.to_uppercase()
}

fn main() {}
