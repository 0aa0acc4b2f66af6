use staunch::{sink, source};

struct Config;

#[source]
fn lines(_config: &Config) {}

#[sink]
fn totals(_config: &Config) -> () {}

fn main() {}
