//! Any answer of a broker.

#![no_main]

mod watch;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| watch::watched(staunch_tests::decode::answer, bytes));
