//! `/-/actor.json` beside a real Datasette's, with one secret: what its clients depend on is the same.

use serde_json::{Value, json};
use token_host_tests::{Datasette, Plugin, Python, Reply, SECRET, Scratch, Served, exchange, forge, now, run, skipped};

/// A service with signed tokens, and these lines in `[http]`.
pub(crate) fn serving(http: &str) -> (Scratch, Served) {
    let mut scratch = Scratch::new();
    scratch.entry(&format!("[http]\n{http}")).signed("");
    let served = Served::start(&scratch);
    (scratch, served)
}

/// A service that believes the tests' user header.
pub(crate) fn signed_in() -> (Scratch, Served) {
    serving("trusted_proxies = ['127.0.0.1']\nuser_header = 'X-User'")
}

/// A request with these lines and this body.
pub(crate) fn request(method: &str, path: &str, lines: &str, body: &str) -> String {
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    format!("{method} {path} HTTP/1.1\r\nHost: db.example\r\n{lines}{length}\r\n{body}")
}

/// The line with a token.
pub(crate) fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

fn actor(served: &Served, lines: &str) -> Reply {
    served.exchange(request("GET", "/-/actor.json", lines, ""))
}

fn token(payload: &Value) -> String {
    forge(SECRET, payload.to_string())
}

#[test]
fn its_answers_are_those_of_datasette() {
    let Some(datasette) = skipped("its_answers_are_those_of_datasette", Datasette::start()) else { return };
    let (_scratch, served) = signed_in();
    let now = now();
    let good = token(&json!({ "a": "ann", "t": now }));
    let restricted = token(&json!({ "a": "ann", "t": now, "d": 3600, "_r": { "a": ["vi"], "d": { "x": ["vd"] } } }));
    let bearer_of = |payload: Value| bearer(&token(&payload));
    for (lines, status) in [
        (String::new(), 200),
        (bearer(&good), 200),
        (bearer(&restricted), 200),
        (bearer_of(json!({ "a": "é\"<", "t": now })), 200),
        (bearer_of(json!({ "a": "ann", "t": now - 100, "d": 10 })), 401),
        (bearer(&forge("another secret", json!({ "a": "ann", "t": now }).to_string())), 401),
        (bearer("nobodys"), 200),
        ("Authorization: Basic YTpi\r\n".to_owned(), 200),
        ("X-User: bob\r\n".to_owned(), 200),
        (format!("X-User: bob\r\n{}", bearer("nobodys")), 200),
        (format!("X-User: bob\r\n{}", bearer_of(json!({ "a": "ann", "t": now - 100, "d": 10 }))), 401),
    ] {
        let theirs = datasette.exchange(request("GET", "/-/actor.json", &lines, ""));
        let ours = actor(&served, &lines);
        assert_eq!((theirs.status, ours.status), (status, status), "{lines}: {theirs:?} {ours:?}");
        assert_eq!(theirs.json(), ours.json(), "{lines}");
        assert_eq!(theirs.header("content-type"), ours.header("content-type"));
        assert_eq!(theirs.header("vary"), ours.header("vary"));
        assert_eq!(ours.header("cache-control"), "private, no-store");
        let is_challenge = |reply: &Reply| reply.header("www-authenticate").contains("error=\"invalid_token\"");
        assert_eq!((is_challenge(&theirs), is_challenge(&ours)), (status == 401, status == 401), "{lines}");
    }
    // Of what is malformed each says in its own words how.
    for bad in [bearer_of(json!({ "a": "ann", "d": 10 })), bearer("dstok_junk")] {
        let (theirs, ours) = (datasette.exchange(request("GET", "/-/actor.json", &bad, "")), actor(&served, &bad));
        assert_eq!((theirs.status, ours.status, &ours.json()["ok"]), (401, 401, &json!(false)));
        assert!([theirs, ours].iter().all(|reply| reply.text("error").starts_with("Invalid token")), "{bad}");
    }
}

#[test]
fn its_methods_are_those_of_datasette() {
    let Some(datasette) = skipped("its_methods_are_those_of_datasette", Datasette::start()) else { return };
    let (_scratch, served) = serving("");
    for (method, status) in
        [("HEAD", 200), ("OPTIONS", 200), ("POST", 405), ("PUT", 405), ("PATCH", 405), ("DELETE", 405)]
    {
        for path in ["/-/actor.json", "/-/create-token"] {
            if path == "/-/create-token" && matches!(method, "HEAD" | "POST") {
                continue;
            }
            let request = request(method, path, "Content-Length: 0\r\n", "");
            let (theirs, ours) = (datasette.exchange(&request), served.exchange(&request));
            assert_eq!((theirs.status, ours.status), (status, status), "{method} {path}");
            let body = |reply: &Reply| serde_json::from_str(&reply.body).unwrap_or(Value::from(reply.body.as_str()));
            assert_eq!(body(&theirs), body(&ours), "{method} {path}");
            assert_eq!(theirs.header("content-type"), ours.header("content-type"), "{method} {path}");
        }
    }
    assert!(
        served.exchange(request("POST", "/-/actor.json", "Content-Length: 0\r\n", "")).header("allow").contains("GET")
    );
}

