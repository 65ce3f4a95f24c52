//! The authorization server as its clients see it: real ones over HTTP, and each grant asked directly.

use std::{process::Command, time::Instant};

use serde_json::{Value, json};
use token_host::{Client, ErrorKind, Event, EventKind, Host, block_on};
use token_host_tests::{
    Node, OAuth2, OAuth2Site, Place, Plugin, Python, Reply, Run, allow_over_http, repository, run, skipped,
    walk_with_the_crate,
};

/// Scopes for all tests of the server.
pub(crate) const SCOPES: &str = "scopes = { read = 'See your notes', write = 'Change your notes' }\n";
pub(crate) const BACK: &str = "https://app.example/back";
/// RFC 7636, appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: [(&str, &str); 2] =
    [("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"), ("code_challenge_method", "S256")];
pub(crate) const APP: Option<(&str, &str)> = Some(("app", "xyz"));

/// A server with a confidential client `app` and a public one `device`.
pub(crate) fn server() -> OAuth2 {
    server_with("")
}

/// The same with more settings.
pub(crate) fn server_with(settings: &str) -> OAuth2 {
    let oauth2 = OAuth2::new(&format!("{settings}\n{SCOPES}"));
    with_clients(&oauth2);
    oauth2
}

/// Adds them.
pub(crate) fn with_clients(oauth2: &OAuth2) {
    let to_back = |client: &mut Client| client.redirect_uris = vec![BACK.to_owned()];
    oauth2.add("app", Some("xyz"), to_back).add("device", None, to_back).add("other", Some("xyz"), to_back);
}

/// What a request for a code has in it, with more.
pub(crate) fn asking<'p>(client_id: &'p str, more: &[(&'p str, &'p str)]) -> Vec<(&'p str, &'p str)> {
    let usual = [("client_id", client_id), ("response_type", "code"), ("redirect_uri", BACK), ("state", "s t&")];
    usual.into_iter().chain(more.iter().copied()).collect()
}

/// A code for `read` and `write` that was asked for with the challenge.
pub(crate) fn code(oauth2: &OAuth2, client_id: &str) -> String {
    let query = [CHALLENGE[0], CHALLENGE[1], ("scope", "read write")];
    oauth2.allow(&oauth2.user("ann"), &asking(client_id, &query))["code"].clone()
}

/// What a client exchanges a code with.
pub(crate) fn exchange(code: &str) -> [(&str, &str); 4] {
    let grant_type = ("grant_type", "authorization_code");
    [grant_type, ("code", code), ("redirect_uri", BACK), ("code_verifier", VERIFIER)]
}

/// The tokens of a new code of `app`.
pub(crate) fn tokens(oauth2: &OAuth2) -> Reply {
    let reply = oauth2.token(APP, &exchange(&code(oauth2, "app")));
    assert_eq!(reply.status, 200, "{reply:?}");
    reply
}

pub(crate) fn refresh(oauth2: &OAuth2, refresh_token: &str, more: &[(&str, &str)]) -> Reply {
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
    oauth2.token(APP, &form.iter().chain(more).copied().collect::<Vec<_>>())
}

/// Whom a token stands for.
pub(crate) fn actor(host: &Host, token: &str) -> Option<Value> {
    match host.verify_token_blocking(token) {
        Ok(actor) => actor.map(|actor| serde_json::to_value(actor).unwrap()),
        Err(error) if matches!(error.kind(), ErrorKind::TokenInvalid(_)) => None,
        Err(error) => panic!("{error}"),
    }
}

#[track_caller]
pub(crate) fn is_error(reply: &Reply, status: u16, code: &str) {
    assert_eq!((reply.status, reply.text("error").as_str()), (status, code), "{reply:?}");
}

