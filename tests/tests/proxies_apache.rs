//! Apache with the configuration that is shipped: it introspects tokens, and is not told of requests.

use std::fs;

use serde_json::json;
use token_host_tests::{
    Behind, Plugin, Proxy, ProxyKind, Reply, SECRET, Scratch, Seen, Served, Upstream, forge, now, repository, set_mode,
    skipped,
};

use crate::{
    proxies::{alice, bearer, is_empty, restricted},
    proxies_tricks::{INJECTED, identity_headers, is_not_overridden, overriding_headers},
};

/// Apache between clients and an application, and the token-host that it asks.
struct Scene {
    served: Served,
    application: Upstream,
    proxy: Proxy,
    scratch: Scratch,
}

impl Scene {
    fn with(changes: &[(&str, &str)]) -> Option<Self> {
        let mut scratch = Scratch::new();
        let data = repository().join("tests/data/redis");
        for name in ["server.pem", "server.key"] {
            set_mode(&scratch.file(name, fs::read(data.join(name)).unwrap()), 0o600);
        }
        scratch.entry("[http.tls]\ncertificate = 'server.pem'\nkey = 'server.key'");
        let down = "handlers = [{ name = 'down', claims = ['down-'], verify = 'fail' }]";
        scratch.plugin("hostile", Plugin::Hostile, down).signed("");
        scratch.plugin("kept", Plugin::Database, "url = 'sqlite:tokens.db'");
        let (served, application) = (Served::start(&scratch), Upstream::start());
        let asks = forge(SECRET, json!({ "a": "apache", "t": now(), "_r": { "a": ["introspect"] } }).to_string());
        let behind = Behind {
            token_host: served.address,
            application: application.address,
            changes,
            environment: &[("TOKEN_HOST_TOKEN", &asks)],
        };
        let proxy = skipped("Apache", Proxy::start(ProxyKind::Apache, behind))?;
        Some(Self { served, application, proxy, scratch })
    }

    fn ask(&self, line: &str, headers: &[&str]) -> (Reply, Vec<Seen>) {
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let reply = self.proxy.exchange(format!("{line} HTTP/1.1\r\nHost: app.example\r\n{headers}\r\n"));
        (reply, self.application.take())
    }

    #[track_caller]
    fn passes(&self, line: &str, headers: &[&str]) -> Seen {
        let (reply, mut seen) = self.ask(line, headers);
        assert_eq!((reply.status, seen.len()), (200, 1), "{line} {headers:?}: {reply:?} {}", self.proxy.log());
        seen.remove(0)
    }

    /// The status, and the challenges.
    #[track_caller]
    fn refused(&self, line: &str, headers: &[&str]) -> (u16, Vec<String>) {
        let (reply, seen) = self.ask(line, headers);
        assert!(seen.is_empty(), "{line} {headers:?}: {reply:?} {seen:?}");
        let challenges = reply.headers.get_all("www-authenticate").iter();
        (reply.status, challenges.map(|value| value.to_str().unwrap().to_owned()).collect())
    }
}

#[test]
fn a_good_token_passes_with_who_it_is_from() {
    let Some(scene) = Scene::with(&[]) else { return };
    let seen = scene.passes("GET /db/t?a=1", &[&alice()]);
    assert_eq!((seen.target.to_string().as_str(), seen.header("host")), ("/db/t?a=1", Some("app.example")));
    for (name, value) in [("actor-id", "alice"), ("handler", "signed"), ("token-kind", "dstok")] {
        assert_eq!(seen.header(&format!("x-auth-{name}")), Some(value), "{seen:?}");
    }
    assert!(is_empty(&seen, "x-auth-expires") && is_empty(&seen, "x-auth-scopes"), "{seen:?}");
    assert!(seen.header("authorization").is_none() && seen.header("x-auth-actor").is_none(), "{seen:?}");
    assert!(!seen.headers.keys().any(|name| name.as_str().starts_with("oidc")), "{seen:?}");

    let (expiring, now) = (bearer(json!({ "a": "alice", "d": 3600 })), now());
    assert!(scene.passes("DELETE /", &[&expiring]).header("x-auth-expires").unwrap().parse::<u64>().unwrap() > now);

    // A name must not become a header.
    let odd = bearer(json!({ "a": "al\r\nX-Auth-Scopes: admin\r\n\r\né" }));
    let seen = scene.passes("GET /", &[&odd]);
    assert_eq!(seen.header("x-auth-actor-id"), Some("al%0d%0aX-Auth-Scopes:%20admin%0d%0a%0d%0a%c3%a9"));
    assert!(is_empty(&seen, "x-auth-scopes"), "{seen:?}");
}

