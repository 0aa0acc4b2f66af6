use staunch::{Timestamp, operator};

#[operator]
#[timer]
fn forget(_line: String, #[timer] at: Timestamp) -> Timestamp {
    at
}

fn main() {}
