#[staunch::operator]
fn split(line: String, #[output] words: &mut Vec<String>) {
    words.push(line);
}

fn main() {}
