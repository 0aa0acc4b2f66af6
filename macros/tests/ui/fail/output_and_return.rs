use staunch::{Output, operator};

#[operator]
fn split(line: String, #[output] words: &mut Output<String>) -> Option<u64> {
    words.emit(line);
    None
}

fn main() {}
