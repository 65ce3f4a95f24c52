//! Any text as a token, and anything within a token that is signed.
#![no_main]

use std::sync::LazyLock;

use token_host_tests::{SECRET, fuzz};
use token_plugin_api::testing::TestHost;

static HOST: LazyLock<TestHost> = LazyLock::new(|| {
    let host = TestHost::new(&format!(r#"{{"secret":"{SECRET}"}}"#), token_signed::register).unwrap();
    host.set_now(fuzz::NOW);
    host
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::signed(|token| HOST.verify(token).unwrap(), bytes));
