use staunch::operator;

struct Result<T>(T);

#[operator]
fn wrap(line: String) -> Result<String> {
    Result(line)
}

fn main() {}
