//! Connections by the thousand, and one too many.

use std::net::TcpStream;

use token_host_tests::{Http2, wait_until};

use crate::hostile_http::{Gate, until_closed};

/// How many files this process, and those that it starts, may have open: as many as the system lets it.
#[cfg(unix)]
fn open_files() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(1 << 20);
    // Where it may not be raised, it stays.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: limit.maximum });
    getrlimit(Resource::Nofile).current.unwrap_or(most)
}

#[cfg(not(unix))]
fn open_files() -> u64 {
    2000
}

#[test]
fn ten_thousand_connections_that_do_nothing_keep_nobody_waiting() {
    // What other tests have open at the same time is left to them.
    let count = usize::try_from(open_files().saturating_sub(2000).min(10_000)).unwrap();
    assert!(count > 0, "there is room for none");
    let mut gate = Gate::with("header_timeout_ms = 600000");
    gate.serves();
    let before = gate.memory_mib();
    let half = b"GET /auth HTTP/1.1\r\nHost: a\r\nX-A: ";
    let idle: Vec<TcpStream> = (0..count)
        .map(|place| {
            let mut stream = gate.connect();
            match place % 4 {
                0 => _ = crate::hostile_http::send(&mut stream, half),
                1 => _ = crate::hostile_http::send(&mut stream, gate.good()),
                _ => {}
            }
            stream
        })
        .collect();
    let counted = format!("token_host_http_connections {}", count + 1);
    wait_until("all are open", || {
        gate.ask("GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").body.contains(&counted).then_some(())
    });
    gate.serves();
    let (after, allowed) = (gate.memory_mib(), count as u64 * 30 / 1024);
    assert!(after <= before + allowed, "{count} connections took {before} MiB to {after} MiB");
    drop(idle);
    gate.proves_unharmed();
}

#[test]
fn one_connection_too_many_is_503() {
    let gate = Gate::with("max_connections = 2\nheader_timeout_ms = 600000");
    let mut open = [gate.connect(), gate.connect()];
    for stream in &mut open {
        let reply = token_host_tests::exchange_on(stream, gate.good()).unwrap();
        assert_eq!(reply.status, 200);
    }
    let said = String::from_utf8(until_closed(&mut gate.connect())).unwrap();
    assert!(said.starts_with("HTTP/1.1 503 ") && said.contains("\r\nretry-after: 1\r\n"), "{said}");
    for stream in &mut open {
        assert_eq!(token_host_tests::exchange_on(stream, gate.good()).unwrap().status, 200, "these go on");
    }
    drop(open);
    wait_until("there is room again", || {
        token_host_tests::try_exchange(gate.address, gate.good()).filter(|reply| reply.status == 200)
    });
    wait_until("and nobody is left", || {
        let metrics = gate.ask("GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").body;
        metrics.contains("token_host_http_connections 1\n").then_some(())
    });
    gate.proves_unharmed();
}

#[test]
fn one_stream_too_many_is_refused_alone() {
    let gate = Gate::of_oauth2("request_timeout_ms = 600000");
    let mut connection = Http2::connect(gate.address, &[]);
    let head = [(":method", "POST"), (":scheme", "http"), (":path", "/oauth2/token"), (":authority", "a")];
    let block = token_host_tests::block(&head);
    for stream in 0..200 {
        connection.send(Http2::HEADERS, Http2::END_HEADERS, stream * 2 + 1, &block);
    }
    let reset = connection.wait_for(|frame| frame.kind == Http2::RESET).unwrap();
    // REFUSED_STREAM: it may be sent again.
    assert_eq!((reset.stream, &reset.payload[..]), (257, &[0, 0, 0, 7][..]));
    // There is an end to those that wait.
    connection.send(Http2::DATA, Http2::END_STREAM, 1, b"grant_type=none");
    assert_eq!(connection.first_status(1), Some(400));
    gate.proves_unharmed();
}
