use staunch::operator;

#[operator(idd = "a")]
fn one(line: String) -> String {
    line
}

#[operator("two")]
fn two(line: String) -> String {
    line
}

#[operator(parallelism = 3)]
fn three(line: String) -> String {
    line
}

fn main() {}
