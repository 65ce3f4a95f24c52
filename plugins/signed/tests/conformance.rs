//! The handler keeps the contract, with every setting that changes what its tokens are.

use token_plugin_api::conformance::{Outcome, Report, assert_conforms};
use token_signed::register;

/// The checks that were skipped; but for what can be measured on some systems only.
fn skipped(report: &Report) -> Vec<&str> {
    let skipped = |outcome: &Outcome| matches!(outcome, Outcome::Skipped(_));
    let checks = report.checks.iter().filter(|check| skipped(&check.outcome) && check.name != "growth");
    checks.map(|check| check.name.as_str()).collect()
}

#[test]
fn it_conforms() {
    let report = assert_conforms(r#"{"secret":"a secret for the tests alone"}"#, register);
    assert!(skipped(&report).is_empty(), "{report}");
}

#[test]
fn it_conforms_with_several_secrets_a_limit_and_abbreviations() {
    let settings = r#"{
        "secret": ["a secret for the tests alone", "the secret before that one"],
        "max_signed_tokens_ttl": 30,
        "leeway_seconds": 0,
        "abbreviations": {"an-action-of-a-plugin": "aap"}
    }"#;
    let report = assert_conforms(settings, register);
    assert!(skipped(&report).is_empty(), "{report}");
}

#[test]
fn it_conforms_when_it_is_switched_off() {
    let report = assert_conforms(r#"{"secret":"a secret for the tests alone","allow_signed_tokens":false}"#, register);
    let names =
        ["claims", "create_then_verify", "changed_bytes", "truncation", "expiry", "restrictions", "concurrency"];
    assert_eq!(skipped(&report), names);
}
