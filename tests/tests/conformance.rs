//! `token-host conformance`: the suite over libraries, good and bad ones.

use std::fs;

use serde_json::{Value, json};
use token_host_tests::{JWT_SECRET, Place, Plugin, SECRET, Scratch};

fn failed(report: &Value) -> Vec<(String, String)> {
    let checks = report["checks"].as_array().unwrap().iter();
    let failure = |check: &Value| {
        let why = check["outcome"]["failed"].as_str()?;
        Some((check["name"].as_str().unwrap().to_owned(), why.to_owned()))
    };
    checks.filter_map(failure).collect()
}

#[test]
fn the_shipped_plugin_conforms_and_nothing_is_skipped() {
    let mut scratch = Scratch::new();
    scratch.signed("");
    let library = scratch.library(Plugin::Signed);
    let run = scratch.run(["conformance", library.to_str().unwrap(), "--json"]);
    assert_eq!(run.code(), 0, "{run}");
    let report = run.json();
    let checks = report["checks"].as_array().unwrap();
    assert!(checks.len() >= 12 && checks.iter().all(|check| check["outcome"] == json!("passed")), "{report}");
    let people = scratch.run(["conformance", library.to_str().unwrap()]);
    assert!(people.code() == 0 && people.stdout.lines().count() == checks.len(), "{people}");
}

#[test]
fn the_jwt_plugin_conforms_and_only_claims_nothing() {
    let mut scratch = Scratch::new();
    scratch.plugin("jwt", Plugin::Jwt, &format!("secret = '{JWT_SECRET}'"));
    let library = scratch.library(Plugin::Jwt);
    let run = scratch.run(["conformance", library.to_str().unwrap(), "--json"]);
    assert_eq!(run.code(), 0, "{run}");
    let report = run.json();
    let others = report["checks"].as_array().unwrap().iter().filter(|check| check["outcome"] != json!("passed"));
    let others: Vec<&Value> = others.map(|check| &check["name"]).collect();
    assert_eq!(others, ["claims"], "it is asked about every token: {report}");
}

#[test]
fn the_database_plugin_conforms_and_generators_that_want_to_know_more_are_left_out() {
    let place = Place::sqlite();
    let library = place.library();
    let run = place.scratch.run(["conformance", library.to_str().unwrap(), "--json"]);
    assert_eq!(run.code(), 0, "{run}");
    let report = run.json();
    let others = report["checks"].as_array().unwrap().iter().filter(|check| check["outcome"] != json!("passed"));
    let others: Vec<&Value> = others.map(|check| &check["name"]).collect();
    let of_generators = ["generators", "generator_checksums"];
    let expected = [&["claims"][..], &of_generators, &of_generators].concat();
    assert_eq!(others, expected, "it is asked about every token: {report}");
}

#[test]
fn settings_come_from_the_entry_that_names_the_file() {
    let mut scratch = Scratch::new();
    scratch.host("search = ['libraries']").entry("[[plugin]]\nname = 'signed'\nfile = 'token_signed'");
    scratch.entry(&format!("[plugin.config]\nsecret = '{SECRET}'"));
    let library = scratch.library(Plugin::Signed);
    assert_eq!(scratch.run(["conformance", library.to_str().unwrap()]).code(), 0);
    fs::remove_file(scratch.config()).unwrap();
    let run = scratch.run(["conformance", library.to_str().unwrap()]);
    assert!(run.code() == 6 && run.stdout.contains("missing field `secret`"), "without one there are none: {run}");
}

#[test]
fn what_does_not_conform_is_told_check_by_check() {
    let mut scratch = Scratch::new();
    // It accepts whatever it sees.
    scratch.plugin("x", Plugin::Hostile, "handlers = [{ name = 'h' }]");
    let library = scratch.library(Plugin::Hostile);
    let run = scratch.run(["conformance", library.to_str().unwrap(), "--json"]);
    assert_eq!(run.code(), 6, "{run}");
    let names: Vec<String> = failed(&run.json()).into_iter().map(|(name, _)| name).collect();
    assert!(names.contains(&"hostile_tokens".to_owned()), "{run}");
}

#[cfg(unix)]
#[test]
fn a_crash_is_the_failure_of_the_check_that_had_begun() {
    let mut scratch = Scratch::new();
    scratch.plugin("x", Plugin::Hostile, "handlers = [{ name = 'h', verify = 'abort' }]");
    let library = scratch.library(Plugin::Hostile);
    let run = scratch.run(["conformance", library.to_str().unwrap(), "--json"]);
    assert_eq!(run.code(), 6, "{run}");
    let failures = failed(&run.json());
    assert!(failures.last().unwrap().1.starts_with("the process crashed (SIGABRT)"), "{failures:?}");
}

#[test]
fn a_file_that_is_no_plugin_is_refused() {
    let scratch = Scratch::new();
    let file = scratch.file("x.so", "no library");
    let run = scratch.run(["conformance", file.to_str().unwrap()]);
    assert!(run.code() == 6 && run.stderr.contains("it is a file of unknown format"), "{run}");
}
