use staunch::{Output, operator};

#[operator]
fn split(line: String, #[output] failed: &mut Output<String>, #[output] a: &mut Output<String>, #[output] _a: &mut Output<String>) {
    failed.emit(line);
}

fn main() {}
