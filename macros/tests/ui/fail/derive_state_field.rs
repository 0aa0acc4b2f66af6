use staunch::State;

#[derive(Clone)]
struct Inner;

#[derive(State, Clone)]
struct Outer {
    count: u64,
    inner: Inner,
}

#[derive(State, Clone)]
enum Either {
    Left(u64),
    Right(Vec<Inner>),
}

fn main() {}
