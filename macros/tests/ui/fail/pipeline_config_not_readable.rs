use staunch::{Flow, pipeline};

struct Config;

#[pipeline]
fn job(_flow: &Flow<Config>) {}

fn main() {
    let _ = job::main();
}
