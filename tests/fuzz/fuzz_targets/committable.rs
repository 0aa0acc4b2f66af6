//! Any text in the place of a transaction.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| staunch_tests::decode::committable(bytes));
