use staunch::{Output, operator};

#[operator]
fn split(line: &str, #[output] words: &mut Output<String>) {
    words.emit(line.to_owned());
}

#[operator]
fn sum(numbers: &[u64]) -> u64 {
    numbers.iter().sum()
}

#[operator]
fn edit(line: &mut String) -> String {
    line.clone()
}

fn main() {}
