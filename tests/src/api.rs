//! `/api/v1` of a `token-host serve` of a test's own, and what watches its events.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    time::Instant,
};

use serde_json::Value;

use crate::{JWT_SECRET, PATIENCE, Plugin, Reply, Scratch, Served};

/// The service of a folder, and an admin's token for it.
#[derive(Debug)]
pub struct Api {
    /// The folder.
    pub scratch: Scratch,
    /// The service.
    pub served: Served,
    /// `Authorization` with the token of an admin, `root`.
    pub admin: String,
}

impl Api {
    /// A service with a handler that keeps tokens, one that keeps cutoffs, and one that keeps nothing; the last makes the
    /// admin's token.
    pub fn new() -> Self {
        let mut scratch = Scratch::new();
        scratch.signed("").plugin("jwt", Plugin::Jwt, &format!("secret = '{JWT_SECRET}'"));
        scratch.plugin("database", Plugin::Database, "url = 'sqlite:tokens.db'");
        Self::of(scratch)
    }

    /// The service of this folder, which has the plugin `signed`.
    ///
    /// # Panics
    ///
    /// When it does not start, or no token is made.
    pub fn of(scratch: Scratch) -> Self {
        let served = Served::start(&scratch);
        let admin = token(&scratch, &["root", "--all", "admin"]);
        Self { scratch, served, admin: format!("Bearer {admin}") }
    }

    /// `Authorization` with a token of the handler `signed`, made by `create` with these arguments.
    ///
    /// # Panics
    ///
    /// When none is made.
    pub fn bearer(&self, arguments: &[&str]) -> String {
        format!("Bearer {}", token(&self.scratch, arguments))
    }

    /// What is answered to a request without a body, of the admin's.
    pub fn ask(&self, method: &str, path: &str) -> Reply {
        self.ask_as(&[&self.admin], method, path)
    }

    /// The same with these values of `Authorization`.
    pub fn ask_as(&self, authorizations: &[&str], method: &str, path: &str) -> Reply {
        let lines: Vec<(&str, &str)> = authorizations.iter().map(|value| ("authorization", *value)).collect();
        self.ask_with(method, path, &lines, "")
    }

    /// What is answered to a request with JSON, of the admin's.
    pub fn send(&self, method: &str, path: &str, body: &Value) -> Reply {
        let lines = [("authorization", self.admin.as_str()), ("content-type", "application/json")];
        self.ask_with(method, path, &lines, &body.to_string())
    }

    /// What is answered to a request with these headers and this body.
    pub fn ask_with(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        self.served.exchange(request(method, path, headers, body))
    }

    /// The answer to a request of the admin's that is done.
    ///
    /// # Panics
    ///
    /// When it is not.
    pub fn get(&self, path: &str) -> Value {
        let reply = self.ask("GET", path);
        assert_eq!((reply.status, reply.header("content-type")), (200, "application/json"), "{path}: {reply:?}");
        reply.json()
    }

    /// Makes a token of the handler `database` by the API: its value and its id.
    ///
    /// # Panics
    ///
    /// When none is made.
    pub fn kept(&self, actor: &str) -> (String, String) {
        let new = serde_json::json!({ "actor_id": actor, "handler": "database" });
        let reply = self.send("POST", "/api/v1/tokens", &new);
        assert_eq!(reply.status, 201, "{reply:?}");
        let made = reply.json();
        (made["token"].as_str().unwrap().to_owned(), made["id"].as_str().unwrap().to_owned())
    }

    /// Watches the events with this value of `Authorization`.
    pub fn watch(&self, authorization: &str) -> Watcher {
        Watcher::start(self.served.address, authorization)
    }
}

impl Default for Api {
    fn default() -> Self {
        Self::new()
    }
}

/// Somebody who watches events.
#[derive(Debug)]
pub struct Watcher {
    /// The status, and the type of what follows.
    pub status: (u16, String),
    lines: BufReader<TcpStream>,
}

impl Watcher {
    /// Begins to watch; nothing that happens from now on is missed, when the status is 200.
    ///
    /// # Panics
    ///
    /// When there is no answer.
    pub fn start(address: SocketAddr, authorization: &str) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // Whoever does not read is soon noticed.
        #[cfg(unix)]
        rustix::net::sockopt::set_socket_recv_buffer_size(&stream, 128 << 10).unwrap();
        let request = request("GET", "/api/v1/events", &[("authorization", authorization)], "");
        stream.write_all(request.as_bytes()).unwrap();
        let mut watcher = Self { status: (0, String::new()), lines: BufReader::new(stream) };
        let status = watcher.line().expect("there is a status line");
        watcher.status.0 = status.split(' ').nth(1).unwrap().parse().unwrap();
        while let Some(line) = watcher.line().filter(|line| !line.is_empty()) {
            if let Some(content_type) = line.strip_prefix("content-type: ") {
                content_type.clone_into(&mut watcher.status.1);
            }
        }
        if watcher.status.0 == 200 {
            while watcher.line().expect("the stream begins") != ": watching" {}
        }
        watcher
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.lines.read_line(&mut line).unwrap();
        (read > 0).then(|| line.trim_end().to_owned())
    }
}

/// The events, each by its name and its data, until the stream is over. Panics when there is none for a long time.
impl Iterator for Watcher {
    type Item = (String, Value);

    fn next(&mut self) -> Option<Self::Item> {
        let (began, mut name) = (Instant::now(), None);
        loop {
            let line = self.line()?;
            assert!(began.elapsed() < PATIENCE, "waited in vain for an event");
            if let Some(event) = line.strip_prefix("event: ") {
                name = Some(event.to_owned());
            } else if let Some(data) = line.strip_prefix("data: ") {
                return Some((name.expect("an event has a name"), serde_json::from_str(data).unwrap()));
            }
        }
    }
}

fn token(scratch: &Scratch, arguments: &[&str]) -> String {
    let run = scratch.run([&["create", "--handler", "signed"], arguments].concat());
    assert_eq!(run.code(), 0, "{run}");
    run.stdout.trim_end().to_owned()
}

fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: api\r\nconnection: close\r\ncontent-length: {length}\r\n{lines}\r\n{body}"
    )
}
