//! Requests that are changed at random, the same in every run: an answer in HTTP's terms or a closed connection, and nobody
//! becomes somebody else.

use std::net::Shutdown;

use serde_json::json;
use token_host_tests::{Http2, SECRET, block, forge, frame, now};

use crate::{
    fuzz::mutants,
    hostile_http::{Gate, send, until_closed},
};

const HTTP: &str = "trusted_proxies = ['127.0.0.1']\ntoken_cookie = 'session'\ntoken_query = 'access_token'\n\
                    [[http.rule]]\npath = '/admin/*'\nscope = 'admin'\n[[http.rule]]\npath = '/open/*'\noptional = true";

/// What is told of identities in these responses.
fn actors(said: &str) -> impl Iterator<Item = &str> {
    said.lines().filter_map(|line| line.strip_prefix("x-auth-actor-id:")).map(str::trim)
}

#[test]
fn heads_of_http_1() {
    let gate = Gate::of_oauth2(&format!("header_timeout_ms = 50\nrequest_timeout_ms = 50\n{HTTP}"));
    let last = gate.good().replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    let restricted = forge(SECRET, json!({ "a": "bob", "t": now(), "_r": { "a": ["a"] } }).to_string());
    let token = &gate.token;
    let seeds = [
        gate.good(),
        format!("GET /auth?action=a HTTP/1.1\r\nHost: a\r\nAuthorization: bearer {restricted}\r\nX-Forwarded-Uri: /a\r\nX-Forwarded-Method: GET\r\n\r\n"),
        format!("POST /auth/nginx HTTP/1.0\r\nConnection: keep-alive\r\nCookie: session={token}\r\nX-Original-URI: /item/a;b?c\r\nX-Original-Method: PUT\r\nX-Original-Host: db.example:80\r\n\r\n"),
        format!("DELETE /auth/envoy/admin/%61/?access_token={token} HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1, 127.0.0.1\r\n\r\n"),
        "POST /oauth2/token HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 24\r\n\r\ngrant_type=client_secret".to_owned(),
        "POST /oauth2/token HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\na=bcd\r\n0\r\nA: b\r\n\r\n".to_owned(),
        "OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\nExpect: 100-continue\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n".to_owned(),
        format!("GET http://a/api/v1/tokens?limit=1 HTTP/1.1\r\nHost: a\r\ntraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\nAuthorization: token {token}\r\n\r\n"),
    ];
    let (mut answers, mut accepted) = (0, 0);
    for bytes in mutants(seeds.map(String::into_bytes).to_vec(), 2000) {
        let mut stream = gate.connect();
        // What comes behind is the rest of it, or a request.
        send(&mut stream, [&bytes, last.as_bytes()].concat());
        let said = until_closed(&mut stream);
        if bytes.starts_with(b"PRI * HTTP/2.0") {
            continue;
        }
        let said = std::str::from_utf8(&said).unwrap();
        assert!(said.is_empty() || said.starts_with("HTTP/1."), "{}: {said}", bytes.escape_ascii());
        for status in said.split("HTTP/1.").skip(1).map(|rest| &rest[2..5]) {
            let is_known = matches!(status.as_bytes()[0], b'1'..=b'4') || matches!(status, "501" | "503" | "505");
            assert!(is_known && status != "101", "{}: {said}", bytes.escape_ascii());
            answers += 1;
        }
        for actor in actors(said).filter(|actor| !actor.is_empty()) {
            assert!(actor == "alice" || actor == "bob", "{}: {said}", bytes.escape_ascii());
            accepted += 1;
        }
    }
    assert!(answers > 1000 && accepted > 200, "{answers} answers, {accepted} of them good");
    gate.proves_unharmed();
}

#[test]
fn frames_of_http_2() {
    let gate = Gate::with(HTTP);
    let authorization = format!("Bearer {}", gate.token);
    let head = |path: &str| {
        block(&[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "a"),
            ("authorization", &authorization),
        ])
    };
    let whole = Http2::END_HEADERS | Http2::END_STREAM;
    let (good, admin) = (head("/auth/envoy/"), head("/auth/envoy/admin"));
    let (first, rest) = admin.split_at(20);
    let seeds = [
        frame(Http2::HEADERS, whole, 1, &good),
        [frame(Http2::HEADERS, Http2::END_STREAM, 1, first), frame(Http2::CONTINUATION, Http2::END_HEADERS, 1, rest)]
            .concat(),
        [frame(Http2::HEADERS, Http2::END_HEADERS, 1, &good), frame(Http2::DATA, Http2::END_STREAM, 1, b"body")]
            .concat(),
        [frame(Http2::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 1]), frame(Http2::WINDOW_UPDATE, 0, 0, &[0, 0, 1, 0])].concat(),
        [
            frame(Http2::HEADERS, whole, 1, &good),
            frame(Http2::RESET, 0, 1, &[0, 0, 0, 8]),
            frame(Http2::PING, 0, 0, &[7; 8]),
        ]
        .concat(),
    ];
    for bytes in mutants(seeds.to_vec(), 1000) {
        let mut stream = gate.connect();
        send(&mut stream, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        send(&mut stream, frame(Http2::SETTINGS, 0, 0, &[]));
        send(&mut stream, &bytes);
        let _ = stream.shutdown(Shutdown::Write);
        until_closed(&mut stream);
    }
    gate.proves_unharmed();
}
