//! The handler keeps the contract, with every setting that changes what its tokens are.

use serde_json::{Value, json};
use tempfile::TempDir;
use token_database::register;
use token_host_tests::Postgres;
use token_plugin_api::conformance::{Outcome, Report, assert_conforms};

/// The checks that were skipped; but for what can be measured on some systems only.
fn skipped(report: &Report) -> Vec<&str> {
    let skipped = |outcome: &Outcome| matches!(outcome, Outcome::Skipped(_));
    let checks = report.checks.iter().filter(|check| skipped(&check.outcome) && check.name != "growth");
    checks.map(|check| check.name.as_str()).collect()
}

/// What is said of it with these settings, and a database in this folder: that it conforms.
fn conforming(folder: &TempDir, settings: Value) -> Report {
    conforming_in(&format!("sqlite:{}", folder.path().join("tokens.db").display()), settings)
}

fn conforming_in(url: &str, mut settings: Value) -> Report {
    settings["url"] = json!(url);
    assert_conforms(&settings.to_string(), register)
}

/// Djblets' two generators want to be told something, and the suite tells them nothing.
const GENERATORS: [&str; 4] = ["generators", "generator_checksums", "generators", "generator_checksums"];

#[test]
fn it_conforms_with_every_form_of_token() {
    for settings in [
        json!({}),
        json!({ "pepper": ["a new pepper, long enough", "an old pepper, long enough"], "policy_default": "deny" }),
        json!({ "cache": { "tokens": 100 }, "last_used_seconds": 1 }),
    ] {
        let report = conforming(&tempfile::tempdir().unwrap(), settings);
        assert_eq!(
            skipped(&report),
            [&["claims"][..], &GENERATORS].concat(),
            "it is asked about every token: {report}"
        );
    }
}

#[test]
fn it_conforms_on_postgresql() {
    let Some(server) = token_host_tests::skipped("it_conforms_on_postgresql", Postgres::shared()) else { return };
    let report = conforming_in(&server.fresh_database().url(), json!({ "cache": { "tokens": 100 } }));
    assert_eq!(skipped(&report), [&["claims"][..], &GENERATORS].concat(), "{report}");
}

#[test]
fn it_conforms_with_its_own_form_alone() {
    let folder = tempfile::tempdir().unwrap();
    let report = conforming(&folder, json!({ "accept": ["token_host"], "prefix": "acme" }));
    assert_eq!(skipped(&report), GENERATORS, "{report}");
}