/// A client of another make walks through everything; `run` gets issuer, id, secret, redirect URI and the user's token.
fn walks(run: impl FnOnce(&str, &str, &str, &str, &str) -> Value) {
    let site = OAuth2Site::start(SCOPES);
    with_clients(&site.oauth2);
    site.oauth2.hash("app", "xyz");
    let said = run(&site.url, "app", "xyz", BACK, &site.oauth2.user("ann"));
    assert_eq!(said["own"], json!({ "expires_in": 3600, "refresh": false }));
    assert_eq!((&said["replay"], &said["after"]), (&json!("invalid_grant"), &json!("invalid_grant")));
    let [first, second] = [0, 1].map(|place| said["tokens"][place].as_str().unwrap());
    assert_ne!(first, second);
    for token in [first, second] {
        assert_eq!(actor(&site.oauth2.host, token), None, "the whole family is dead");
    }
}

fn answer(mut command: Command, arguments: [&str; 5]) -> Value {
    let run: Run = run(command.args(arguments), b"");
    assert_eq!(run.code(), 0, "{run}");
    run.json()
}

fn python(test: &str, client: &str) {
    let Some(python) = skipped(test, Python::with_oauth2_clients()) else { return };
    walks(|base, id, secret, back, user| {
        let mut command = python.command();
        command.arg(repository().join("tests/python/oauth2_clients.py")).arg(client);
        answer(command, [base, id, secret, back, user])
    });
}

#[test]
fn authlib_walks_through() {
    python("authlib_walks_through", "authlib");
}

#[test]
fn requests_oauthlib_walks_through() {
    python("requests_oauthlib_walks_through", "requests_oauthlib");
}

#[test]
fn oauth4webapi_walks_through() {
    let Some(node) = skipped("oauth4webapi_walks_through", Node::find()) else { return };
    walks(|base, id, secret, back, user| answer(node.command("oauth2_client.mjs"), [base, id, secret, back, user]));
}

#[test]
fn the_crate_walks_through() {
    walks(|base, id, secret, back, user| walk_with_the_crate(base, id, secret, back, |url| allow_over_http(url, user)));
}

#[test]
fn a_client_gets_tokens_of_its_own() {
    let oauth2 = server_with("default_scopes = ['read']\naccess_token_seconds = 60");
    let form = [("grant_type", "client_credentials"), ("scope", "write read")];
    let reply = oauth2.token(APP, &form);
    assert_eq!((reply.status, reply.header("content-type")), (200, "application/json"));
    assert_eq!((reply.header("cache-control"), reply.header("pragma")), ("no-store", "no-cache"));
    let token = reply.text("access_token");
    let expected = json!({ "access_token": token, "token_type": "Bearer", "expires_in": 60, "scope": "write read" });
    assert_eq!(reply.json(), expected, "and no refresh token");
    assert!(token.starts_with("tho_") && token.len() == 47, "256 bits");
    let actor_of = actor(&oauth2.host, &token).unwrap();
    assert_eq!((&actor_of["id"], &actor_of["client_id"]), (&json!("app"), &json!("app")));
    assert_eq!(actor_of["token_expires"], Place::NOW + 60);

    // By form, with the scopes that there are by default.
    let form = [("grant_type", "client_credentials"), ("client_id", "app"), ("client_secret", "xyz")];
    assert_eq!(oauth2.token(None, &form).text("scope"), "read");
    oauth2.clock.set(Place::NOW + 60);
    assert_eq!(actor(&oauth2.host, &token), None, "it has expired");
}

#[test]
fn a_code_is_exchanged_and_its_token_refreshed() {
    let oauth2 = server();
    for (client_id, basic) in [("app", APP), ("device", None)] {
        let by_form = [("client_id", client_id)];
        let named: &[(&str, &str)] = if basic.is_none() { &by_form } else { &[] };
        let code = code(&oauth2, client_id);
        let form: Vec<_> = exchange(&code).into_iter().chain(named.iter().copied()).collect();
        let first = oauth2.token(basic, &form);
        assert_eq!((first.status, first.text("scope")), (200, "read write".to_owned()), "{first:?}");
        let actor_of = actor(&oauth2.host, &first.text("access_token")).unwrap();
        assert_eq!((&actor_of["id"], &actor_of["client_id"]), (&json!("ann"), &json!(client_id)));

        let mut refresh_token = first.text("refresh_token");
        let narrow = [("scope", "read")];
        for more in [&[][..], &narrow, &[]] {
            let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.as_str())];
            let reply = oauth2.token(basic, &form.iter().chain(named).chain(more).copied().collect::<Vec<_>>());
            assert_eq!(reply.status, 200, "{reply:?}");
            assert_ne!(reply.text("refresh_token"), refresh_token);
            let scope = actor(&oauth2.host, &reply.text("access_token")).unwrap()["scope"].clone();
            assert_eq!(scope, reply.text("scope"));
            assert_eq!(scope, if more.is_empty() { "read write" } else { "read" }, "less is for one time");
            refresh_token = reply.text("refresh_token");
        }
        assert_eq!(actor(&oauth2.host, &first.text("access_token")), None, "its place was taken");
    }
}

