//! Throws damaged bytes at everything that decodes what comes from outside: the seeds of `corpus/`, and
//! mutations of them. The same decoders are targets of `cargo fuzz` (see `Cargo.toml` beside this file),
//! which finds what is rarer; what it finds goes into `corpus/`, and so is tried here ever after.
//!
//! `STAUNCH_FUZZ_RUNS` is the number of mutations of each decoder, `STAUNCH_SEED` replays one seed.

mod mutate;

use mutate::Random;
use peak_alloc::PeakAlloc;
use staunch_tests::decode::{DECODERS, Decoder, memory_max};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

fn main() {
    let runs = number("STAUNCH_FUZZ_RUNS").unwrap_or(5_000);
    let seed = number("STAUNCH_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        now.as_nanos() as u64
    });
    // A broken decoder says where in the bytes below; its own message is in the way.
    let mut broken = false;
    for (name, decode) in DECODERS {
        let seeds = seeds(name);
        assert!(!seeds.is_empty(), "no seeds for {name}");
        println!("{name}: {} seeds, {runs} mutations, STAUNCH_SEED={seed}", seeds.len());
        broken |= seeds.iter().any(|(path, bytes)| !holds(name, decode, bytes, path.display()));
        let mut random = Random::new(seed);
        for run in 0..runs {
            let bytes = random.mutation(&seeds);
            if !holds(name, decode, &bytes, format_args!("mutation {run} of STAUNCH_SEED={seed}")) {
                broken = true;
                break;
            }
        }
    }
    assert!(!broken, "a decoder did not withstand what is shown above");
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

fn seeds(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// Whether the decoder neither panics nor takes too much memory; else what it was given is shown.
fn holds(name: &str, decode: Decoder, bytes: &[u8], what: impl std::fmt::Display) -> bool {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let panicked = catch_unwind(AssertUnwindSafe(|| decode(bytes))).is_err();
    let taken = MEMORY.peak_usage().saturating_sub(before);
    let greedy = !panicked && taken > memory_max(bytes.len());
    if panicked || greedy {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let how = if panicked { "panicked".to_owned() } else { format!("took {taken} bytes") };
        println!("{name} {how} on {what}, {} bytes: {hex}", bytes.len());
    }
    !panicked && !greedy
}
