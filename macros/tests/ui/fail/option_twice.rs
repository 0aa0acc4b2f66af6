#[staunch::operator(id = "a", name = "b")]
fn upper(line: String) -> String {
    line.to_uppercase()
}

fn main() {}
