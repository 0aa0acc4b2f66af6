use staunch::{State, operator};

#[derive(State, Default, Clone)]
struct Counter;

trait Lines {
    fn line(&mut self, line: String) -> String;
}

#[operator]
impl Lines for Counter {
    #[input]
    fn line(&mut self, line: String) -> String {
        line
    }
}

fn main() {}
