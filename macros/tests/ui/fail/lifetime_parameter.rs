#[staunch::operator]
fn first<'a>(line: &'a String) -> String {
    line.clone()
}

fn main() {}
