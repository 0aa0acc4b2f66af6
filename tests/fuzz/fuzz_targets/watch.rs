//! A decoder that takes too much memory is a finding, as one that panics is.

use peak_alloc::PeakAlloc;
use staunch_tests::decode::{Decoder, memory_max};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

pub fn watched(decode: Decoder, bytes: &[u8]) {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    decode(bytes);
    let taken = MEMORY.peak_usage().saturating_sub(before);
    assert!(taken <= memory_max(bytes.len()), "{taken} bytes for {}", bytes.len());
}
