use staunch::{State, operator};

#[derive(State, Default, Clone)]
struct Counter;

#[operator]
impl Counter {
    #[input]
    fn consume(self, line: String) -> String {
        line
    }

    #[input]
    fn generic<T: ToString>(&mut self, line: T) -> String {
        line.to_string()
    }

    #[input]
    fn more_state(&mut self, line: String, #[state] _seen: &mut u64) -> String {
        line
    }
}

fn main() {}
