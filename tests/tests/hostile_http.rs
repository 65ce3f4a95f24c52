//! The service that hostile clients meet: it serves others meanwhile, and its log holds nothing that could be replayed.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;
use token_host_tests::{Daemon, PATIENCE, Plugin, Reply, SECRET, Scratch, exchange, forge, now, replies};

/// A secret of a client's, and what stands in its place where no token does.
pub(crate) const CANARY: &str = "canary-9f86d081884c7d65";

/// A service that logs everything.
pub(crate) struct Gate {
    pub(crate) address: SocketAddr,
    /// A good token.
    pub(crate) token: String,
    daemon: Daemon,
    _scratch: Scratch,
}

impl Gate {
    /// One with these lines in `[http]`.
    pub(crate) fn with(http: &str) -> Self {
        Self::of(http, |_| {})
    }

    /// The same with more in its configuration.
    pub(crate) fn of(http: &str, more: impl FnOnce(&mut Scratch)) -> Self {
        let mut scratch = Scratch::new();
        scratch.entry(&format!("[http]\n{http}")).signed("");
        more(&mut scratch);
        let mut daemon =
            Daemon::start(scratch.command(["serve", "--listen", "127.0.0.1:0"]).env("TOKEN_HOST_LOG", "trace"));
        let address = daemon.address();
        let token = forge(SECRET, json!({ "a": "alice", "t": now() }).to_string());
        Self { address, token, daemon, _scratch: scratch }
    }

    /// One with an authorization server.
    pub(crate) fn of_oauth2(http: &str) -> Self {
        Self::of(http, |scratch| {
            scratch.entry("[oauth2]\nissuer = 'https://auth.example'");
            scratch.plugin("oauth2", Plugin::OAuth2, "url = 'memory:'");
        })
    }

    /// A good request, whatever the rules.
    pub(crate) fn good(&self) -> String {
        format!("GET /auth/envoy/ HTTP/1.1\r\nHost: auth.example\r\nAuthorization: Bearer {}\r\n\r\n", self.token)
    }

    /// What is answered to these bytes.
    pub(crate) fn ask(&self, request: impl AsRef<[u8]>) -> Reply {
        exchange(self.address, request)
    }

    /// The statuses of all that is answered to these bytes, a good request behind them included, until the connection is
    /// closed.
    pub(crate) fn statuses(&self, request: impl AsRef<[u8]>) -> Vec<u16> {
        let last = self.good().replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
        let all = replies(self.address, [request.as_ref(), last.as_bytes()].concat());
        all.into_iter().map(|reply| reply.status).collect()
    }

    /// A connection.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// That somebody else gets an answer.
    #[track_caller]
    pub(crate) fn serves(&self) {
        let reply = self.ask(self.good());
        assert_eq!((reply.status, reply.header("x-auth-actor-id")), (200, "alice"), "{reply:?}");
    }

    /// The process.
    pub(crate) fn id(&mut self) -> u32 {
        self.daemon.id()
    }

    /// How much of the process is in memory, in MiB. 0 where that cannot be told.
    pub(crate) fn memory_mib(&mut self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.map_or(0, |line| line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024)
    }

    /// That it serves still, and that its log, from the beginning to its end, holds neither tokens nor secrets.
    #[track_caller]
    pub(crate) fn proves_unharmed(mut self) {
        self.serves();
        self.daemon.terminate();
        let status = self.daemon.end();
        let log = self.daemon.log();
        assert!(status.success() && !log.contains("panicked"), "{status}: {log}");
        assert!(!log.is_empty(), "it does log");
        let signature = self.token.rsplit('.').next().unwrap();
        let basic = STANDARD.encode(format!("client:{CANARY}"));
        for secret in [self.token.as_str(), signature, SECRET, CANARY, basic.trim_end_matches('=')] {
            if let Some(line) = log.lines().find(|line| line.contains(secret)) {
                panic!("{secret} is in the log: {}", &line[..line.len().min(2000)]);
            }
        }
    }
}

/// Waits until the server closes the connection. What it said before.
pub(crate) fn until_closed(stream: &mut TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    match stream.read_to_end(&mut said) {
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        read => assert!(read.is_ok(), "it is not closed: {read:?}"),
    }
    said
}

/// Sends on a connection that the server may have closed.
pub(crate) fn send(stream: &mut TcpStream, bytes: impl AsRef<[u8]>) -> bool {
    stream.write_all(bytes.as_ref()).is_ok()
}

#[test]
fn the_log_holds_nothing_that_could_be_replayed() {
    let gate =
        Gate::of_oauth2("token_query = 'access_token'\ntoken_cookie = 'session'\ntrusted_proxies = ['127.0.0.1']");
    let basic = STANDARD.encode(format!("client:{CANARY}"));
    let host = "Host: auth.example";
    let token = &gate.token;
    for request in [
        format!("GET /auth HTTP/1.1\r\n{host}\r\nAuthorization: Bearer {token}\r\n\r\n"),
        format!(
            "GET /auth HTTP/1.1\r\n{host}\r\nAuthorization: Bearer {token}\r\nAuthorization: Bearer {CANARY}\r\n\r\n"
        ),
        format!("GET /auth HTTP/1.1\r\n{host}\r\nAuthorization: Bearer {CANARY}\r\n\r\n"),
        format!("GET /auth HTTP/1.1\r\n{host}\r\nAuthorization: Bearer {CANARY} {token}\r\n\r\n"),
        format!("GET /auth HTTP/1.1\r\n{host}\r\nAuthorization: Bearer {CANARY}\0\r\n\r\n"),
        format!("GET /auth HTTP/1.1\r\n{host}\r\nCookie: session={token}\r\n\r\n"),
        format!("GET /auth HTTP/1.1\r\n{host}\r\nX-Forwarded-Uri: /?access_token={token}\r\n\r\n"),
        format!("GET /auth/envoy/a?access_token={token} HTTP/1.1\r\n{host}\r\n\r\n"),
        format!("GET /auth?access_token={token} HTTP/1.1\r\n{host}\r\n\r\n"),
        format!("GET /?access_token={token} HTTP/1.1\r\n{host}\r\n\r\n"),
        format!("GET /api/v1/tokens HTTP/1.1\r\n{host}\r\nAuthorization: Bearer {token}\r\n\r\n"),
        format!("POST /oauth2/token HTTP/1.1\r\n{host}\r\nAuthorization: Basic {basic}\r\nContent-Length: 0\r\n\r\n"),
        format!(
            "POST /oauth2/introspect HTTP/1.1\r\n{host}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\ntoken={CANARY}",
            6 + CANARY.len()
        ),
    ] {
        assert!((200..500).contains(&gate.ask(&request).status), "{request}");
    }
    gate.proves_unharmed();
}