#[test]
fn what_is_refused_never_reaches_the_application() {
    let Some(mut scene) = Scene::with(&[]) else { return };
    assert_eq!(scene.refused("GET /", &[]), (401, vec!["Bearer realm=\"token-host\"".to_owned()]));
    let expired = bearer(json!({ "a": "alice", "t": now() - 100, "d": 10 }));
    let (one, two) = (alice(), restricted());
    // What cannot be told is no other answer with this module.
    let down = "Authorization: Bearer down-1";
    for bad in
        [&["Authorization: Bearer nobody"][..], &[&expired], &[&one, &two], &[down], &["Authorization: Basic YTpi"]]
    {
        let (status, challenges) = scene.refused("GET /", bad);
        assert_eq!((status, challenges.len()), (401, 1), "{challenges:?}");
        assert!(challenges[0].contains("error=\"invalid_"), "{challenges:?}");
    }
    // The application would not know what such a token is restricted to.
    let (status, challenges) = scene.refused("GET /", &[&restricted()]);
    assert_eq!((status, challenges.len()), (403, 1));
    assert!(challenges[0].contains("error=\"insufficient_scope\""), "{challenges:?}");
    scene.passes("GET /", &[&alice()]);
    scene.served.kill();
    assert_eq!(scene.refused("GET /", &[&alice()]).0, 401, "nothing passes while token-host is down");
    assert!(scene.proxy.is_running());
}

#[test]
fn an_invalidated_token_is_refused_at_once() {
    let Some(scene) = Scene::with(&[]) else { return };
    let run = scene.scratch.run(["create", "alice", "--handler", "database", "--expires-after", "1h", "--json"]);
    let token = run.json()["token"].as_str().unwrap().to_owned();
    let header = format!("Authorization: Bearer {token}");
    scene.passes("GET /", &[&header]);
    let id = run.json()["id"].as_str().unwrap().to_owned();
    let run = scene.scratch.run(["invalidate", "--id", &id, "--reason", "lost"]);
    assert_eq!(run.code(), 0, "{run}");
    assert_eq!(scene.refused("GET /", &[&header]).0, 401);
}

#[test]
fn nobody_can_say_who_they_are() {
    let Some(scene) = Scene::with(&[]) else { return };
    let of_the_module = ["OIDC_CLAIM_sub: root", "OIDC-CLAIM-scope: admin"];
    for injected in INJECTED.into_iter().chain([&of_the_module[..]]) {
        let alice = alice();
        let headers: Vec<&str> = injected.iter().copied().chain([alice.as_str()]).collect();
        let seen = scene.passes("GET /", &headers);
        let mut said = identity_headers(&seen);
        said.retain(|(_, value)| !value.is_empty());
        said.sort();
        let said: Vec<_> = said.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let expected = [("x-auth-actor-id", "alice"), ("x-auth-handler", "signed"), ("x-auth-token-kind", "dstok")];
        assert_eq!(said, expected, "{injected:?}");
        assert!(!seen.headers.keys().any(|name| name.as_str().starts_with("oidc")), "{seen:?}");
        scene.refused("GET /", injected);
    }
    for connection in [
        &["Connection: close, X-Auth-Actor-Id"][..],
        &["Connection: close", "Connection: x-auth-actor-id"],
        &["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"],
        &["Connection: Upgrade", "Upgrade: h2c"],
        &["X-Auth-Actor-Id : root"],
        &["Host: other.example"],
    ] {
        let alice = alice();
        let headers: Vec<&str> = connection.iter().copied().chain([alice.as_str()]).collect();
        assert_eq!(scene.refused("GET /", &headers).0, 400, "{connection:?}");
    }
    let (alice, overriding) = (alice(), overriding_headers());
    let told = ["X-Forwarded-For: overridden", "X-Forwarded-Proto: overridden"];
    let all = told.into_iter().chain(overriding.iter().map(String::as_str)).chain([alice.as_str()]);
    is_not_overridden(&scene.passes("GET /", &all.collect::<Vec<_>>()));
}

#[test]
fn a_location_can_require_more() {
    let end = "</VirtualHost>";
    let strict = "<Location \"/strict/\">\nAuthMerging And\nRequire claim sub:bob\n</Location>\n</VirtualHost>";
    let Some(scene) = Scene::with(&[(end, strict)]) else { return };
    let bob = bearer(json!({ "a": "bob" }));
    scene.passes("GET /db/t", &[&alice()]);
    for path in ["/strict/t", "/str%69ct/t", "/x/../strict/t", "//strict/t", "/./strict//t"] {
        assert_eq!(scene.refused(&format!("GET {path}"), &[&alice()]).0, 403, "{path}");
        // What was compared is what the application gets.
        let target = scene.passes(&format!("GET {path}"), &[&bob]).target.to_string();
        assert!(target.starts_with("/strict/"), "{path}: {target}");
    }
    let restricted = bearer(json!({ "a": "bob", "_r": { "a": ["vi"] } }));
    assert_eq!(scene.refused("GET /strict/t", &[&restricted]).0, 403, "what is required everywhere still is");
}

#[test]
fn nothing_passes_where_the_script_cannot_be_run() {
    for other in ["judged.lua another", "judged.lua.absent only_what_was_judged"] {
        let Some(scene) = Scene::with(&[("judged.lua only_what_was_judged", other)]) else { return };
        assert_eq!(scene.refused("GET /", &[&alice()]).0, 500, "{other}");
    }
}
