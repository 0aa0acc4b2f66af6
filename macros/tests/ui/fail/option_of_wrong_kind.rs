use staunch::operator;

#[operator(id = 7)]
fn one(line: String) -> String {
    line
}

#[operator(id)]
fn two(line: String) -> String {
    line
}

#[operator(type_name = "Three")]
fn three(line: String) -> String {
    line
}

fn main() {}
