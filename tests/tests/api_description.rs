//! What the API says of itself, and whether it is true: Schemathesis holds the one against the other.

use std::{collections::BTreeSet, process::Command};

use serde_json::{Value, json};
use token_host_tests::{Api, Python, run, skipped};

#[test]
fn it_is_served_to_everybody_and_names_every_operation() {
    let api = Api::new();
    let reply = api.ask_as(&[], "GET", "/api/v1/openapi.json");
    assert_eq!((reply.status, reply.header("content-type")), (200, "application/json"));
    assert_eq!(reply.header("cache-control"), "no-store");
    let document = reply.json();
    assert_eq!((&document["openapi"], &document["info"]["title"]), (&json!("3.1.0"), &json!("token-host")));
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    let expected = [
        "/api/v1/actors",
        "/api/v1/actors/{actor}",
        "/api/v1/actors/{actor}/invalidate",
        "/api/v1/events",
        "/api/v1/explain",
        "/api/v1/me",
        "/api/v1/metrics",
        "/api/v1/openapi.json",
        "/api/v1/plugins",
        "/api/v1/plugins/order",
        "/api/v1/plugins/plan",
        "/api/v1/plugins/reload",
        "/api/v1/tokens",
        "/api/v1/tokens/invalidate",
        "/api/v1/tokens/{id}",
    ];
    assert_eq!(paths.into_iter().collect::<BTreeSet<_>>(), expected.map(str::to_owned).iter().collect());
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let is_open = path == "/api/v1/openapi.json";
            let security = if is_open { json!([{}]) } else { json!([{ "bearer": [] }]) };
            assert_eq!(operation["security"], security, "{method} {path}");
            assert_eq!(operation["responses"].get("401").is_none(), is_open, "{method} {path}");
            assert!(operation["operationId"].is_string() && operation["summary"].is_string(), "{method} {path}");
        }
    }
    for reference in references(&document) {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

fn references(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Object(map) => {
            let own = map.get("$ref").and_then(Value::as_str).map(str::to_owned);
            own.into_iter().chain(map.values().flat_map(references)).collect()
        }
        Value::Array(list) => list.iter().flat_map(references).collect(),
        _ => BTreeSet::new(),
    }
}

#[test]
fn schemathesis_finds_it_to_be_true() {
    let Some(python) = skipped("schemathesis_finds_it_to_be_true", Python::with_schemathesis()) else { return };
    let api = Api::new();
    // Something for those operations that want something.
    for actor in ["ann", "0", "1"] {
        api.kept(actor);
    }
    // These say that somebody else than the API is at fault.
    let settings = "[checks.not_a_server_error]\nexpected-statuses = ['2xx', '4xx', 501, 503]\n";
    let settings = api.scratch.file("schemathesis.toml", settings);
    let mut command: Command = python.command();
    command.args(["-m", "schemathesis.cli"]).arg("--config-file").arg(settings);
    command.args(["run", &format!("{}/api/v1/openapi.json", api.served.url)]);
    command.args(["--header", &format!("Authorization: {}", api.admin)]);
    // A stream has no end. What is well-formed and cannot be done is 400 as well: an order that leaves out an entry.
    command.args([
        "--exclude-path",
        "/api/v1/events",
        "--checks",
        "all",
        "--exclude-checks",
        "positive_data_acceptance",
    ]);
    command.args(["--phases", "examples,coverage,fuzzing", "--max-examples", "10", "--seed", "1"]);
    command.args(["--request-timeout", "20", "--no-color", "--suppress-health-check", "all"]);
    let checked = run(command.current_dir(api.scratch.path()), b"");
    assert_eq!(checked.code(), 0, "{checked}");
    assert!(checked.stdout.contains("17 total"), "{checked}");
    assert_eq!(api.ask("GET", "/api/v1/me").status, 200, "it goes on");
}
