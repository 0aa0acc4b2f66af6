use staunch::{Output, operator};

#[operator]
fn split(line: String, #[output] words: &Output<String>, #[output] more: Output<String>) {
    drop((line, words, more));
}

fn main() {}
