use staunch::operator;

#[operator]
struct Counter;

#[operator]
trait Counts {}

#[operator]
mod counters {}

fn main() {}
