//! Heads of HTTP/1.1 that nobody should send: each has its answer, and what comes behind it on the connection is read as
//! what it is, or not at all.

use crate::hostile_http::{CANARY, Gate, send, until_closed};

const FORM: &str =
    "POST /oauth2/token HTTP/1.1\r\nHost: auth.example\r\nContent-Type: application/x-www-form-urlencoded\r\n";

/// A request whose head has these bytes in it.
fn get(lines: impl AsRef<[u8]>) -> Vec<u8> {
    let begin = format!("GET /auth HTTP/1.1\r\nHost: auth.example\r\nAuthorization: Bearer {CANARY}\r\n");
    [begin.as_bytes(), lines.as_ref(), b"\r\n\r\n"].concat()
}

#[test]
fn the_end_of_a_body_has_one_meaning_or_the_connection_ends() {
    let gate = Gate::of_oauth2("");
    // What is behind each is a request to one reader, and part of the body to another.
    for headers in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n\r\na=bcde",
        "Content-Length: 5, 5\r\n\r\na=bcd",
        "Content-Length: +5\r\n\r\na=bcd",
        "Content-Length: 0x5\r\n\r\na=bcd",
        "Content-Length: 5 5\r\n\r\na=bcd",
        "Content-Length: \r\n\r\na=bcd",
        "Content-Length: -1\r\n\r\na=bcd",
        "Content-Length: 99999999999999999999999\r\n\r\na=bcd",
        "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\na=bcdXX0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n-5\r\na=bcd\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0x5\r\na=bcd\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\na=bcd\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\na=bcd\n0\n\n",
    ] {
        assert_eq!(gate.statuses(format!("{FORM}{headers}")), [400], "{headers:?}");
    }
    assert_eq!(
        gate.statuses(format!("{}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", FORM.replace("1.1", "1.0"))),
        [400]
    );
    // These are unusual, and clear.
    for headers in [
        "Content-Length: 5\r\nContent-Length: 5\r\n\r\na=bcd",
        "Transfer-Encoding: Chunked\r\n\r\n5;name=\"value\"\r\na=bcd\r\n0\r\nTrailer: a\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n005\r\na=bcd\r\n00\r\n\r\n",
        "Content-Length: 00005\r\n\r\na=bcd",
        "\r\n",
    ] {
        assert_eq!(gate.statuses(format!("{FORM}{headers}")), [400, 200], "{headers:?}");
    }
    // A body that nobody looks at is no request either.
    let hidden = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    let length = hidden.len();
    for (method, path) in [("GET", "/auth"), ("POST", "/auth"), ("POST", "/healthz"), ("DELETE", "/nowhere")] {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{hidden}");
        let statuses = gate.statuses(request);
        assert!(statuses.len() <= 2 && (401..=405).contains(&statuses[0]), "{method} {path}: {statuses:?}");
    }
    gate.proves_unharmed();
}

#[test]
fn heads_that_are_read_in_two_ways_are_refused() {
    let gate = Gate::with("");
    for lines in [
        &b"X-A: a\r\n b"[..],
        b"X-A: a\r\n\tb",
        b" X-A: a",
        b"X-A : a",
        b"X A: a",
        b": a",
        b"no header",
        b"X-A: a\rX-B: b",
        b"X-A: a\0b",
        b"X-A: a\x01b",
        b"X-A: a\x7fb",
        b"X-A\0: a",
        b"X-\xe9: a",
        b"X-A(: a",
        b"Host: auth.example",
        b"Host: other.example",
        b"Host:",
    ] {
        let statuses = gate.statuses(get(lines));
        assert_eq!(statuses[0], 400, "{}: {statuses:?}", lines.escape_ascii());
    }
    for lines in [&b"X-A: a\tb"[..], b"X-A: \xe9", b"X_A: a", b"X-A:", b"X-A:a", b"X-A: a\nX-B: b"] {
        assert_eq!(gate.statuses(get(lines)), [401, 200], "{}", lines.escape_ascii());
    }
    gate.proves_unharmed();
}

#[test]
fn a_request_is_to_one_host() {
    let gate = Gate::with("");
    let token = format!("Authorization: Bearer {}", gate.token);
    for (head, status) in [
        ("HTTP/1.1\r\nHost: a", 200),
        ("HTTP/1.1\r\nHost:", 200),
        ("HTTP/1.1", 400),
        ("HTTP/1.1\r\nHost: a\r\nHost: a", 400),
        ("HTTP/1.1\r\nHost: a b", 400),
        ("HTTP/1.1\r\nHost: a/b", 400),
        ("HTTP/1.1\r\nHost: b@a", 400),
        ("HTTP/1.1\r\nHost: \u{e9}", 400),
        ("HTTP/1.0", 200),
        ("HTTP/1.0\r\nHost: a\r\nHost: b", 400),
    ] {
        for (path, good) in [("/auth", 200), ("/healthz", 200), ("/nowhere", 404)] {
            let reply = gate.ask(format!("GET {path} {head}\r\n{token}\r\n\r\n"));
            assert_eq!(reply.status, if status == 200 { good } else { status }, "{path} {head:?}: {reply:?}");
            assert!(status == 200 || reply.header("content-type") == "application/problem+json", "{reply:?}");
        }
        let reply = gate.ask(format!("GET /auth/nginx {head}\r\n{token}\r\n\r\n"));
        let expected = if status == 200 { (200, "") } else { (401, "400") };
        assert_eq!((reply.status, reply.header("x-error-status")), expected, "{head:?}");
    }
    gate.proves_unharmed();
}

