use staunch::{State, Timestamp, operator};

#[derive(State, Default, Clone)]
struct Counter;

#[operator]
impl Counter {
    #[input]
    fn line(&mut self, _line: String) {}
    #[timer]
    fn first(&mut self, _at: Timestamp) {}
    #[timer]
    fn second(&mut self, _at: Timestamp) {}
}

fn main() {}
