//! Any text as `plugins.toml`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| token_host_tests::fuzz::config(bytes));