#[test]
fn a_malformed_authorization_is_not_nobody() {
    let (_scratch, served) = serving("");
    let good = token(&json!({ "a": "ann", "t": now() }));
    for lines in [format!("Authorization: bEARER {good}\r\n"), format!("Authorization: token {good}\r\n")] {
        assert_eq!(actor(&served, &lines).json()["actor"], json!({ "id": "ann", "token": "dstok" }), "{lines}");
    }
    for lines in [
        "Authorization: Bearer\r\n".to_owned(),
        format!("Authorization: Bearer {good} x\r\n"),
        bearer(&good) + &bearer(&good),
    ] {
        let reply = actor(&served, &lines);
        assert_eq!((reply.status, &reply.json()["ok"], &reply.json()["status"]), (400, &json!(false), &json!(400)));
        assert!(reply.header("www-authenticate").contains("invalid_request") && !reply.body.contains(&good));
    }
}

#[test]
fn guessing_gets_nowhere_and_a_store_that_is_down_is_not_nobody() {
    let mut scratch = Scratch::new();
    scratch.entry("[http]\nfailures_per_address = 2");
    scratch.plugin("down", Plugin::Hostile, "handlers = [{ name = 'down', claims = ['down_'], verify = 'fail' }]");
    let served = Served::start(&scratch);
    assert_eq!([1, 2, 3].map(|number| actor(&served, &bearer(&format!("guess{number}"))).status), [200, 200, 429]);
    let waits = actor(&served, &bearer("guess4"));
    assert!(!waits.header("retry-after").is_empty() && waits.json()["ok"] == false, "{waits:?}");
    let down = actor(&served, &bearer("down_1"));
    assert_eq!((down.status, down.header("retry-after"), &down.json()["ok"]), (503, "5", &json!(false)));
}

#[test]
fn a_user_header_is_a_trusted_proxy_s() {
    for http in [
        "user_header = 'X-User'",
        "user_header = 'X-User'\ntrusted_proxies = ['10.0.0.0/8']",
        "trusted_proxies = ['127.0.0.1']",
    ] {
        let (_scratch, served) = serving(http);
        assert_eq!(actor(&served, "X-User: ann\r\n").json(), json!({ "ok": true, "actor": null }), "{http}");
    }
    let (_scratch, served) = signed_in();
    for lines in ["X-User: ann\r\nX-User: bob\r\n", "X-User:\r\n", "X-User:  \r\n", "X-User: \u{1}\r\n"] {
        let request = request("GET", "/-/actor.json", lines, "");
        // What the server itself does not even read is fine as well.
        let reply = exchange(served.address, request);
        assert!(reply.status == 400 || reply.json()["actor"].is_null(), "{lines:?} {reply:?}");
    }
    assert_eq!(actor(&served, "X-User: ann\r\n").json()["actor"], json!({ "id": "ann" }));
    let beside = format!("X-User: bob\r\n{}", bearer(&token(&json!({ "a": "ann", "t": now() }))));
    assert_eq!(actor(&served, &beside).json()["actor"]["id"], "ann");
}

#[test]
fn the_client_dclient_sees_the_same() {
    let test = "the_client_dclient_sees_the_same";
    let Some((datasette, dclient)) = skipped(test, Datasette::start()).zip(skipped(test, Python::with_dclient()))
    else {
        return;
    };
    let (scratch, served) = serving("");
    let now = now();
    let asked = |address: std::net::SocketAddr, token: &str| {
        let mut command = dclient.command();
        command.args(["-m", "dclient", "actor", &format!("http://{address}/fixtures"), "--token", token]);
        run(command.env("HOME", scratch.path()).env("NO_PROXY", "*"), b"")
    };
    for payload in [json!({ "a": "ann", "t": now, "d": 3600 }), json!({ "a": "ann", "t": now, "_r": { "a": ["vi"] } })]
    {
        let token = token(&payload);
        let (theirs, ours) = (asked(datasette.address, &token), asked(served.address, &token));
        assert_eq!((theirs.code(), ours.code()), (0, 0), "{theirs} {ours}");
        assert_eq!(theirs.stdout, ours.stdout);
    }
    let expired = token(&json!({ "a": "ann", "t": now - 100, "d": 10 }));
    let (theirs, ours) = (asked(datasette.address, &expired), asked(served.address, &expired));
    assert!(theirs.code() != 0 && ours.code() == theirs.code() && ours.stderr.contains("401"), "{theirs} {ours}");
}
