use staunch::{Flow, pipeline};

#[pipeline]
fn none() {}

#[pipeline]
fn by_value(_flow: Flow<()>) {}

#[pipeline]
fn more(_flow: &Flow<()>, _parallelism: usize) {}

fn main() {}