#[test]
fn what_is_used_twice_ends_its_whole_family() {
    let oauth2 = server();
    let is_good = |token: &str| actor(&oauth2.host, token).is_some();
    // A code.
    let code = code(&oauth2, "app");
    let first = oauth2.token(APP, &exchange(&code));
    let second = refresh(&oauth2, &first.text("refresh_token"), &[]);
    let another = tokens(&oauth2);
    assert!(is_good(&second.text("access_token")));
    is_error(&oauth2.token(APP, &exchange(&code)), 400, "invalid_grant");
    assert!(!is_good(&second.text("access_token")));
    is_error(&refresh(&oauth2, &second.text("refresh_token"), &[]), 400, "invalid_grant");
    assert!(is_good(&another.text("access_token")), "that is of another family");

    // A refresh token.
    let second = refresh(&oauth2, &another.text("refresh_token"), &[]);
    let third = refresh(&oauth2, &second.text("refresh_token"), &[]);
    assert!(is_good(&third.text("access_token")));
    is_error(&refresh(&oauth2, &another.text("refresh_token"), &[]), 400, "invalid_grant");
    assert!(!is_good(&third.text("access_token")));
    is_error(&refresh(&oauth2, &third.text("refresh_token"), &[]), 400, "invalid_grant");
}

#[test]
fn a_redirect_uri_that_was_not_named_need_not_be() {
    let oauth2 = server();
    let user = oauth2.user("ann");
    let unnamed: Vec<_> = asking("app", &CHALLENGE).into_iter().filter(|(name, _)| *name != "redirect_uri").collect();
    for form in [&[][..], &[("redirect_uri", BACK)]] {
        let code = oauth2.allow(&user, &unnamed)["code"].clone();
        let grant = [("grant_type", "authorization_code"), ("code", &code), ("code_verifier", VERIFIER)];
        let reply = oauth2.token(APP, &grant.iter().chain(form).copied().collect::<Vec<_>>());
        assert_eq!(reply.status, 200, "{reply:?}");
        // Used again, it is known for what it is in either case.
        is_error(&oauth2.token(APP, &grant.iter().chain(form).copied().collect::<Vec<_>>()), 400, "invalid_grant");
        assert_eq!(actor(&oauth2.host, &reply.text("access_token")), None);
    }
}

#[test]
fn lives_are_as_long_as_configured() {
    let oauth2 = server_with("code_seconds = 10\nrefresh_token_seconds = 100");
    let late = code(&oauth2, "app");
    let refresh_token = tokens(&oauth2).text("refresh_token");
    oauth2.clock.set(Place::NOW + 10);
    is_error(&oauth2.token(APP, &exchange(&late)), 400, "invalid_grant");
    oauth2.clock.set(Place::NOW + 99);
    let reply = refresh(&oauth2, &refresh_token, &[]);
    assert_eq!(reply.status, 200, "{reply:?}");
    oauth2.clock.set(Place::NOW + 199);
    is_error(&refresh(&oauth2, &reply.text("refresh_token"), &[]), 400, "invalid_grant");
}

