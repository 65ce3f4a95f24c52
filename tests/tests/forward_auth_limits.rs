//! `/auth` when there is too much of something, or a store is down: what proxies are told, and who is never kept out.

use std::{fs, thread};

use serde_json::json;
use token_host_tests::{Plugin, Scratch, Served, exchange, joined, wait_until};

use crate::forward_auth::{Auth, alice, request};

const BAD: &str = "Authorization: Bearer ";

#[test]
fn who_fails_often_is_told_to_wait_and_a_good_token_passes() {
    let auth = Auth::with("failures_per_address = 3\ntrusted_proxies = ['127.0.0.1']");
    let from = |address: &str| format!("X-Forwarded-For: {address}");
    let (one, other) = (from("192.0.2.1"), from("192.0.2.2"));
    for place in 0..3 {
        assert_eq!(auth.ask("GET /auth", &[&one, &format!("{BAD}{place}")]).status, 401, "{place}");
    }
    let good = alice(json!({}));
    for (path, status, told) in [("/auth", 429, ""), ("/auth/nginx", 403, "429"), ("/auth/envoy/", 429, "")] {
        let reply = auth.ask(&format!("GET {path}"), &[&one, &format!("{BAD}a{status}")]);
        assert_eq!((reply.status, reply.header("x-error-status")), (status, told), "{reply:?}");
        let wait: u64 = reply.header("retry-after").parse().unwrap();
        assert!((1..=60).contains(&wait), "{reply:?}");
        assert!(!reply.headers.contains_key("www-authenticate"), "another one would not help: {reply:?}");
        for _ in 0..3 {
            assert_eq!(auth.ask(&format!("GET {path}"), &[&one, &good]).status, 200, "{path}");
        }
        // Nothing was guessed there.
        assert_eq!(auth.ask("GET /auth", &[&one]).status, 401);
        assert_eq!(auth.ask("GET /auth?scope=none", &[&one, &good]).status, 403);
    }
    assert_eq!(auth.ask("GET /auth", &[&other, &format!("{BAD}b")]).status, 401, "another address");
}

#[test]
fn one_token_that_fails_everywhere_is_told_to_wait() {
    let auth = Auth::with("failures_per_token = 2\ntrusted_proxies = ['127.0.0.1']");
    let statuses: Vec<u16> = (1..=4)
        .map(|client| {
            auth.ask("GET /auth", &[&format!("X-Forwarded-For: 192.0.2.{client}"), &format!("{BAD}revoked")]).status
        })
        .collect();
    assert_eq!(statuses, [401, 401, 429, 429]);
    assert_eq!(auth.ask("GET /auth", &[&format!("{BAD}other")]).status, 401);
}

#[test]
fn nobody_escapes_by_saying_where_they_are() {
    let auth = Auth::with("failures_per_address = 3");
    let statuses: Vec<u16> = (1..=5)
        .map(|client| {
            auth.ask("GET /auth", &[&format!("X-Forwarded-For: 192.0.2.{client}"), &format!("{BAD}{client}")]).status
        })
        .collect();
    assert_eq!(statuses, [401, 401, 401, 429, 429]);
}

#[test]
fn a_store_that_is_down_is_403_with_what_is_meant() {
    let auth = Auth::of(
        "",
        "handlers = [{ name = 'down', claims = ['down-'], verify = 'fail' }, { name = 'panics', claims = ['panic-'], verify = 'panic' }]",
    );
    for path in ["/auth", "/auth/nginx", "/auth/envoy/"] {
        for token in ["down-a", "panic-a"] {
            let reply = auth.ask(&format!("GET {path}"), &[&format!("{BAD}{token}")]);
            assert_eq!((reply.status, reply.header("x-error-status")), (403, "503"), "{path} {token}: {reply:?}");
            assert_eq!(reply.header("retry-after"), "5", "{reply:?}");
            assert!(reply.header("x-auth-actor-id").is_empty() && !reply.body.contains("told to"), "{reply:?}");
        }
        assert_eq!(auth.ask(&format!("GET {path}"), &[&alice(json!({}))]).status, 200, "others are well");
    }
}

#[test]
fn a_database_that_is_broken_is_403_and_not_ready() {
    let mut scratch = Scratch::new();
    scratch.plugin("tokens", Plugin::Database, "url = 'sqlite:tokens.db'").signed("");
    let token = scratch.run(["create", "ann", "--handler", "database"]).stdout.trim().to_owned();
    assert_eq!(scratch.run(["verify", &token]).code(), 0, "it is good");
    let auth = Auth { served: Served::start(&scratch), scratch };
    let bearer = format!("{BAD}{token}");
    for file in ["tokens.db", "tokens.db-wal"] {
        let length = fs::metadata(auth.scratch.join(file)).map_or(0, |file| file.len());
        fs::write(auth.scratch.join(file), vec![0xa5; usize::try_from(length.max(8192)).unwrap()]).unwrap();
    }
    let reply = auth.ask("GET /auth", &[&bearer]);
    assert_eq!(
        (reply.status, reply.header("x-error-status"), reply.header("retry-after")),
        (403, "503", "5"),
        "{reply:?}"
    );
    assert_eq!(auth.ask("GET /readyz", &[]).status, 503);
    assert_eq!(auth.ask("GET /healthz", &[]).status, 200);
    assert_eq!(auth.ask("GET /auth", &[&alice(json!({}))]).status, 200);
}

#[test]
fn one_request_too_many_is_told_to_come_back() {
    let mut scratch = Scratch::new();
    scratch.no_preflight();
    let gate = scratch.join("gate");
    let slow = format!(
        "{}handlers = [{{ name = 'slow', claims = ['h-'], execution = 'blocking', verify = 'slow', slow_until = '{}' }}]",
        scratch.journal().setting(),
        gate.display()
    );
    scratch.entry("[http]\nmax_requests = 1").signed("").plugin_with(
        "hostile",
        Plugin::Hostile,
        "deadline_ms = 60000",
        &slow,
    );
    let auth = Auth { served: Served::start(&scratch), scratch };
    let address = auth.served.address;
    let waiting = thread::spawn(move || exchange(address, request("GET /auth", &[&format!("{BAD}h-a")])));
    wait_until("it is asked", || auth.scratch.journal().calls().contains(&"slow verify".to_owned()).then_some(()));
    let good = alice(json!({}));
    for path in ["/auth", "/auth/nginx", "/auth/envoy/"] {
        let reply = auth.ask(&format!("GET {path}"), &[&good]);
        let told = (reply.status, reply.header("x-error-status"), reply.header("retry-after"));
        assert_eq!(told, (403, "503", "1"), "{reply:?}");
    }
    for path in ["/metrics", "/api/v1/tokens", "/nowhere"] {
        let reply = auth.ask(&format!("GET {path}"), &[&good]);
        assert_eq!((reply.status, reply.header("retry-after")), (503, "1"), "{path}: {reply:?}");
    }
    auth.scratch.file("gate", "");
    assert_eq!(joined("the answer", waiting).status, 200);
    assert_eq!(auth.ask("GET /auth", &[&good]).status, 200);
}
