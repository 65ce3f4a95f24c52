//! Tests that need what a machine may not have: they say so where everybody sees it, and never skip in CI.

use std::{env, io::Write};

/// Why something cannot be tested here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip(pub String);

/// Whether a test has to be skipped for want of `needed`: `None`, after saying so.
///
/// # Panics
///
/// Instead of skipping, when the environment variable `TOKEN_HOST_REQUIRE_INTEROP` is `1`.
pub fn skipped<T>(test: &str, needed: Result<T, Skip>) -> Option<T> {
    let Skip(why) = match needed {
        Ok(value) => return Some(value),
        Err(skip) => skip,
    };
    let required = env::var_os("TOKEN_HOST_REQUIRE_INTEROP").is_some_and(|value| value == "1");
    assert!(!required, "{test} must not be skipped here: {why}");
    // Not with `eprintln!`, which the test runner keeps to itself while a test passes.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
    None
}