#[test]
fn what_is_too_long_is_431_and_ends_the_connection() {
    let gate = Gate::with("");
    let authorization = |length: usize| {
        let token = CANARY.repeat(length / CANARY.len() + 1);
        format!("GET /auth HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\r\n", &token[..length])
    };
    // Longer than a token may be, and as long as a head may not.
    assert_eq!(gate.statuses(authorization(8193)), [401, 200]);
    assert_eq!(gate.statuses(authorization(60_000)), [401, 200]);
    assert_eq!(gate.statuses(authorization(64 << 10)), [431]);
    for request in [
        get(format!("X-A: {}", "a".repeat(1 << 20))),
        get("X-A: a\r\n".repeat(10_000)),
        get("X-A: a\r\n".repeat(100)),
        format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(1 << 20)).into_bytes(),
        format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "A".repeat(1 << 20)).into_bytes(),
        get("a".repeat(1 << 20)),
    ] {
        let statuses = gate.statuses(&request);
        assert!(matches!(statuses[..], [431 | 414]), "{}: {statuses:?}", request[..40].escape_ascii());
    }
    assert_eq!(gate.statuses(get("X-A: a\r\n".repeat(90))), [401, 200]);
    let short = Gate::with("max_header_bytes = 8192");
    assert_eq!(short.statuses(get(format!("X-A: {}", "a".repeat(8192)))), [431]);
    assert_eq!(short.statuses(get(format!("X-A: {}", "a".repeat(7000)))), [401, 200]);
    short.proves_unharmed();
    gate.proves_unharmed();
}

#[test]
fn targets_of_every_form_have_an_answer() {
    let gate = Gate::with("");
    for (target, statuses) in [
        ("GET http://auth.example/auth HTTP/1.1", &[401, 200][..]),
        ("GET http://other.example/healthz HTTP/1.1", &[200, 200]),
        ("GET http://user@other.example/healthz HTTP/1.1", &[400, 200]),
        ("GET http:///auth HTTP/1.1", &[400]),
        ("GET auth.example:80 HTTP/1.1", &[400, 200]),
        ("GET * HTTP/1.1", &[400, 200]),
        ("PRI * HTTP/1.1", &[400, 200]),
        ("CONNECT auth.example:80 HTTP/1.1", &[404, 200]),
        ("CONNECT /auth HTTP/1.1", &[401, 200]),
        ("OPTIONS * HTTP/1.1", &[404, 200]),
        ("TRACE /healthz HTTP/1.1", &[405, 200]),
        ("get /healthz HTTP/1.1", &[405, 200]),
        ("GET  /healthz HTTP/1.1", &[400]),
        ("GET /healthz  HTTP/1.1", &[400]),
        ("GET /healthz\tHTTP/1.1", &[400]),
        ("GET healthz HTTP/1.1", &[400, 200]),
        ("GET /a b HTTP/1.1", &[400]),
        ("G\0T /healthz HTTP/1.1", &[400]),
        ("/healthz HTTP/1.1", &[400]),
        ("GET /../healthz HTTP/1.1", &[404, 200]),
        ("GET //auth HTTP/1.1", &[404, 200]),
        ("GET /auth%2fnginx HTTP/1.1", &[404, 200]),
        ("GET /%61uth HTTP/1.1", &[404, 200]),
        ("GET /healthz HTTP/0.9", &[400]),
        ("GET /healthz HTTP/1.2", &[400]),
        ("GET /healthz HTTP/2.0", &[400]),
        ("GET /healthz HTTP/3.0", &[400]),
        ("GET /healthz HTTP/11", &[400]),
        ("GET /healthz http/1.1", &[400]),
        ("GET /healthz", &[400]),
    ] {
        assert_eq!(gate.statuses(format!("{target}\r\nHost: auth.example\r\n\r\n")), statuses, "{target}");
    }
    // HTTP/1.0 goes on when it is asked to, and not otherwise.
    assert_eq!(gate.statuses("GET /healthz HTTP/1.0\r\n\r\n"), [200]);
    assert_eq!(gate.statuses("GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), [200, 200]);
    assert_eq!(gate.statuses("\r\n\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"), [200, 200]);
    gate.proves_unharmed();
}

#[test]
fn nobody_is_upgraded_and_nothing_is_echoed() {
    let gate = Gate::with("");
    for upgrade in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Connection: Upgrade\r\nUpgrade: TLS/1.3",
    ] {
        assert_eq!(gate.statuses(get(upgrade)), [401, 200], "{upgrade}");
    }
    let reply = gate.ask(format!("TRACE /healthz HTTP/1.1\r\nHost: a\r\nCookie: {CANARY}\r\n\r\n"));
    assert!(!reply.body.contains(CANARY) && !format!("{:?}", reply.headers).contains(CANARY), "{reply:?}");
    gate.proves_unharmed();
}

#[test]
fn what_is_no_http_at_all_is_closed() {
    let gate = Gate::with("header_timeout_ms = 500");
    let hello = [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], &[0xa5; 512]].concat();
    for garbage in [
        &hello[..],
        &[0; 1000],
        &[0xff; 1000],
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"EHLO mail.example\r\n",
        b"*1\r\n$4\r\nPING\r\n",
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nno frame",
        b"PRI * HT",
        b"{}",
        b"\r\n\r\n\r\n\r\n",
        b"G",
        b"",
    ] {
        let mut stream = gate.connect();
        send(&mut stream, garbage);
        let said = until_closed(&mut stream);
        // Frames are what it begins with in HTTP/2.
        let is_answer = said.is_empty() || said.starts_with(b"HTTP/1.1 400") || garbage.starts_with(b"PRI * HTTP/2.0");
        assert!(is_answer, "{}: {}", garbage.escape_ascii(), said.escape_ascii());
    }
    gate.proves_unharmed();
}
