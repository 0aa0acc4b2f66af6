use staunch::{Metadata, State, Timestamp, operator};

#[derive(State, Default, Clone)]
struct Counter;

#[operator]
impl Counter {
    #[input]
    fn line(&mut self, _line: String) {}
    #[timer]
    fn event(&mut self, #[metadata] _metadata: &Metadata) {}
    #[timer(processing_time)]
    fn processing(&mut self, _at: Timestamp, _line: String) {}
}

fn main() {}
