use staunch::{Output, operator};

#[operator]
fn spread(
    n: u64,
    #[output] a: &mut Output<u64>,
    #[output] b: &mut Output<u64>,
    #[output] c: &mut Output<u64>,
    #[output] d: &mut Output<u64>,
) -> Result<(), String> {
    a.emit(n);
    b.emit(n);
    c.emit(n);
    d.emit(n);
    Ok(())
}

fn main() {}
