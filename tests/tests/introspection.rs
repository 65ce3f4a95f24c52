//! Introspection (RFC 7662): what is told of which token to whom, and what nobody is told.

use std::process::Command;

use serde_json::{Value, json};
use token_host::{CreateToken, Event, InvalidateTokens, TokenDetails, TokenRestrictions, TokenSelector};
use token_host_tests::{
    HS256, JWT_SECRET, Node, OAuth2, OAuth2Site, Place, Plugin, Python, basic, jwt, repository, run, skipped,
};

use crate::oauth2_server::{APP, SCOPES, refresh, server, tokens, with_clients};

/// A server with clients, and a handler of every kind.
pub(crate) fn every_handler() -> OAuth2 {
    every_handler_with("")
}

/// The same with more in its configuration.
pub(crate) fn every_handler_with(more: &str) -> OAuth2 {
    let oauth2 = OAuth2::of(OAuth2::ISSUER, SCOPES, |scratch| {
        scratch.plugin("jwt", Plugin::Jwt, &format!("secret = '{JWT_SECRET}'"));
        scratch.plugin("database", Plugin::Database, "url = 'sqlite:tokens.db'");
        scratch.plugin("down", Plugin::Hostile, "handlers = [{ name = 'down', claims = ['down_'], verify = 'fail' }]");
        scratch.entry(more);
    });
    with_clients(&oauth2);
    oauth2
}

pub(crate) fn app() -> String {
    basic("app", "xyz")
}

/// A JSON Web Token that is good now, with more claims.
pub(crate) fn jwt_with(more: &Value) -> String {
    let mut claims = json!({ "sub": "ann", "iat": Place::NOW - 10, "exp": Place::NOW + 60, "type": "access" });
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    jwt(HS256, claims.to_string())
}

#[test]
fn an_access_token_is_told_of_as_the_rfc_has_it() {
    let oauth2 = server();
    let token = tokens(&oauth2).text("access_token");
    let id = oauth2.told(&app(), &token)["token_id"].clone();
    let expected = json!({
        "active": true, "sub": "ann", "client_id": "app", "scope": "read write", "exp": Place::NOW + 3600,
        "iss": OAuth2::ISSUER, "jti": id, "token_id": id, "token_type": "Bearer", "token_handler": "oauth2",
        "token_kind": "oauth2",
    });
    assert!(id.is_string());
    let by_form = [("client_id", "other"), ("client_secret", "xyz"), ("token", &token)];
    for told in [
        oauth2.told(&app(), &token),
        oauth2.told(&basic("other", "xyz"), &token),
        oauth2.told(&oauth2.naming("rs", &["introspect"]), &token),
        oauth2.told(&oauth2.naming("root", &["admin"]), &token),
        oauth2.post_form("/oauth2/introspect", &[], &by_form).json(),
    ] {
        assert_eq!(told, expected);
    }
    for hint in ["access_token", "refresh_token", "pony"] {
        let form = [("token", token.as_str()), ("token_type_hint", hint), ("more", "x")];
        assert_eq!(oauth2.post_form("/oauth2/introspect", &[&app()], &form).json(), expected, "{hint}");
    }

    // A client's own, for nothing.
    let own = oauth2.token(APP, &[("grant_type", "client_credentials")]).text("access_token");
    let told = oauth2.told(&app(), &own);
    assert_eq!((&told["sub"], &told["client_id"], told.get("scope")), (&json!("app"), &json!("app"), None));
}

#[test]
fn tokens_of_every_handler_are_told_of() {
    let oauth2 = every_handler();
    let restricted = CreateToken::new("ann").handler("signed").expires_after(60);
    let restricted = restricted.restricted_to(TokenRestrictions::nothing().allow_database("docs", "view-table"));
    let told = oauth2.told(&app(), &oauth2.host.create_token_blocking(&restricted).unwrap().token);
    let expected = json!({
        "active": true, "sub": "ann", "exp": Place::NOW + 60, "token_type": "Bearer", "token_handler": "signed",
        "token_kind": "dstok", "_r": { "d": { "docs": ["vt"] } },
    });
    assert_eq!(told, expected);

    let policy = json!({ "resources": { "user": { "*": { "allow": ["GET"] } } } });
    let mut details = TokenDetails::default();
    details.policy = Some(policy.clone());
    let with_policy = CreateToken::new("ann").handler("database").with_details(details);
    let created = oauth2.host.create_token_blocking(&with_policy).unwrap();
    let expected = json!({
        "active": true, "sub": "ann", "jti": created.id, "token_id": created.id, "token_type": "Bearer",
        "token_handler": "database", "token_kind": "database", "policy": policy,
    });
    assert_eq!(oauth2.told(&app(), &created.token), expected);

    let claims = json!({
        "iss": "https://elsewhere", "aud": ["app", "api"], "nbf": Place::NOW - 20, "jti": "7", "scope": "a b",
        "client_id": "far", "username": "Ann", "active": false, "token_type": "DPoP", "token_handler": "x",
        "error": "x", "role": "editor", "cnf": { "jkt": "k" },
    });
    let expected = json!({
        "active": true, "sub": "ann", "exp": Place::NOW + 60, "iat": Place::NOW - 10, "nbf": Place::NOW - 20,
        "iss": "https://elsewhere", "aud": ["app", "api"], "jti": "7", "scope": "a b", "client_id": "far",
        "username": "Ann", "token_type": "Bearer", "token_handler": "jwt", "token_kind": "jwt", "type": "access",
        "role": "editor", "cnf": { "jkt": "k" },
    });
    assert_eq!(oauth2.told(&app(), &jwt_with(&claims)), expected);
}