#[test]
fn access_tokens_may_be_a_handlers() {
    let settings = format!("access_token = {{ handler = 'jwt' }}\n{SCOPES}");
    let oauth2 = OAuth2::of(OAuth2::ISSUER, &settings, |scratch| {
        let secret = "a secret that is long enough for HS256";
        let jwt = format!("secret = '{secret}'\ntyp = 'at+jwt'\nissuer = '{}'\naudience = 'api'", OAuth2::ISSUER);
        scratch.plugin("jwt", Plugin::Jwt, &jwt);
    });
    with_clients(&oauth2);
    let own = oauth2.token(APP, &[("grant_type", "client_credentials"), ("scope", "read")]);
    let first = tokens(&oauth2);
    let second = refresh(&oauth2, &first.text("refresh_token"), &[("scope", "read")]);
    for (reply, subject, scope) in [(&own, "app", "read"), (&first, "ann", "read write"), (&second, "ann", "read")] {
        let actor = actor(&oauth2.host, &reply.text("access_token")).unwrap_or_else(|| panic!("{reply:?}"));
        assert_eq!((&actor["token"], &actor["id"], &actor["sub"]), (&json!("jwt"), &json!(subject), &json!(subject)));
        assert_eq!((&actor["client_id"], &actor["scope"]), (&json!("app"), &json!(scope)));
        assert_eq!((&actor["exp"], &reply.json()["expires_in"]), (&json!(Place::NOW + 3600), &json!(3600)));
        assert!(actor["jti"].is_string() && actor["iss"] == OAuth2::ISSUER && actor["aud"] == "api", "{actor}");
    }
    is_error(&refresh(&oauth2, &first.text("refresh_token"), &[]), 400, "invalid_grant");
    is_error(&refresh(&oauth2, &second.text("refresh_token"), &[]), 400, "invalid_grant");
}

#[test]
fn passwords_are_taken_where_the_operator_wants_it() {
    let ann = token_host::oauth2::hash_secret("hunter2").unwrap();
    let settings = format!("danger_allow_password_grant = true\nusers = 'users'\n{SCOPES}");
    let oauth2 = OAuth2::of(OAuth2::ISSUER, &settings, |scratch| {
        scratch.file("users", format!("ann:{ann}\n"));
    });
    with_clients(&oauth2);
    let ask = |name, password| {
        let form = [("grant_type", "password"), ("username", name), ("password", password), ("scope", "read")];
        oauth2.token(APP, &form)
    };
    let reply = ask("ann", "hunter2");
    assert_eq!(actor(&oauth2.host, &reply.text("access_token")).unwrap()["id"], "ann");
    assert_eq!(refresh(&oauth2, &reply.text("refresh_token"), &[]).status, 200);
    for (name, password) in [("ann", "hunter3"), ("bob", "hunter2")] {
        is_error(&ask(name, password), 400, "invalid_grant");
    }
    is_error(&ask("ann", ""), 400, "invalid_request");
    is_error(&oauth2.token(Some(("app", "wrong")), &[("grant_type", "password")]), 401, "invalid_client");
}

#[test]
fn a_secret_that_is_kept_as_a_hash_is_as_good() {
    let oauth2 = server();
    let ask = |secret| oauth2.token(Some(("app", secret)), &[("grant_type", "client_credentials")]).status;
    for secret in ["one", "other"] {
        oauth2.hash("app", secret);
        for _ in 0..2 {
            assert_eq!((ask(secret), ask("xyz"), ask("")), (200, 401, 401));
        }
    }
    assert_eq!(ask("one"), 401, "it was good until it was replaced, and that is not remembered");
}

#[test]
fn who_watches_hears_of_every_token() {
    let oauth2 = server();
    let mut events = oauth2.host.subscribe();
    oauth2.token(APP, &[("grant_type", "client_credentials")]);
    let first = tokens(&oauth2);
    refresh(&oauth2, &first.text("refresh_token"), &[]);
    let heard: Vec<Event> = std::iter::from_fn(|| events.try_next()).collect();
    let made = heard.iter().filter(|event| event.handler.as_deref() == Some("oauth2"));
    let whose = made.map(|event| {
        assert_eq!(
            (event.kind, event.auto_generated, &event.extra["client_id"]),
            (EventKind::TokenCreated, true, &json!("app"))
        );
        assert_eq!(event.context.as_ref().unwrap().path.as_deref(), Some("/oauth2/token"));
        event.actor_id.clone().unwrap()
    });
    assert_eq!(whose.collect::<Vec<_>>(), ["app", "ann", "ann"]);
    assert!(!serde_json::to_string(&heard).unwrap().contains("tho_"), "and not of its value");
}

