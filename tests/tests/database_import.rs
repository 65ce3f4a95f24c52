//! Tokens of other systems, from databases that the real systems made: they go on working here.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use token_host::{Host, ReasonKind};
use token_host_tests::{
    Made, Place, Python, Run, Said, Skip, listed, now, on_each_database, repository, said, skipped,
};

on_each_database! {
    djblets_tokens_go_on_working,
    knox_tokens_go_on_working_and_move_to_our_digest,
    datasette_auth_tokens_go_on_working,
    an_import_that_cannot_be_is_refused_and_leaves_nothing,
}

/// What the real system says it has put into the file `foreign.db`.
fn foreign(place: &Place, system: &str, python: Result<Python, Skip>) -> Result<Value, Skip> {
    let mut command = python?.command();
    command.arg(repository().join("tests/python/import_fixtures.py"));
    let output = command.arg(system).arg(file(place)).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout).unwrap())
}

fn file(place: &Place) -> PathBuf {
    place.scratch.join("foreign.db")
}

fn import(place: &Place, system: &str, more: &[&str]) -> Run {
    let from = format!("--from=sqlite:{}", file(place).display());
    let arguments = [&["import", system, &from], more].concat();
    let mut command = place.scratch.command(arguments);
    token_host_tests::run(command.env("THEIR_SECRET", "secret"), b"")
}

/// Imports all of it, in every way that there is; what was brought over.
fn imported(place: &Place, system: &str, more: &[&str], expected: &Value) {
    let dry = import(place, system, &[more, &["--dry-run", "--json"]].concat());
    assert_eq!(dry.code(), 0, "{dry}");
    let before = fs::read(file(place)).unwrap();
    let counts = |run: &Run, is_dry_run: bool| {
        let mut counts = run.json();
        assert_eq!(counts["dry_run"], is_dry_run, "{counts}");
        counts.as_object_mut().unwrap().retain(|key, _| !["dry_run", "notes"].contains(&key.as_str()));
        counts
    };
    assert_eq!(counts(&dry, true), *expected);
    assert!(listed(&place.host(), |_| {}).is_empty(), "nothing is kept of a dry run");
    assert_eq!(place.scratch.run(["actor", "list", "--json"]).json()["actors"], json!([]));
    assert_eq!(import(place, system, more).code(), 2, "it asks");
    let done = import(place, system, &[more, &["--yes", "--json"]].concat());
    assert_eq!(done.code(), 0, "{done}");
    assert_eq!(counts(&done, false), *expected);
    let again = import(place, system, &[more, &["--yes", "--json"]].concat());
    let mut all_present = expected.clone();
    all_present["present"] = expected["imported"].clone();
    (all_present["imported"], all_present["inactive_actors"]) = (json!(0), json!(0));
    assert_eq!(counts(&again, true), all_present, "nothing was left to be done");
    assert!(fs::read(file(place)).unwrap() == before, "the other database is only read");
}

fn token(made: &Value) -> &str {
    made["token"].as_str().unwrap()
}

fn actor(host: &Host, made: &Value) -> Value {
    json!(host.verify_token_blocking(token(made)).unwrap().unwrap())
}

fn djblets_tokens_go_on_working(place: Place) {
    let name = "djblets_tokens_go_on_working";
    let Some(made) = skipped(name, foreign(&place, "django", Python::with_djblets())) else { return };
    place.clock.set(now());
    let expected = json!({ "total": 11, "read": 11, "imported": 10, "present": 0, "skipped": 1, "inactive_actors": 1 });
    imported(&place, "djblets", &[], &expected);
    let (host, made) = (place.host(), &made["djblets"]);
    let said = |name: &str| said(&host, token(&made[name]));
    for good in ["plain", "legacy", "policy", "no_policy", "expiring", "used", "no_json"] {
        assert_eq!(said(good), Said::Good, "{good}");
        let actor = actor(&host, &made[good]);
        assert_eq!(actor["id"], made[good]["actor_id"], "{good}");
        assert_eq!(actor.get("policy").unwrap_or(&Value::Null), &made[good]["policy"], "{good}: as it was there");
        assert_eq!(actor.get("token_deprecated"), (good == "legacy").then_some(&json!(true)));
    }
    assert!(matches!(said("expired"), Said::Bad(ReasonKind::Expired, _)), "{:?}", said("expired"));
    assert!(matches!(said("inactive"), Said::Bad(ReasonKind::Disabled, _)), "{:?}", said("inactive"));
    let Said::Bad(ReasonKind::Revoked, message) = said("revoked") else { panic!("{:?}", said("revoked")) };
    assert!(
        message.starts_with("This API token became invalid on ") && message.ends_with(" UTC: it leaked"),
        "{message}"
    );
    assert_eq!(said("faulty"), Said::Unknown);
    let held = host.verify_token_blocking(token(&made["policy"])).unwrap().unwrap();
    assert!(held.allows_resource("any", "GET", None) && !held.allows_resource("review", "GET", Some("42")));
    for name in ["plain", "legacy", "revoked", "used", "expiring", "policy"] {
        let shown = place.scratch.feed(["show", "--token", "-", "--json"], token(&made[name]).as_bytes()).json();
        for key in
            ["actor_id", "token_generator_id", "created_at", "expires_at", "valid", "invalid_at", "policy", "extra"]
        {
            assert_eq!(shown.get(key).unwrap_or(&Value::Null), &made[name][key], "{name}: {key}");
        }
        let text = |key: &str| shown[key].as_str().unwrap_or_default().to_owned();
        assert_eq!(
            json!([text("note"), text("invalid_reason")]),
            json!([made[name]["note"], made[name]["invalid_reason"]])
        );
    }
    let run = place.scratch.run(["actor", "activate", "gone"]);
    assert_eq!((run.code(), said("inactive")), (0, Said::Good), "{run}");
    // In Djblets' own order a new one comes behind them.
    assert!(Made::by(&host, "root").is_good(&host));
}

