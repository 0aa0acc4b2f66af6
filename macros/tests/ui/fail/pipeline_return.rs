use staunch::{Flow, Result, pipeline};

#[pipeline]
fn fallible(_flow: &Flow<()>) -> Result<()> {
    Ok(())
}

#[pipeline(nomain)]
fn generic<T>(_flow: &Flow<T>) {}

fn main() -> Result<()> {
    fallible::main()
}
