//! Any text in the place of a transaction.

#![no_main]

mod watch;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| watch::watched(staunch_tests::decode::committable, bytes));
