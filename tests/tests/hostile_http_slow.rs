//! Clients that take their time: with a head, a body, an answer. Each is let go of, and others do not wait for it.

use std::{
    io::ErrorKind,
    net::{Shutdown, TcpStream},
    thread::{self, JoinHandle},
    time::Duration,
};

use token_host_tests::{Http2, joined, wait_until};

use crate::hostile_http::{CANARY, Gate, send, until_closed};

const QUICK: &str = "header_timeout_ms = 300\nrequest_timeout_ms = 300";

/// Sends this again and again, a little each time, until the connection is closed.
fn drip(mut stream: TcpStream, bytes: &'static [u8]) -> JoinHandle<()> {
    thread::spawn(move || {
        while send(&mut stream, bytes) {
            // That is the attack.
            thread::sleep(Duration::from_millis(10));
        }
    })
}

fn status(said: &[u8]) -> &str {
    std::str::from_utf8(said).unwrap().lines().next().unwrap_or_default()
}

#[test]
fn a_head_that_does_not_end_ends_the_connection() {
    let gate = Gate::with(QUICK);
    let begun = format!("GET /auth HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {CANARY}\r\n");
    for (begin, goes_on) in [
        ("", &b"G"[..]),
        ("", b"\r\n"),
        ("GET /", b"a"),
        (&begun, b"X-A: a\r\n"),
        (&begun, b"a"),
        (&gate.good(), b"G"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\0"),
    ] {
        let mut stream = gate.connect();
        send(&mut stream, begin);
        let dripping = drip(stream.try_clone().unwrap(), goes_on);
        let said = until_closed(&mut stream);
        let is_silent = said.is_empty() || begin.starts_with("PRI") || *begin == gate.good();
        assert!(is_silent || status(&said).starts_with("HTTP/1.1 4"), "{begin}: {}", said.escape_ascii());
        joined("the end of the attack", dripping);
        gate.serves();
    }
    gate.proves_unharmed();
}

#[test]
fn a_body_that_does_not_end_is_408_and_ends_the_connection() {
    let gate = Gate::of_oauth2(QUICK);
    let form = "POST /oauth2/token HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    for (headers, goes_on) in [
        ("Content-Length: 10000\r\n\r\n", &b"a"[..]),
        ("Content-Length: 10000\r\nExpect: 100-continue\r\n\r\n", b"a"),
        ("Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
        ("Transfer-Encoding: chunked\r\n\r\n", b"0"),
        ("Transfer-Encoding: chunked\r\n\r\n0\r\n", b"A: a\r\n"),
    ] {
        let mut stream = gate.connect();
        send(&mut stream, format!("{form}{headers}"));
        let dripping = drip(stream.try_clone().unwrap(), goes_on);
        let said = until_closed(&mut stream);
        let said = said.strip_prefix(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(&said);
        let is_refused = ["HTTP/1.1 408", "HTTP/1.1 400"].iter().any(|refusal| status(said).starts_with(refusal));
        assert!(is_refused, "{headers} {}", said.escape_ascii());
        joined("the end of the attack", dripping);
    }
    // Nothing at all is the same.
    let mut stream = gate.connect();
    send(&mut stream, format!("{form}Content-Length: 10\r\n\r\n"));
    let said = until_closed(&mut stream);
    assert!(status(&said).starts_with("HTTP/1.1 408"), "{}", said.escape_ascii());
    // To a proxy that asks, a body is nothing: it is answered before one comes.
    let mut stream = gate.connect();
    send(&mut stream, gate.good().replace("\r\n\r\n", "\r\nContent-Length: 10000\r\n\r\n"));
    let said = until_closed(&mut stream);
    assert!(status(&said).starts_with("HTTP/1.1 200"), "{}", said.escape_ascii());
    gate.proves_unharmed();
}

#[test]
fn who_sends_bodies_slowly_keeps_out_neither_proxies_nor_those_who_watch() {
    let gate = Gate::of_oauth2("max_requests = 8");
    let head = "POST /oauth2/introspect HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n\
                Content-Length: 10\r\n\r\n";
    let get = |path: &str| gate.ask(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
    let mut slow = Vec::new();
    wait_until("there is no room for more of them", || {
        let mut stream = gate.connect();
        send(&mut stream, head);
        slow.push(stream);
        (get("/metrics").status == 503).then_some(())
    });
    slow.extend((0..20).map(|_| gate.connect()));
    slow.iter_mut().for_each(|stream| _ = send(stream, head));
    assert_eq!(get("/healthz").status, 200);
    gate.serves();
    drop(slow);
    wait_until("there is room again", || (get("/metrics").status == 200).then_some(()));
    gate.proves_unharmed();
}

#[test]
fn bodies_of_a_wrong_kind_or_length_are_refused() {
    let gate = Gate::of_oauth2("");
    let post = |kind: &str, length: usize, body: &str| {
        format!("POST /oauth2/token HTTP/1.1\r\nHost: a\r\n{kind}Content-Length: {length}\r\n\r\n{body}")
    };
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let body = format!("grant_type=client_credentials&client_id=client&client_secret={CANARY}");
    for kind in [
        "",
        "Content-Type: application/json\r\n",
        "Content-Type: multipart/form-data; boundary=a\r\n",
        "Content-Type: text/plain\r\n",
        "Content-Type: application/x-www-form-urlencoded, application/json\r\n",
        "Content-Type: application/x-www-form-urlencoded\r\nContent-Type: application/json\r\n",
        "Content-Type: \u{e9}\r\n",
    ] {
        let reply = gate.ask(post(kind, body.len(), &body));
        assert!(matches!(reply.status, 400 | 415), "{kind}: {reply:?}");
        assert!(reply.body.contains("invalid_request"), "{kind}: {reply:?}");
    }
    for bad in ["%", "%zz=a", "grant_type=%ff", "grant_type=a&grant_type=b", "a=\0", "\u{e9}=\u{e9}"] {
        assert_eq!(gate.ask(post(form, bad.len(), bad)).status, 400, "{bad}");
    }
    // It is refused for what it says, before it is there.
    let reply = gate.ask(post(form, 1 << 30, &"a".repeat(300_000)));
    assert_eq!(reply.status, 413, "{reply:?}");
    let chunks = "10000\r\n".to_owned() + &"a".repeat(0x10000) + "\r\n";
    let chunked = format!("POST /oauth2/token HTTP/1.1\r\nHost: a\r\n{form}Transfer-Encoding: chunked\r\n\r\n");
    assert_eq!(gate.ask(chunked + &chunks.repeat(40)).status, 413);
    // Its client went away in the middle of it.
    let mut stream = gate.connect();
    send(&mut stream, post(form, 1000, &body));
    stream.shutdown(Shutdown::Write).unwrap();
    let said = until_closed(&mut stream);
    assert!(said.is_empty() || status(&said).starts_with("HTTP/1.1 400"), "{}", said.escape_ascii());
    gate.proves_unharmed();
}

#[test]
fn who_does_not_read_is_let_go_of() {
    let mut gate = Gate::with(QUICK);
    let before = gate.memory_mib();
    let mut greedy: Vec<TcpStream> = (0..20).map(|_| gate.connect()).collect();
    for stream in &mut greedy {
        // Until nothing more fits, or the connection is closed.
        stream.set_write_timeout(Some(Duration::from_millis(50))).unwrap();
        while send(stream, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n".repeat(100)) {}
    }
    gate.serves();
    for mut stream in greedy {
        let error = wait_until("it is closed", || {
            let error = std::io::Write::write_all(&mut stream, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").err()?;
            (error.kind() != ErrorKind::WouldBlock).then_some(error)
        });
        assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{error}");
    }
    let after = gate.memory_mib();
    assert!(after < before + 100, "{before} MiB, then {after}");
    gate.proves_unharmed();
}

#[test]
fn a_connection_of_http_2_on_which_nothing_happens_is_ended() {
    let gate = Gate::of_oauth2(QUICK);
    let mut idle = Http2::connect(gate.address, &[]);
    assert!(idle.wait_for(|frame| frame.kind == Http2::GO_AWAY).is_some(), "it is told");
    assert!(idle.wait_for(|_| false).is_none());
    // So is one that says something all the time, and asks nothing.
    for (kind, payload) in [(Http2::PING, &[0; 8][..]), (Http2::SETTINGS, &[]), (Http2::PRIORITY, &[0, 0, 0, 0, 1])] {
        let mut busy = Http2::connect(gate.address, &[]);
        let stream = u32::from(kind == Http2::PRIORITY);
        wait_until("it is closed", || (!busy.send(kind, 0, stream, payload)).then_some(()));
    }
    // One whose body does not come is answered.
    let mut slow = Http2::connect(gate.address, &[]);
    let head = [(":method", "POST"), (":scheme", "http"), (":path", "/oauth2/token"), (":authority", "a")];
    slow.send(Http2::HEADERS, Http2::END_HEADERS, 1, &token_host_tests::block(&head));
    assert_eq!(slow.first_status(1), Some(408));
    assert!(slow.wait_for(|_| false).is_none());
    // And one that takes no byte of its answers is closed with them.
    let mut deaf = Http2::connect(gate.address, &[(4, 0)]);
    for stream in 0..100 {
        let head = [(":method", "GET"), (":scheme", "http"), (":path", "/metrics"), (":authority", "a")];
        deaf.request(stream * 2 + 1, &head);
    }
    assert!(deaf.wait_for(|_| false).is_none());
    gate.proves_unharmed();
}
