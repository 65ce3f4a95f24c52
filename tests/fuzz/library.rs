//! Any bytes as a plugin's library.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| token_host_tests::fuzz::library(bytes));
