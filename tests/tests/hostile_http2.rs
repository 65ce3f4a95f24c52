//! HTTP/2 as it is used against servers: each attack ends with its stream or its connection, in bounded memory, and others
//! are served meanwhile.

use token_host_tests::{Http2, block, frame};

use crate::hostile_http::{CANARY, Gate};

const GET: [(&str, &str); 4] = [(":method", "GET"), (":scheme", "http"), (":path", "/auth"), (":authority", "a")];

/// That the attack took little memory.
#[track_caller]
fn is_bounded(gate: &mut Gate, before: u64) {
    let after = gate.memory_mib();
    assert!(after <= before + 64, "{before} MiB, then {after}");
}

/// That the connection is in order still.
#[track_caller]
fn goes_on(connection: &mut Http2) {
    assert!(connection.send(Http2::PING, 0, 0, b"in order"));
    let answer = connection.wait_for(|frame| frame.kind == Http2::PING && frame.payload == b"in order");
    assert!(answer.is_some(), "it was closed");
}

#[test]
fn streams_that_are_reset_at_once_are_refused_in_the_end() {
    let mut gate = Gate::with("");
    let before = gate.memory_mib();
    let authorization = format!("Bearer {}", gate.token);
    let head = block(&[&GET[..], &[("authorization", &authorization)]].concat());
    let mut connection = Http2::connect(gate.address, &[]);
    let mut is_open = true;
    for round in 0..100 {
        let streams = (round * 100..round * 100 + 100).map(|stream| stream * 2 + 1);
        let frames = streams.flat_map(|stream| {
            let reset = frame(Http2::RESET, 0, stream, &[0, 0, 0, 8]);
            [frame(Http2::HEADERS, Http2::END_HEADERS | Http2::END_STREAM, stream, &head), reset].concat()
        });
        is_open = connection.send_bytes(&frames.collect::<Vec<u8>>());
        if !is_open {
            break;
        }
        gate.serves();
    }
    assert!(!is_open || connection.error() == Some(Http2::ENHANCE_YOUR_CALM), "nobody does that ten thousand times");
    is_bounded(&mut gate, before);
    gate.proves_unharmed();
}

#[test]
fn a_head_without_an_end_ends_the_connection() {
    let mut gate = Gate::with("");
    let before = gate.memory_mib();
    let more = block(&[("x-a", &"a".repeat(16_000)), ("x-canary", CANARY)]);
    for payload in [&more[..], &[], &block(&[("x-a", "")])] {
        let mut connection = Http2::connect(gate.address, &[]);
        connection.send(Http2::HEADERS, Http2::END_STREAM, 1, &block(&GET));
        let goes_on = frame(Http2::CONTINUATION, 0, 1, payload).repeat(10);
        let is_closed = (0..100_000).any(|_| !connection.send_bytes(&goes_on));
        assert!(is_closed, "{} bytes each", payload.len());
        gate.serves();
    }
    is_bounded(&mut gate, before);
    gate.proves_unharmed();
}

#[test]
fn a_head_that_unpacks_to_far_more_is_431() {
    let mut gate = Gate::with("");
    let before = gate.memory_mib();
    // A header into the table, and then many times that one.
    let mut bomb = block(&GET);
    bomb.extend([0x40, 3]);
    bomb.extend(b"x-a");
    bomb.extend([0x7f, 0xa1, 0x1e]);
    bomb.extend("a".repeat(4000).bytes());
    for times in [100, 12_000] {
        let head = [bomb.as_slice(), &vec![0xbe; times]].concat();
        let mut connection = Http2::connect(gate.address, &[]);
        connection.send(Http2::HEADERS, Http2::END_HEADERS | Http2::END_STREAM, 1, &head);
        let status = connection.first_status(1);
        assert!(matches!(status, Some(431) | None), "{times}: {status:?}");
        gate.serves();
    }
    let long = format!("Bearer {}", CANARY.repeat(70_000 / CANARY.len()));
    for (length, expected) in [(66_000, Some(431)), (9000, Some(401)), (10, Some(401))] {
        let mut connection = Http2::connect(gate.address, &[]);
        let head = block(&[&GET[..], &[("authorization", &long[..length]), ("x-a", "a")]].concat());
        let (first, rest) = head.split_at(head.len().min(16_384));
        connection.send(Http2::HEADERS, Http2::END_STREAM | flag_of_end(rest.is_empty()), 1, first);
        let mut rest = rest.chunks(16_384).peekable();
        while let Some(more) = rest.next() {
            connection.send(Http2::CONTINUATION, flag_of_end(rest.peek().is_none()), 1, more);
        }
        assert_eq!(connection.first_status(1), expected, "{length}");
        goes_on(&mut connection);
    }
    is_bounded(&mut gate, before);
    gate.proves_unharmed();
}