#[test]
fn whatever_is_not_good_has_one_answer() {
    let oauth2 = every_handler();
    let create = |handler: &str| {
        let request = CreateToken::new("ann").handler(handler).expires_after(60);
        oauth2.host.create_token_blocking(&request).unwrap().token
    };
    let [kept, expired] = [create("database"), create("database")];
    assert_eq!(oauth2.told(&app(), &kept)["active"], true);
    let revoke = InvalidateTokens::new(TokenSelector::Token(kept.clone()), "");
    oauth2.host.invalidate_tokens_blocking(Some("database"), &revoke).unwrap();
    let opaque = oauth2.token(APP, &[("grant_type", "client_credentials")]).text("access_token");
    let late = jwt_with(&json!({ "nbf": Place::NOW + 5000, "exp": Place::NOW + 9000 }));
    assert_eq!(oauth2.told(&app(), &late), json!({ "active": false }), "its time has not come");
    oauth2.clock.set(Place::NOW + 3600);
    let caller = oauth2.naming("rs", &["introspect"]);
    let refresh_token = tokens(&oauth2).text("refresh_token");
    for token in [
        &kept,
        &expired,
        &create("signed").replace("dstok_", "dstok_x"),
        &opaque,
        &opaque[1..],
        &jwt_with(&json!({})),
        &jwt_with(&json!({ "exp": Place::NOW + 9000 })).replace('.', "_"),
        &refresh_token,
        "tho_",
        "nothing",
        " ",
        "\0",
        "é",
        &"x".repeat(9000),
    ] {
        for caller in [&caller, &basic("other", "xyz")] {
            let reply = oauth2.post_form("/oauth2/introspect", &[caller], &[("token", token)]);
            assert_eq!((reply.status, reply.body.as_str()), (200, r#"{"active":false}"#), "{token}");
            assert_eq!(reply.header("cache-control"), "no-store");
        }
    }
}

#[test]
fn a_refresh_token_is_its_client_s_business() {
    let oauth2 = server();
    let first = tokens(&oauth2).text("refresh_token");
    let expected = json!({
        "active": true, "sub": "ann", "client_id": "app", "scope": "read write", "exp": Place::NOW + 2_592_000,
        "iss": OAuth2::ISSUER, "token_handler": "oauth2", "token_kind": "refresh_token",
    });
    for hint in ["refresh_token", "access_token", "pony"] {
        let ask = |caller: &str, token: &str| {
            oauth2.post_form("/oauth2/introspect", &[caller], &[("token", token), ("token_type_hint", hint)]).json()
        };
        assert_eq!(ask(&app(), &first), expected, "{hint}");
        for caller in [basic("other", "xyz"), oauth2.naming("rs", &["introspect", "admin"])] {
            assert_eq!(ask(&caller, &first), json!({ "active": false }), "it could take it for an access token");
        }
        assert_eq!(ask(&app(), "thr_nothing"), json!({ "active": false }));
    }
    let second = refresh(&oauth2, &first, &[]).text("refresh_token");
    assert_eq!(oauth2.told(&app(), &first), json!({ "active": false }), "it is used up");
    assert_eq!(oauth2.told(&app(), &second)["active"], true, "to ask of one is not to use it");
    oauth2.clock.set(Place::NOW + 2_592_000);
    assert_eq!(oauth2.told(&app(), &second), json!({ "active": false }));
}

#[test]
fn a_token_for_others_is_not_told_of() {
    let oauth2 = every_handler();
    let trusted = oauth2.naming("rs", &["introspect"]);
    for (audience, issued_to, is_told) in [
        (json!("app"), "far", true),
        (json!(["api", "app"]), "far", true),
        (json!("api"), "app", true),
        (json!("api"), "far", false),
        (json!([]), "far", false),
        (json!(["APP"]), "far", false),
    ] {
        let token = jwt_with(&json!({ "aud": audience, "client_id": issued_to }));
        assert_eq!(oauth2.told(&trusted, &token)["active"], true, "{audience}");
        assert_eq!(oauth2.told(&app(), &token)["active"], is_told, "{audience} {issued_to}");
    }
}

#[test]
fn many_are_told_of_at_once() {
    let oauth2 = every_handler();
    let good = tokens(&oauth2);
    let ask = |body: &Value| oauth2.post_json("/oauth2/introspect/bulk", &[&app()], body);
    let [access, refresh_token] = ["access_token", "refresh_token"].map(|name| good.text(name));
    let reply = ask(&json!({ "tokens": [access, "nothing", "down_x", "", refresh_token, access] }));
    assert_eq!((reply.status, reply.header("cache-control")), (200, "no-store"));
    let results = reply.json()["results"].clone();
    let (one, other) = (oauth2.told(&app(), &access), oauth2.told(&app(), &refresh_token));
    let (no, unknown) = (json!({ "active": false }), json!({ "error": "temporarily_unavailable" }));
    assert_eq!(results, json!([one, no, unknown, no, other, one]));
    assert_eq!(ask(&json!({ "tokens": [] })).json(), json!({ "results": [] }));
    let many = |count| json!({ "tokens": vec![access.clone(); count] });
    assert_eq!(ask(&many(100)).json()["results"], Value::from(vec![one; 100]));
    assert_eq!(ask(&many(101)).status, 400);
    for bad in [
        json!({}),
        json!([]),
        json!([["x"]]),
        json!({ "tokens": "x" }),
        json!({ "tokens": [5] }),
        json!({ "tokens": [null] }),
        json!({ "tokens": ["x"], "hint": "x" }),
    ] {
        let reply = ask(&bad);
        assert_eq!((reply.status, reply.text("error").as_str()), (400, "invalid_request"), "{bad}");
    }
    let huge = json!({ "tokens": ["x".repeat(1024 * 1024)] });
    assert_eq!(ask(&huge).status, 413);
    for (authorizations, status) in [(&[][..], 401), (&["Basic !"], 401), (&["Bearer nothing"], 401)] {
        let reply = oauth2.post_json("/oauth2/introspect/bulk", authorizations, &many(1));
        assert_eq!(reply.status, status, "{authorizations:?}");
    }
    let trusted = oauth2.naming("rs", &["introspect"]);
    assert_eq!(oauth2.post_json("/oauth2/introspect/bulk", &[&trusted], &many(1)).status, 200);
    let twice = http::Request::post("/oauth2/introspect/bulk").header("authorization", app());
    let twice = twice.header("content-type", "application/json").body(br#"{"tokens":["a"],"tokens":["b"]}"#.to_vec());
    assert_eq!(oauth2.introspection(&twice.unwrap()).status, 400);
    let form = oauth2.post_form("/oauth2/introspect/bulk", &[&app()], &[("tokens", "x")]);
    assert_eq!(form.status, 400, "expected JSON");
}

#[test]
fn endpoints_are_below_the_issuer_s_path() {
    let oauth2 = OAuth2::of("https://auth.example/tenant", "", |_| {});
    let is_at = |path| oauth2.host.introspection().is_at(path);
    assert!(is_at("/tenant/oauth2/introspect") && is_at("/tenant/oauth2/introspect/bulk"));
    assert!(is_at("/tenant/oauth2/revoke") && is_at("/k8s/tokenreviews"));
    for elsewhere in ["/oauth2/introspect", "/tenantoauth2/introspect", "/tenant/oauth2/introspect/", "/", ""] {
        assert!(!is_at(elsewhere), "{elsewhere}");
    }
}

#[test]
fn who_watches_hears_who_asked_and_no_token() {
    let oauth2 = server();
    let token = tokens(&oauth2).text("access_token");
    let mut events = oauth2.host.subscribe();
    oauth2.told(&app(), &token);
    let heard: Vec<Event> = std::iter::from_fn(|| events.try_next()).collect();
    let [event] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!((event.handler.as_deref(), event.actor_id.as_deref()), (Some("oauth2"), Some("ann")));
    assert_eq!(event.context.as_ref().unwrap().path.as_deref(), Some("/oauth2/introspect"));
    assert!(!serde_json::to_string(&heard).unwrap().contains(&token));
}

/// A client of another make asks about tokens and revokes them; `command` gets issuer, id, secret, and two tokens.
fn asks_and_revokes(mut command: Command) {
    let site = OAuth2Site::start(SCOPES);
    with_clients(&site.oauth2);
    let reply = tokens(&site.oauth2);
    let (access, refresh_token) = (reply.text("access_token"), reply.text("refresh_token"));
    let run = run(command.args([&*site.url, "app", "xyz", &*access, &*refresh_token]), b"");
    assert_eq!(run.code(), 0, "{run}");
    let said: Value = run.json();
    assert_eq!((&said["access"]["sub"], &said["access"]["scope"]), (&json!("ann"), &json!("read write")));
    assert_eq!(said["refresh"]["token_kind"], "refresh_token");
    assert_eq!(said["unknown"], json!({ "active": false }));
    let no = json!({ "active": false });
    assert_eq!((&said["after"]["access"], &said["after"]["refresh"]), (&no, &json!(true)), "one alone was revoked");
    assert_eq!(said["last"], no);
}

#[test]
fn authlib_asks_and_revokes() {
    let Some(python) = skipped("authlib_asks_and_revokes", Python::with_oauth2_clients()) else { return };
    let mut command = python.command();
    command.arg(repository().join("tests/python/oauth2_introspection.py"));
    asks_and_revokes(command);
}

#[test]
fn oauth4webapi_asks_and_revokes() {
    let Some(node) = skipped("oauth4webapi_asks_and_revokes", Node::find()) else { return };
    asks_and_revokes(node.command("oauth2_introspection.mjs"));
}
