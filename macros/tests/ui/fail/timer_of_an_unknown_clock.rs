use staunch::{State, Timestamp, operator};

#[derive(State, Default, Clone)]
struct Counter;

#[operator]
impl Counter {
    #[input]
    fn line(&mut self, _line: String) {}
    #[timer(wall_clock)]
    fn timer(&mut self, _at: Timestamp) {}
    #[tmer]
    fn mistyped(&mut self, _at: Timestamp) {}
}

fn main() {}
