//! Who may use the API under `/api/v1`, and what everybody is answered.

use serde_json::json;
use token_host_tests::{Api, JWT_SECRET, Plugin, Reply, Scratch, wait_until};

/// What every operation answers to somebody who may not: by method and path.
const OPERATIONS: [(&str, &str); 16] = [
    ("GET", "/api/v1/me"),
    ("GET", "/api/v1/tokens?everyone=true"),
    ("POST", "/api/v1/tokens"),
    ("GET", "/api/v1/tokens/1"),
    ("PATCH", "/api/v1/tokens/1"),
    ("DELETE", "/api/v1/tokens/1"),
    ("POST", "/api/v1/tokens/invalidate"),
    ("GET", "/api/v1/actors"),
    ("PUT", "/api/v1/actors/ann"),
    ("POST", "/api/v1/actors/ann/invalidate"),
    ("GET", "/api/v1/plugins"),
    ("POST", "/api/v1/plugins/reload"),
    ("POST", "/api/v1/plugins/plan"),
    ("PUT", "/api/v1/plugins/order"),
    ("POST", "/api/v1/explain"),
    ("GET", "/api/v1/events"),
];

/// Checks that it is a problem document that nobody keeps, of this kind.
pub(crate) fn problem(reply: &Reply, status: u16, kind: &str) {
    assert_eq!((reply.status, reply.header("content-type")), (status, "application/problem+json"), "{reply:?}");
    assert_eq!(reply.header("cache-control"), "no-store", "{reply:?}");
    let told = reply.json();
    assert_eq!(told["type"], format!("urn:token-host:problem:{kind}"), "{reply:?}");
    assert_eq!(told["status"], status);
    assert!(told["title"].is_string() && told["detail"].is_string(), "{told}");
}

fn challenge(reply: &Reply) -> (u16, &str) {
    let challenge = reply.header("www-authenticate");
    (reply.status, challenge.split("error=\"").nth(1).map_or("", |rest| rest.split('"').next().unwrap()))
}

