#[staunch::operator]
fn count(#[key] price: &f64, _line: String) -> String {
    price.to_string()
}

fn main() {}
