use staunch::{State, operator};

#[derive(State, Default, Clone)]
struct Counter {
    seen: u64,
}

#[operator]
impl Counter {
    fn line(&mut self, _line: String) -> u64 {
        self.seen += 1;
        self.seen
    }
}

fn main() {}
