#[derive(staunch::State, Clone, Copy)]
union Bits {
    float: f32,
    int: u32,
}

fn main() {}
