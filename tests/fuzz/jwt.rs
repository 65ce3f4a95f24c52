//! Any text as a JSON Web Token, and anything within one that is signed.
#![no_main]

use std::sync::LazyLock;

use token_host_tests::{JWT_SECRET, fuzz};
use token_plugin_api::testing::TestHost;

static HOST: LazyLock<TestHost> = LazyLock::new(|| {
    let settings = format!(r#"{{"secret":"{JWT_SECRET}","kind":"any","revocation":{{"url":"none"}}}}"#);
    let host = TestHost::new(&settings, token_jwt::register).unwrap();
    host.set_now(fuzz::NOW);
    host
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::jwt(|token| HOST.verify(token).unwrap(), bytes));
