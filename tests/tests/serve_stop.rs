//! The end of `token-host serve`: what is in flight is finished, what is idle is let go, and then plugins stop.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use token_host_tests::{Daemon, Http2, PATIENCE, Plugin, Reply, Scratch, exchange_on, joined, wait_until};

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";

const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

fn serving(scratch: &Scratch) -> (Daemon, SocketAddr) {
    let mut daemon = Daemon::start(&mut scratch.command(["serve", "--listen", "127.0.0.1:0"]));
    let address = daemon.address();
    (daemon, address)
}

fn connection(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A service whose handler answers once a file is there, or never.
struct Slow {
    scratch: Scratch,
    until: PathBuf,
}

impl Slow {
    fn new(deed: &str, settings: &str) -> Self {
        let mut scratch = Scratch::new();
        let until = scratch.join("until");
        let handler = format!(
            "{{ name = 'told', execution = 'blocking', verify = '{deed}', slow_ms = 0, slow_until = '{}' }}",
            until.display()
        );
        let journal = scratch.journal().setting();
        scratch.no_preflight();
        scratch.plugin_with(
            "slow",
            Plugin::Hostile,
            "deadline_ms = 60000",
            &format!("{journal}handlers = [{handler}]"),
        );
        scratch.entry(&format!("[http]\n{settings}"));
        Self { scratch, until }
    }

    /// Asks about a token, and waits until the handler has it.
    fn ask(&self, address: SocketAddr) -> JoinHandle<Option<Reply>> {
        let request = "GET /auth HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer any\r\n\r\n";
        let mut stream = connection(address);
        let asking = thread::spawn(move || exchange_on(&mut stream, request));
        self.is_asked();
        asking
    }

    fn is_asked(&self) {
        let journal = self.scratch.journal();
        wait_until("the handler is asked", || journal.calls().contains(&"told verify".to_owned()).then_some(()));
    }

    fn let_go(&self) {
        fs::write(&self.until, "").unwrap();
    }
}

/// Whether nothing listens there any more.
fn refuses(address: SocketAddr) {
    wait_until("new connections are refused", || TcpStream::connect(address).is_err().then_some(()));
}

/// Whether the server closes a connection without a word.
fn is_closed(mut stream: &TcpStream) -> bool {
    let mut rest = Vec::new();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut rest);
    rest.is_empty()
}

#[test]
fn what_is_in_flight_is_finished_and_what_is_idle_is_closed_at_once() {
    let slow = Slow::new("slow", "");
    let (mut daemon, address) = serving(&slow.scratch);
    let mut idle = connection(address);
    assert_eq!(exchange_on(&mut idle, HEALTH).unwrap().status, 200);
    let untouched = connection(address);
    let mut half = connection(address);
    half.write_all(b"GET /healthz HTTP/1.1\r\nHos").unwrap();
    let asking = slow.ask(address);
    daemon.terminate();
    refuses(address);
    assert!(is_closed(&idle) && is_closed(&untouched) && is_closed(&half));
    assert!(daemon.is_running() && !asking.is_finished(), "they were closed while it goes on");
    slow.let_go();
    let reply = joined("the answer", asking).expect("it is answered");
    assert_eq!((reply.status, reply.header("connection")), (200, "close"));
    assert_eq!(daemon.end().code(), Some(0), "{}", daemon.log());
}

#[test]
fn a_body_that_is_being_sent_is_read_to_its_end() {
    let mut scratch = Scratch::new();
    scratch.entry("[oauth2]\nissuer = 'http://localhost'\n");
    scratch.plugin("oauth2", Plugin::OAuth2, "url = 'memory:'").signed("");
    let (mut daemon, address) = serving(&scratch);
    let mut stream = connection(address);
    let body = "grant_type=client_credentials&client_id=nobody&client_secret=none";
    let (first, rest) = body.split_at(10);
    let head = format!(
        "POST /oauth2/token HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // It wants the body, so the request is in flight.
    let mut told = [0; 25];
    stream.read_exact(&mut told).unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(first.as_bytes()).unwrap();
    daemon.terminate();
    refuses(address);
    let reply = exchange_on(&mut stream, rest).expect("it is answered");
    assert_eq!(reply.status, 400, "{}", reply.body);
    assert!(reply.body.contains("invalid_client"), "{}", reply.body);
    assert_eq!(daemon.end().code(), Some(0), "{}", daemon.log());
}

#[test]
fn after_stop_timeout_it_ends_whatever_is_in_flight() {
    let slow = Slow::new("hang", "stop_timeout_ms = 300");
    let (mut daemon, address) = serving(&slow.scratch);
    let asking = slow.ask(address);
    daemon.interrupt();
    let start = Instant::now();
    assert_eq!(daemon.end().code(), Some(0), "{}", daemon.log());
    assert!(start.elapsed() >= Duration::from_millis(300));
    assert!(daemon.log().contains("stopped before everything was finished"), "{}", daemon.log());
    assert!(joined("the connection's end", asking).is_none());
}

#[test]
fn who_is_told_twice_ends_at_once() {
    for signal in [SIGINT, SIGTERM] {
        let slow = Slow::new("hang", "");
        let (mut daemon, address) = serving(&slow.scratch);
        let _asking = slow.ask(address);
        daemon.terminate();
        refuses(address);
        match signal {
            SIGINT => daemon.interrupt(),
            _ => daemon.terminate(),
        }
        assert_eq!(daemon.end().signal(), Some(signal));
    }
}

#[test]
fn what_was_answered_last_is_in_the_audit_file() {
    let mut slow = Slow::new("slow", "");
    slow.scratch.plugin("audit", Plugin::Audit, "");
    let (mut daemon, address) = serving(&slow.scratch);
    let asking = slow.ask(address);
    daemon.terminate();
    refuses(address);
    slow.let_go();
    assert_eq!(joined("the answer", asking).unwrap().status, 200);
    assert_eq!(daemon.end().code(), Some(0), "{}", daemon.log());
    let shown = slow.scratch.run(["plugins"]);
    let written: String = fs::read_dir(slow.scratch.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains("audit"))
        .map(|path| fs::read_to_string(path).unwrap_or_default())
        .collect();
    assert!(written.contains("token_used"), "{written} {shown}");
}

#[test]
fn http2_is_told_to_go_away_and_its_streams_are_finished() {
    let slow = Slow::new("slow", "");
    let (mut daemon, address) = serving(&slow.scratch);
    let mut connection = Http2::connect(address, &[]);
    let head = [(":method", "GET"), (":scheme", "http"), (":path", "/auth"), (":authority", "a")];
    connection.request(1, &[&head[..], &[("authorization", "Bearer any")]].concat());
    slow.is_asked();
    daemon.terminate();
    // After the answer to its ping it knows which streams there are.
    connection.wait_for(|frame| frame.kind == Http2::GO_AWAY).expect("it says that it goes");
    slow.let_go();
    let answer = connection.wait_for(|frame| frame.stream == 1).expect("it is answered");
    assert_eq!((answer.kind, answer.payload[0]), (Http2::HEADERS, 0x88), "the answer is 200");
    while connection.next_frame().is_some() {}
    assert_eq!(daemon.end().code(), Some(0), "{}", daemon.log());
}
