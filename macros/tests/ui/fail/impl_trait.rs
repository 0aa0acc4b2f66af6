use staunch::operator;

#[operator]
fn print(line: impl ToString) -> String {
    line.to_string()
}

#[operator]
fn words(line: String) -> impl Iterator<Item = String> {
    line.split(' ').map(ToOwned::to_owned).collect::<Vec<_>>().into_iter()
}

fn main() {}