fn flag_of_end(is_end: bool) -> u8 {
    if is_end { Http2::END_HEADERS } else { 0 }
}

#[test]
fn frames_that_want_an_answer_are_not_collected() {
    let mut gate = Gate::with("");
    let before = gate.memory_mib();
    for (kind, stream, payload) in [
        (Http2::PING, 0, &[0; 8][..]),
        (Http2::SETTINGS, 0, &[]),
        (Http2::SETTINGS, 0, &[0, 4, 0, 1, 0, 0]),
        (Http2::PRIORITY, 1, &[0, 0, 0, 0, 1]),
        (0xee, 0, &[0; 100]),
    ] {
        // Nothing is read: what the server answers stays with it.
        let mut connection = Http2::connect(gate.address, &[]);
        connection.time_out_writes_after(std::time::Duration::from_millis(300));
        let frames = frame(kind, 0, stream, payload).repeat(100);
        let mut sent = 0;
        while sent < 2000 && connection.send_bytes(&frames) {
            sent += 1;
        }
        gate.serves();
        is_bounded(&mut gate, before);
    }
    gate.proves_unharmed();
}

#[test]
fn frames_out_of_place_end_the_connection_with_a_reason() {
    let gate = Gate::with("");
    let get = block(&GET);
    let (head, end) = (Http2::END_HEADERS | Http2::END_STREAM, Http2::END_STREAM);
    for (what, frames) in [
        ("a body of no stream", frame(Http2::DATA, end, 0, b"a")),
        ("a body before its head", frame(Http2::DATA, end, 1, b"a")),
        ("a head of no stream", frame(Http2::HEADERS, head, 0, &get)),
        ("a stream that is the server's", frame(Http2::HEADERS, head, 2, &get)),
        (
            "a stream before another",
            [frame(Http2::HEADERS, head, 5, &get), frame(Http2::HEADERS, head, 3, &get)].concat(),
        ),
        (
            "another frame within a head",
            [frame(Http2::HEADERS, end, 1, &get), frame(Http2::PING, 0, 0, &[0; 8])].concat(),
        ),
        (
            "another head within a head",
            [frame(Http2::HEADERS, end, 1, &get), frame(Http2::HEADERS, head, 3, &get)].concat(),
        ),
        ("more of no head", frame(Http2::CONTINUATION, head, 1, &get)),
        ("a frame too long", frame(Http2::DATA, end, 1, &[0; 16_385])),
        ("a setting and a half", frame(Http2::SETTINGS, 0, 0, &[0; 9])),
        ("settings of a stream", frame(Http2::SETTINGS, 0, 1, &[])),
        ("a window too large by a setting", frame(Http2::SETTINGS, 0, 0, &[0, 4, 0xff, 0xff, 0xff, 0xff])),
        ("a ping too short", frame(Http2::PING, 0, 0, &[0; 7])),
        ("a window larger by nothing", frame(Http2::WINDOW_UPDATE, 0, 0, &[0; 4])),
        ("a window that runs over", frame(Http2::WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]).repeat(2)),
        ("a reset of no stream", frame(Http2::RESET, 0, 0, &[0; 4])),
        ("a reset of a stream that is not there", frame(Http2::RESET, 0, 7, &[0; 4])),
        ("a promise", frame(5, Http2::END_HEADERS, 1, &[&[0, 0, 0, 2][..], &get].concat())),
        ("padding longer than its frame", frame(Http2::HEADERS, head | 8, 1, &[255, 0x82])),
        ("an index of no header", frame(Http2::HEADERS, head, 1, &[0xff, 0xff, 0xff, 0x07])),
        ("an integer without an end", frame(Http2::HEADERS, head, 1, &[0xff; 100])),
        ("a table too large", frame(Http2::HEADERS, head, 1, &[0x3f, 0xff, 0xff, 0xff, 0x7f])),
        ("a text longer than its head", frame(Http2::HEADERS, head, 1, &[0, 100, b'a'])),
        ("a text of no code", frame(Http2::HEADERS, head, 1, &[0, 0x84, 0xff, 0xff, 0xff, 0xff, 1, b'a'])),
    ] {
        let mut connection = Http2::connect(gate.address, &[]);
        connection.send_bytes(&frames);
        let reason = connection.error();
        assert!(reason.is_some(), "{what}");
        assert!(connection.wait_for(|_| false).is_none(), "{what}");
    }
    gate.proves_unharmed();
}

