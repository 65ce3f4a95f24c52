//! The handler keeps the contract, with every setting that changes what its tokens are.

use token_jwt::register;
use token_plugin_api::conformance::{Outcome, Report, assert_conforms};

const SECRET: &str = "a secret for the tests alone, of more than the sixty-four bytes of HS512";

/// The checks that were skipped; but for what can be measured on some systems only, and that it claims every token.
fn skipped(report: &Report) -> Vec<&str> {
    let skipped = |outcome: &Outcome| matches!(outcome, Outcome::Skipped(_));
    let is_expected = |name: &str| name == "growth" || name == "claims";
    let checks = report.checks.iter().filter(|check| skipped(&check.outcome) && !is_expected(&check.name));
    checks.map(|check| check.name.as_str()).collect()
}

#[test]
fn it_conforms_with_secrets() {
    for settings in [
        serde_json::json!({ "secret": SECRET }),
        serde_json::json!({ "secret": [SECRET, "another secret, older and shorter than the first"], "leeway_seconds": 0 }),
        serde_json::json!({
            "secret": SECRET, "algorithm": "HS512", "issuer": "https://issuer.example", "audience": ["a", "b"],
            "kind": "any", "max_age_seconds": 3600, "typ": "JWT",
        }),
        serde_json::json!({ "secret": SECRET, "id_claim": "email", "revocation": { "url": "none" } }),
        serde_json::json!({ "keys": [{ "kid": "k", "algorithm": "HS384", "secret": SECRET }] }),
    ] {
        let report = assert_conforms(&settings.to_string(), register);
        assert!(skipped(&report).is_empty(), "{settings}: {report}");
    }
}

#[test]
fn it_conforms_with_key_pairs() {
    for (file, algorithm) in [("p256", "ES256"), ("ed25519", "EdDSA"), ("rsa", "PS256")] {
        let key = format!("{}/../../tests/data/jwt/{file}.pem", env!("CARGO_MANIFEST_DIR"));
        let key = std::fs::read_to_string(key).unwrap();
        let keys = serde_json::json!({ "keys": [{ "algorithm": algorithm, "key": key }] });
        let report = assert_conforms(&keys.to_string(), register);
        assert!(skipped(&report).is_empty(), "{algorithm}: {report}");
    }
}

#[test]
fn it_conforms_with_a_key_set_and_makes_nothing_then() {
    let set = format!("{}/../../tests/data/jwt/jwks.json", env!("CARGO_MANIFEST_DIR"));
    let report = assert_conforms(&serde_json::json!({ "jwks": { "path": set } }).to_string(), register);
    assert!(skipped(&report).contains(&"create_then_verify"), "{report}");
}
