#[staunch::operator]
fn same(line: &String) -> &String {
    line
}

fn main() {}