fn knox_tokens_go_on_working_and_move_to_our_digest(place: Place) {
    let name = "knox_tokens_go_on_working_and_move_to_our_digest";
    let Some(made) = skipped(name, foreign(&place, "django", Python::with_djblets())) else { return };
    place.clock.set(now());
    let expected = json!({ "total": 4, "read": 4, "imported": 4, "present": 0, "skipped": 0, "inactive_actors": 1 });
    imported(&place, "django-rest-knox", &[], &expected);
    let (host, made) = (place.host(), &made["knox"]);
    let digests = || place.sql("SELECT digest FROM tokens ORDER BY id");
    let ours = |name: &str| {
        let digest = Sha256::digest(token(&made[name]));
        digests().contains(&digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    };
    for good in ["expiring", "eternal"] {
        assert!(!ours(good));
        assert_eq!(actor(&host, &made[good])["id"], made[good]["actor_id"], "{good}");
    }
    drop(host);
    assert!(ours("expiring") && ours("eternal") && !ours("inactive"), "those that were used");
    let host = place.host();
    for good in ["expiring", "eternal"] {
        assert_eq!(actor(&host, &made[good])["id"], made[good]["actor_id"], "{good}");
    }
    assert!(matches!(said(&host, token(&made["expired"])), Said::Bad(ReasonKind::Expired, _)));
    assert!(matches!(said(&host, token(&made["inactive"])), Said::Bad(ReasonKind::Disabled, _)));
    for name in ["expiring", "inactive"] {
        let shown = place.scratch.feed(["show", "--token", "-", "--json"], token(&made[name]).as_bytes()).json();
        assert_eq!(shown["actor_id"], made[name]["actor_id"], "{name}");
    }
    assert_eq!(
        import(&place, "django-rest-knox", &["--yes", "--json"]).json()["present"],
        2,
        "under their own digests"
    );
}

fn datasette_auth_tokens_go_on_working(place: Place) {
    let name = "datasette_auth_tokens_go_on_working";
    let made = foreign(&place, "datasette", Python::with_datasette_auth_tokens());
    let Some(made) = skipped(name, made) else { return };
    place.clock.set(now());
    let expected = json!({ "total": 6, "read": 6, "imported": 5, "present": 0, "skipped": 1, "inactive_actors": 0 });
    imported(&place, "datasette-auth-tokens", &["--option-env=secret=THEIR_SECRET"], &expected);
    let host = place.host();
    for name in ["plain", "restricted", "expiring", "expired", "revoked"] {
        let is_good = said(&host, token(&made[name])) == Said::Good;
        assert_eq!(json!(is_good), made[name]["verified"], "{name}: as Datasette has it");
    }
    let restricted = actor(&host, &made["restricted"]);
    assert_eq!(
        (&restricted["id"], &restricted["_r"]),
        (&json!("rööt"), &json!({ "a": ["vi"], "r": { "docs": { "pages": ["ir"] } } }))
    );
    let forged = format!("{}x", token(&made["plain"]));
    assert_eq!(said(&host, &forged), Said::Unknown);
    let stolen = place.stolen();
    for name in ["plain", "restricted", "expiring"] {
        let value = token(&made[name]).as_bytes();
        assert!(!stolen.windows(value.len()).any(|window| window == value), "{name}");
    }
}

fn an_import_that_cannot_be_is_refused_and_leaves_nothing(place: Place) {
    for (content, system, code, expected) in [
        (None, "djblets", 2, "there is no such file"),
        (Some("no database, whatever its name says"), "djblets", 2, "it is not a SQLite file"),
        (None, "phlask", 2, "invalid value"),
    ] {
        if let Some(content) = content {
            place.scratch.file("foreign.db", content);
        }
        let run = import(&place, system, &["--yes"]);
        assert!(run.code() == code && run.stderr.contains(expected), "{expected}: {run}");
    }
    assert!(listed(&place.host(), |_| {}).is_empty());
}
