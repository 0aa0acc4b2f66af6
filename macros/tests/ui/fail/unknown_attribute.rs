use staunch::{Output, operator};

#[operator]
fn count(_line: String, #[stat] seen: &mut u64, #[otput] out: &mut Output<u64>, #[partition] _partition: &u32) {
    *seen += 1;
    out.emit(*seen);
}

fn main() {}
