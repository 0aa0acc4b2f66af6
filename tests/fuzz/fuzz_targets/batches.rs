//! Any bytes of a log.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| staunch_tests::decode::batches(bytes));
