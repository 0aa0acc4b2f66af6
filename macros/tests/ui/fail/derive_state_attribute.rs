use staunch::State;

#[derive(State, Clone)]
#[state(opaque)]
struct Seen {
    #[state(was = "old")]
    count: u64,
}

fn main() {}
