//! The signed plugin's own settings, where Datasette has none.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use token_host::{CreateToken, Host, TokenRestrictions};
use token_host_tests::{SECRET, Scratch, forge, now};

fn signed(settings: &str) -> Scratch {
    let mut scratch = Scratch::new();
    scratch.signed(settings);
    scratch
}

/// What `check` says about settings that are not good.
fn refusal(settings: &str) -> String {
    let checked = signed(settings).run(["check"]);
    assert_eq!(checked.code(), 6, "{settings}: {checked}");
    format!("{checked}")
}

/// What a token that is not compressed says.
fn payload(token: &str) -> Value {
    let encoded = token.strip_prefix("dstok_").unwrap().split('.').next().unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(encoded).unwrap()).unwrap()
}

#[test]
fn a_leeway_beyond_which_clocks_want_mending() {
    let said = refusal("leeway_seconds = 301");
    assert!(said.contains("plugins.toml:9:1: plugin \"signed\": "), "{said}");
    assert!(said.contains("`leeway_seconds`: expected at most 300 s"), "{said}");
    let checked = signed("leeway_seconds = 300").run(["check"]);
    assert_eq!(checked.code(), 0, "{checked}");
}

#[test]
fn an_action_of_ones_own_has_its_abbreviation_in_the_token_and_its_name_in_the_actor() {
    let scratch = signed("abbreviations = { 'run-report' = 'rr' }");
    let host = Host::from_file(scratch.config()).unwrap();
    let restrictions = TokenRestrictions::nothing()
        .allow_all("view-instance")
        .allow_database("docs", "run-report")
        .allow_resource("other", "t", "run-report")
        .allow_resource("other", "t", "else");
    let created = host.create_token_blocking(&CreateToken::new("root").restricted_to(restrictions)).unwrap();
    let short = json!({ "a": ["vi"], "d": { "docs": ["rr"] }, "r": { "other": { "t": ["rr", "else"] } } });
    assert_eq!(payload(&created.token)["_r"], short);
    let by_hand = forge(SECRET, json!({ "a": "root", "t": now(), "_r": short }).to_string());
    for token in [created.token, by_hand] {
        let actor = host.verify_token_blocking(&token).unwrap().unwrap();
        let allows = |database, resource| actor.allows("run-report", Some(database), resource);
        assert!(allows("docs", None) && allows("docs", Some("any")) && allows("other", Some("t")));
        assert!(!allows("other", None) && !actor.allows("run-report", None, None));
        assert!(actor.allows("view-instance", None, None) && actor.allows("else", Some("other"), Some("t")));
        let shown = scratch.run(["verify", &token]).json();
        assert_eq!(shown["_r"]["d"], json!({ "docs": ["run-report"] }), "spelled out for whoever reads it");
    }
}

#[test]
fn an_abbreviation_that_could_mean_something_else() {
    for (abbreviations, name) in [
        ("'run-report' = 'vi'", "run-report"),
        ("'run-report' = 'view-instance'", "run-report"),
        ("'view-instance' = 'xx'", "view-instance"),
        ("'vi' = 'xx'", "vi"),
        ("'run-report' = 'run-report'", "run-report"),
        ("'one' = 'x', 'other' = 'x'", "one"),
        ("'one' = 'other', 'other' = 'x'", "one"),
    ] {
        let said = refusal(&format!("abbreviations = {{ {abbreviations} }}"));
        let expected = format!("plugin \"signed\": its configuration is not good: `abbreviations.{name}`: ");
        assert!(said.contains(&expected) && said.contains("another action already"), "{abbreviations}: {said}");
        assert!(said.contains("plugins.toml:9:"), "{abbreviations}: {said}");
    }
}