#[test]
fn what_a_request_is_called_is_read_strictly() {
    let gate = Gate::with("trusted_proxies = ['127.0.0.1']\n[[http.rule]]\npath = '/admin/*'\nscope = 'admin'");
    let bearer = format!("Bearer {}", gate.token);
    let secret_path = format!("/auth?access_token={CANARY} ");
    let status = |headers: &[(&str, &str)]| {
        let mut connection = Http2::connect(gate.address, &[]);
        connection.request(1, headers);
        let status = connection.first_status(1);
        if status.is_some() {
            goes_on(&mut connection);
        }
        status
    };
    // The head of a good request with one of its headers changed, or gone, and with more behind it.
    let with = |name: &str, value: Option<&str>, more: &[(&str, &str)]| {
        let good = [
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/auth/envoy/a"),
            (":authority", "auth.example"),
            ("authorization", &bearer),
        ];
        let changed = good.into_iter().filter_map(|(known, written)| match value {
            Some(value) if known == name => Some((known, value)),
            None if known == name => None,
            _ => Some((known, written)),
        });
        status(&changed.chain(more.iter().copied()).collect::<Vec<_>>())
    };
    assert_eq!(with("", None, &[]), Some(200));
    assert_eq!(with("", None, &[("host", "auth.example")]), Some(200));
    assert_eq!(with(":authority", None, &[("host", "auth.example")]), Some(200));
    assert_eq!(with(":path", Some("/auth/envoy/admin"), &[]), Some(403));
    for (name, value, more) in [
        (":authority", None, &[][..]),
        (":authority", Some("user@auth.example"), &[]),
        (":path", Some("/auth/envoy/x/../admin"), &[]),
        (":path", Some("/auth/envoy//admin"), &[]),
        (":path", Some("/auth/envoy/%2e/admin"), &[]),
        (":path", Some("/auth/envoy/ADMIN"), &[]),
        (":path", Some("*"), &[]),
        ("", None, &[("host", "other.example")]),
        ("", None, &[("host", "auth.example"), ("host", "auth.example")]),
        ("", None, &[("authorization", "Bearer a")]),
    ] {
        assert_eq!(with(name, value, more), Some(400), "{name} {value:?} {more:?}");
    }
    for (path, expected) in [("/auth/../healthz", 404), ("/healthz/", 404), ("/HEALTHZ", 404), ("/healthz?a b", 0)] {
        assert_eq!(with(":path", Some(path), &[]).unwrap_or(0), expected, "{path}");
    }
    assert_eq!(status(&[(":method", "CONNECT"), (":authority", "auth.example:80")]), Some(404));
    // These are no requests: their streams are reset, or their connections ended.
    for (name, value, more) in [
        (":method", None, &[][..]),
        (":method", Some(""), &[]),
        (":method", Some("G T"), &[]),
        (":scheme", None, &[]),
        (":path", None, &[]),
        (":path", Some(""), &[]),
        (":path", Some("auth"), &[]),
        (":path", Some("/auth x"), &[]),
        (":path", Some(&secret_path), &[]),
        (":path", Some("/auth\0"), &[]),
        (":path", Some("/auth\r\nX-A: b"), &[]),
        (":authority", Some("a b"), &[]),
        ("", None, &[(":path", "/auth")]),
        ("", None, &[(":authority", "auth.example")]),
        ("", None, &[(":status", "200")]),
        ("", None, &[(":other", "a")]),
        (":scheme", None, &[(":scheme", "http")]),
        ("", None, &[("X-A", "a")]),
        ("", None, &[("x a", "a")]),
        ("", None, &[("x-a\r\n", "a")]),
        ("", None, &[("", "a")]),
        ("", None, &[("x-a", "a\r\nX-Auth-Actor-Id: root")]),
        ("", None, &[("x-a", "a\0")]),
        ("", None, &[("x-a", "a\n")]),
        ("", None, &[("connection", "close")]),
        ("", None, &[("transfer-encoding", "chunked")]),
        ("", None, &[("upgrade", "h2c")]),
        ("", None, &[("te", "gzip")]),
        ("", None, &[("content-length", "5")]),
        ("", None, &[("content-length", "a")]),
        (":method", Some("CONNECT"), &[]),
    ] {
        assert_eq!(with(name, value, more), None, "{name} {value:?} {more:?}");
        gate.serves();
    }
    let websocket = [&GET[..], &[(":protocol", "websocket")]].concat();
    assert_eq!(status(&websocket), None);
    gate.proves_unharmed();
}

#[test]
fn who_reads_byte_by_byte_is_let_go_of() {
    let gate = Gate::with("header_timeout_ms = 300");
    let mut connection = Http2::connect(gate.address, &[(4, 1)]);
    let metrics = [(":method", "GET"), (":scheme", "http"), (":path", "/metrics"), (":authority", "a")];
    for stream in 0..100 {
        connection.request(stream * 2 + 1, &metrics);
    }
    let mut read = 0;
    while let Some(data) = connection.wait_for(|frame| frame.kind == Http2::DATA) {
        assert!(data.payload.len() <= 1, "{data:?}");
        connection.send(Http2::WINDOW_UPDATE, 0, data.stream, &[0, 0, 0, 1]);
        read += 1;
    }
    assert!(read >= 100, "it did read: {read}");
    gate.proves_unharmed();
}
