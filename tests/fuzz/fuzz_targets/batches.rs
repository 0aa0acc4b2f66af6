//! Any bytes of a log.

#![no_main]

mod watch;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| watch::watched(staunch_tests::decode::batches, bytes));
