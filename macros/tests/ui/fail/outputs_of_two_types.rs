use staunch::{Output, State, operator};

#[derive(State, Default, Clone)]
struct Both;

#[operator]
impl Both {
    #[input]
    fn left(&mut self, n: u64, #[output] all: &mut Output<u64>) {
        all.emit(n);
    }
    #[input]
    fn right(&mut self, line: String, #[output] all: &mut Output<String>) {
        all.emit(line);
    }
    #[input]
    fn third(&mut self, line: String) -> String {
        line
    }
    #[input]
    fn fourth(&mut self, line: String) -> Option<u64> {
        line.parse().ok()
    }
}

fn main() {}