#[test]
fn a_token_that_cannot_be_recorded_is_given_to_nobody() {
    let oauth2 = OAuth2::of(OAuth2::ISSUER, SCOPES, |scratch| {
        let journal = scratch.journal().setting();
        let sinks = format!("{journal}sinks = [{{ name = 'audit', required = true, record = 'fail' }}]");
        scratch.plugin("audit", Plugin::Hostile, &sinks);
    });
    with_clients(&oauth2);
    let reply = oauth2.token(APP, &[("grant_type", "client_credentials")]);
    is_error(&reply, 503, "temporarily_unavailable");
    assert!(!reply.body.contains("tho_"), "{reply:?}");
}

/// What a wrong secret costs is one hash; so does an unknown client, and one whose secret is no hash. What was right once
/// costs none.
#[test]
fn time_tells_nothing_of_who_is_a_client() {
    let oauth2 = server();
    oauth2.hash("app", "right");
    let quickest = |id, secret| {
        let ask = |_| {
            let begin = Instant::now();
            oauth2.token(Some((id, secret)), &[("grant_type", "client_credentials")]);
            begin.elapsed()
        };
        (0..5).map(ask).min().unwrap()
    };
    let wrong = quickest("app", "wrong");
    for (id, secret) in [("nobody", "right"), ("other", "wrong"), ("device", "right")] {
        let other = quickest(id, secret);
        assert!(other * 3 > wrong && wrong * 3 > other, "{id}: {other:?}, not {wrong:?}");
    }
    let right = quickest("app", "right");
    assert!(right * 3 < wrong, "{right:?}, not {wrong:?}");
}

#[test]
fn the_metadata_says_what_there_is() {
    let oauth2 = server();
    let request = http::Request::get("/.well-known/oauth-authorization-server").body(Vec::new()).unwrap();
    let reply = oauth2.ask(&request, token_host::oauth2::Peer::Unknown);
    assert_eq!(
        reply.json(),
        json!({
            "issuer": OAuth2::ISSUER,
            "authorization_endpoint": "https://auth.example/oauth2/authorize",
            "token_endpoint": "https://auth.example/oauth2/token",
            "introspection_endpoint": "https://auth.example/oauth2/introspect",
            "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "Bearer"],
            "revocation_endpoint": "https://auth.example/oauth2/revoke",
            "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "client_credentials", "refresh_token"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
            "scopes_supported": ["read", "write"],
        })
    );
    let elsewhere = http::Request::get("/oauth2/tokens").body(Vec::new()).unwrap();
    assert!(block_on(oauth2.server().serve(&elsewhere, token_host::oauth2::Peer::Unknown)).is_none());
}

#[test]
fn a_reload_changes_the_settings_and_loses_no_token() {
    let oauth2 = server();
    let first = tokens(&oauth2);
    let config = std::fs::read_to_string(oauth2.scratch.config()).unwrap();
    let shorter = config.replace("[oauth2]\n", "[oauth2]\naccess_token_seconds = 7\n");
    oauth2.scratch.file("plugins.toml", shorter);
    oauth2.host.reload().unwrap();
    let second = refresh(&oauth2, &first.text("refresh_token"), &[]);
    assert_eq!((second.status, &second.json()["expires_in"]), (200, &json!(7)));
    oauth2.scratch.file("plugins.toml", config.replace("[oauth2]\n", "[oauth2]\nstore = 'other'\n"));
    let error = oauth2.host.reload().unwrap_err();
    assert!(error.to_string().contains("needs the store \"other\" of clients"), "{error}");
    assert_eq!(refresh(&oauth2, &second.text("refresh_token"), &[]).json()["expires_in"], 7, "the old goes on");
}

#[test]
fn nothing_secret_is_printed() {
    let oauth2 = server();
    let shown = format!("{:?} {:?}", oauth2.server(), oauth2.host.oauth2());
    assert!(shown.contains("auth.example") && !shown.contains("xyz"), "{shown}");
    assert!(Host::from_str("").unwrap().oauth2().is_none());
}
