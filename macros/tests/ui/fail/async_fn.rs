#[staunch::operator]
async fn upper(line: String) -> String {
    line.to_uppercase()
}

fn main() {}
