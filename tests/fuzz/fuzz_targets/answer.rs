//! Any answer of a broker.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| staunch_tests::decode::answer(bytes));
