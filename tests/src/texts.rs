//! Input for the jobs that are killed, made from a seed, and random numbers that can be had again.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Result, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Numbers that look random (splitmix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// From `STAUNCH_SEED`, or the clock; printed, so that a failure can be run again.
    pub fn seeded(test: &str) -> Self {
        let seed = seed();
        println!("{test}: STAUNCH_SEED={seed}");
        Self(seed)
    }

    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From `0` to below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.number() % end.max(1)
    }
}

/// `STAUNCH_SEED`, or else the clock.
pub fn seed() -> u64 {
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    number("STAUNCH_SEED").unwrap_or_else(clock)
}

/// A number in an environment variable.
///
/// # Panics
/// If it is set and no number.
pub fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not `{text}`")))
}

/// Writes about so many bytes of words, some of them frequent and most of them rare.
pub fn write_text(path: &Path, bytes: u64, seed: u64) -> Result<()> {
    let mut random = Random::new(seed);
    let mut file = BufWriter::new(File::create(path)?);
    let mut written = 0;
    while written < bytes {
        let mut line = String::new();
        for _ in 0..=random.below(20) {
            // The product of two makes small numbers frequent.
            let word = random.below(150) * random.below(150);
            line.push_str(&format!("w{word} "));
        }
        line.push('\n');
        written += line.len() as u64;
        file.write_all(line.as_bytes())?;
    }
    file.flush()
}

/// How often each word occurs.
pub fn count_words(path: &Path) -> Result<HashMap<String, u64>> {
    let mut counts = HashMap::new();
    for line in BufReader::new(File::open(path)?).lines() {
        for word in line?.split_whitespace() {
            *counts.entry(word.to_owned()).or_default() += 1;
        }
    }
    Ok(counts)
}