#[test]
fn every_operation_wants_a_token_that_names_admin() {
    let api = Api::new();
    let bearer = |arguments: &[&str]| api.bearer(arguments);
    let unrestricted = bearer(&["root"]);
    let restricted = bearer(&["root", "--all", "view-instance"]);
    let elsewhere = bearer(&["root", "--database", "docs", "admin"]);
    // Whoever makes their own tokens could write this into one.
    let other = bearer(&["ann", "--all", "admin"]);
    let forged = format!("{}x", api.admin);
    for (method, path) in OPERATIONS {
        let of = |authorizations: &[&str]| api.ask_as(authorizations, method, path);
        let none = of(&[]);
        problem(&none, 401, "token-required");
        assert_eq!(none.header("www-authenticate"), r#"Bearer realm="token-host""#, "{method} {path}");
        assert_eq!(none.header("cross-origin-resource-policy"), "same-origin");
        assert!(none.headers.iter().all(|(name, _)| !name.as_str().starts_with("access-control")), "{none:?}");
        problem(&of(&["Basic cm9vdDpyb290"]), 401, "token-required");
        let bad = of(&[&forged]);
        problem(&bad, 401, "token-invalid");
        assert_eq!(challenge(&bad), (401, "invalid_token"), "{method} {path}");
        for good in [&unrestricted, &restricted, &elsewhere, &other] {
            let refused = of(&[good]);
            problem(&refused, 403, "insufficient-scope");
            assert_eq!(challenge(&refused), (403, "insufficient_scope"), "{method} {path}");
            assert!(refused.header("www-authenticate").ends_with(r#", scope="admin""#));
        }
        let twice = of(&[&api.admin, &api.admin]);
        problem(&twice, 400, "invalid-request");
        assert_eq!(challenge(&twice), (400, "invalid_request"));
    }
    for scheme in ["bearer", "token"] {
        let me = api.ask_as(&[&api.admin.replace("Bearer", scheme)], "GET", "/api/v1/me");
        assert_eq!(me.status, 200, "{me:?}");
    }
    let me = api.get("/api/v1/me");
    assert_eq!(
        me,
        json!({ "actor": { "id": "root", "token": "dstok", "_r": { "a": ["admin"] } }, "handler": "signed" })
    );
}

#[test]
fn only_the_header_counts() {
    let mut scratch = Scratch::new();
    scratch.signed("");
    scratch.entry("[http]\ntoken_cookie = 'session'\ntoken_query = 'access_token'\ntoken_header = 'x-api-key'");
    let api = Api::of(scratch);
    let token = api.admin.strip_prefix("Bearer ").unwrap();
    let cookie = format!("session={token}");
    problem(&api.ask_with("GET", "/api/v1/me", &[("cookie", &cookie)], ""), 401, "token-required");
    problem(&api.ask_with("GET", "/api/v1/me", &[("x-api-key", token)], ""), 401, "token-required");
    problem(&api.ask_as(&[], "GET", &format!("/api/v1/plugins?access_token={token}")), 401, "token-required");
    let auth = api.ask_with("GET", "/auth", &[("cookie", &cookie)], "");
    assert_eq!(auth.status, 200, "elsewhere it counts: {auth:?}");
}

#[test]
fn the_configuration_may_name_who_may() {
    let mut scratch = Scratch::new();
    scratch.signed("").plugin("jwt", Plugin::Jwt, &format!("secret = '{JWT_SECRET}'"));
    scratch.entry("[http.admin]\nactors = ['root', 'ann']\nhandlers = ['signed']");
    let api = Api::of(scratch);
    assert_eq!(api.ask("GET", "/api/v1/me").status, 200);
    assert_eq!(api.ask_as(&[&api.bearer(&["ann", "--all", "admin"])], "GET", "/api/v1/me").status, 200);
    let other = api.bearer(&["bob", "--all", "admin"]);
    problem(&api.ask_as(&[&other], "GET", "/api/v1/me"), 403, "insufficient-scope");
    let made = api.send(
        "POST",
        "/api/v1/tokens",
        &json!({ "actor_id": "root", "handler": "jwt", "restrictions": { "a": ["admin"] } }),
    );
    assert_eq!(made.status, 201, "{made:?}");
    let by_jwt = format!("Bearer {}", made.text("token"));
    assert_eq!(api.ask_as(&[&by_jwt], "GET", "/auth?action=admin").status, 200);
    problem(&api.ask_as(&[&by_jwt], "GET", "/api/v1/me"), 403, "insufficient-scope");
}

#[test]
fn failures_are_limited_and_good_tokens_are_not() {
    let mut scratch = Scratch::new();
    scratch.signed("").entry("[http]\nfailures_per_address = 3");
    let api = Api::of(scratch);
    for _ in 0..3 {
        problem(&api.ask_as(&["Bearer nonsense"], "GET", "/api/v1/me"), 401, "token-invalid");
    }
    let limited = api.ask_as(&["Bearer nonsense"], "GET", "/api/v1/me");
    problem(&limited, 429, "too-many-attempts");
    assert!(limited.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert_eq!(api.ask("GET", "/api/v1/me").status, 200);
}

#[test]
fn the_api_can_be_switched_off_while_it_serves() {
    let mut scratch = Scratch::new();
    scratch.signed("");
    let mut api = Api::of(scratch);
    assert_eq!(api.ask("GET", "/api/v1/me").status, 200);
    api.scratch.entry("[http]\napi = false");
    wait_until("the configuration is read again", || (api.ask("GET", "/api/v1/me").status == 404).then_some(()));
    for (method, path) in OPERATIONS.into_iter().chain([("GET", "/api/v1/openapi.json"), ("PUT", "/api/v1/me")]) {
        problem(&api.ask(method, path), 404, "not-found");
        problem(&api.ask_as(&[], method, path), 404, "not-found");
    }
}

#[test]
fn what_is_not_there_is_said_to_be() {
    let api = Api::new();
    problem(&api.ask("GET", "/api/v1"), 404, "not-found");
    problem(&api.ask("GET", "/api/v1/nothing"), 404, "not-found");
    problem(&api.ask("GET", "/api/v1/tokens/"), 404, "not-found");
    for (method, path) in [("PUT", "/api/v1/tokens"), ("POST", "/api/v1/me"), ("GET", "/api/v1/plugins/order")] {
        let reply = api.ask(method, path);
        problem(&reply, 405, "wrong-method");
        assert!(!reply.header("allow").is_empty(), "{reply:?}");
    }
}
