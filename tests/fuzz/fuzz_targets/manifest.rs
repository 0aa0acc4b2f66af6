//! Any file in the place of a slot.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| staunch_tests::decode::manifest(bytes));
