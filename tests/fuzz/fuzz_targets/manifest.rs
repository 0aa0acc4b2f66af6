//! Any file in the place of a slot.

#![no_main]

mod watch;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| watch::watched(staunch_tests::decode::manifest, bytes));
