use staunch::operator;

#[operator(id = "")]
fn empty(line: String) -> String {
    line
}

#[operator(id = "count/eu")]
fn slash(line: String) -> String {
    line
}

#[operator(id = "2nd")]
fn digit(line: String) -> String {
    line
}

#[operator]
fn zähle(line: String) -> String {
    line
}

fn main() {}
