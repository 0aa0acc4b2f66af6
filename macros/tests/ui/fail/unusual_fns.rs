use staunch::operator;

#[operator]
unsafe fn unsafely(line: String) -> String {
    line
}

#[operator]
extern "C" fn foreign(line: String) -> String {
    line
}

#[operator]
const fn constant(line: String) -> String {
    line
}

fn main() {}
