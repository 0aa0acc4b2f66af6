use staunch::{State, operator};

#[derive(State, Default, Clone)]
struct Both;

#[operator]
impl Both {
    #[input]
    fn left(&mut self, #[key] _user: &u64, _n: u64) {}
    #[input]
    fn right(&mut self, #[key] _user: &u32, _line: String) {}
}

fn main() {}
