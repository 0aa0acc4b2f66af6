#[staunch::pipeline]
fn strange(_flow: &String) {}

fn main() {}
