//! The stream of events at `/api/v1/events`: what it tells, to how many, and when it ends.

use std::{
    io::{self, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use token_host_tests::{Api, Plugin, Scratch, Watcher, joined, wait_until};

/// Streams that go on at once.
const MAX_STREAMS: usize = 32;

/// So many events of noise are more than fit between a service and a client.
const MORE_THAN_FITS: usize = 12_000;

#[test]
fn whoever_watches_is_told_what_happens() {
    let api = Api::new();
    let mut watcher = api.watch(&api.admin);
    assert_eq!(watcher.status, (200, "text/event-stream".to_owned()));
    let (token, id) = api.kept("ann");
    let mut next = |wanted: &str| loop {
        let (name, event) = watcher.next().expect("the stream goes on");
        assert_eq!(event["kind"], name.as_str());
        assert!(!event.to_string().contains(&token), "{event}");
        if name == wanted && event["actor_id"] != "root" {
            return event;
        }
    };
    assert_eq!(next("token_created")["token_id"], id.as_str());
    assert_eq!(api.ask_as(&[&format!("Bearer {token}")], "GET", "/auth").status, 200);
    let used = next("token_used");
    assert_eq!((&used["actor_id"], &used["context"]["path"]), (&json!("ann"), &json!("/auth")));
    api.ask("DELETE", &format!("/api/v1/tokens/{id}?reason=a%0Adata:%20b"));
    assert_eq!(next("token_invalidated")["reason"], "a\ndata: b", "it is no line of its own");
    api.ask_as(&[&format!("Bearer {token}")], "GET", "/auth");
    assert_eq!(next("token_rejected")["handler"], "database");
}

#[test]
fn a_stream_ends_with_the_token_that_it_is_for() {
    let api = Api::new();
    let admin = json!({ "actor_id": "root", "handler": "database", "restrictions": { "a": ["admin"] } });
    let made = api.send("POST", "/api/v1/tokens", &admin).json();
    let bearer = format!("Bearer {}", made["token"].as_str().unwrap());
    let (mut ended, mut other) = (api.watch(&bearer), api.watch(&api.admin));
    assert_eq!(ended.status.0, 200);
    let revoked = Instant::now();
    api.ask("DELETE", &format!("/api/v1/tokens/{}", made["id"].as_str().unwrap()));
    let last = ended.by_ref().last();
    assert!(last.is_none_or(|(kind, _)| kind != "token_invalidated"), "it is told nothing any more");
    assert!(revoked.elapsed() < Duration::from_secs(5), "at once, and not when it is looked again");
    assert!(other.by_ref().any(|(kind, _)| kind == "token_invalidated"), "others go on");
    assert_eq!(api.watch(&bearer).status.0, 401);
}

#[test]
fn a_stream_ends_when_its_token_expires_or_somebody_else_revokes_it() {
    let api = Api::new();
    let mut expires = api.watch(&api.bearer(&["root", "--all", "admin", "--expires-after", "2"]));
    let admin = json!({ "actor_id": "root", "handler": "database", "restrictions": { "a": ["admin"] } });
    let made = api.send("POST", "/api/v1/tokens", &admin).json();
    let mut revoked = api.watch(&format!("Bearer {}", made["token"].as_str().unwrap()));
    // Another process does it, of which this one is told nothing.
    let id = made["id"].as_str().unwrap();
    let run = api.scratch.run(["invalidate", "--handler", "database", "--id", id, "--yes"]);
    assert_eq!(run.code(), 0, "{run}");
    while expires.next().is_some() {}
    while revoked.next().is_some() {}
}

#[test]
fn only_so_many_watch_at_once() {
    let api = Api::new();
    let mut watchers: Vec<Watcher> = (0..MAX_STREAMS).map(|_| api.watch(&api.admin)).collect();
    assert!(watchers.iter().all(|watcher| watcher.status.0 == 200));
    let refused = api.watch(&api.admin);
    assert_eq!(refused.status, (503, "application/problem+json".to_owned()));
    assert_eq!(api.ask("GET", "/api/v1/me").status, 200, "other requests are answered");
    watchers.pop();
    let another = wait_until("a place is free", || {
        // Whoever is gone is seen to be when something is sent.
        api.kept("ann");
        Some(api.watch(&api.admin)).filter(|watcher| watcher.status.0 == 200)
    });
    drop(another);
}

/// Requests whose events are long, on one connection.
struct Noise {
    stream: TcpStream,
    head: String,
}

impl Noise {
    fn new(api: &Api) -> Self {
        let stream = TcpStream::connect(api.served.address).unwrap();
        let path = format!("/auth/envoy/{}", "p".repeat(1000));
        let head = format!("GET {path} HTTP/1.1\r\nhost: api\r\nauthorization: {}\r\n", api.admin);
        Self { stream, head }
    }

    /// Makes so many, and waits until all are answered.
    fn make(mut self, count: usize) {
        let mut answers = self.stream.try_clone().unwrap();
        let reading = thread::spawn(move || io::copy(&mut answers, &mut io::sink()).unwrap());
        for _ in 1..count {
            self.stream.write_all(format!("{}\r\n", self.head).as_bytes()).unwrap();
        }
        self.stream.write_all(format!("{}connection: close\r\n\r\n", self.head).as_bytes()).unwrap();
        assert!(joined("all are answered", reading) > 0);
    }
}

/// A service on which whoever does not read is let go of after this.
fn letting_go_after(header_timeout_ms: u32) -> Api {
    let mut scratch = Scratch::new();
    scratch.signed("").plugin("database", Plugin::Database, "url = 'sqlite:tokens.db'");
    scratch.entry(&format!("[http]\nheader_timeout_ms = {header_timeout_ms}"));
    Api::of(scratch)
}

/// Watchers in so many places.
fn watchers(api: &Api, places: usize) -> Vec<Watcher> {
    let watchers: Vec<Watcher> = (0..places).map(|_| api.watch(&api.admin)).collect();
    assert!(watchers.iter().all(|watcher| watcher.status.0 == 200));
    watchers
}

#[test]
fn whoever_does_not_read_loses_their_place_and_their_connection() {
    let api = letting_go_after(1000);
    let deaf = watchers(&api, MAX_STREAMS);
    let _watcher = wait_until("a place is free", || {
        Noise::new(&api).make(500);
        Some(api.watch(&api.admin)).filter(|watcher| watcher.status.0 == 200)
    });
    wait_until("their connections are closed", || {
        Noise::new(&api).make(100);
        let figures = api.ask("GET", "/metrics").body;
        let open = figures.lines().find_map(|line| line.strip_prefix("token_host_http_connections ")).unwrap();
        // The watcher's, and that of who asks; and one that was just closed may be counted.
        (open.parse::<usize>().unwrap() <= 3).then_some(())
    });
    drop(deaf);
}

#[test]
fn a_stream_that_is_not_read_ends_with_its_token() {
    // As if whoever does not read were never let go of.
    let api = letting_go_after(600_000);
    let admin = json!({ "actor_id": "root", "handler": "database", "restrictions": { "a": ["admin"] } });
    let made = api.send("POST", "/api/v1/tokens", &admin).json();
    let deaf = api.watch(&format!("Bearer {}", made["token"].as_str().unwrap()));
    assert_eq!(deaf.status.0, 200);
    Noise::new(&api).make(MORE_THAN_FITS);
    let _others = watchers(&api, MAX_STREAMS - 1);
    assert_eq!(api.watch(&api.admin).status.0, 503);
    let revoked = api.ask("DELETE", &format!("/api/v1/tokens/{}", made["id"].as_str().unwrap()));
    assert_eq!(revoked.status, 200, "{revoked:?}");
    let another =
        wait_until("a place is free", || Some(api.watch(&api.admin)).filter(|watcher| watcher.status.0 == 200));
    drop((deaf, another));
}

#[test]
fn a_stream_ends_with_the_api() {
    let mut api = Api::new();
    let mut told = api.watch(&api.admin);
    api.scratch.entry("[http]\napi = false");
    wait_until("it is off", || (api.ask("GET", "/api/v1/me").status == 404).then_some(()));
    let off = Instant::now();
    // It ends with what happens next, and without that soon after.
    assert_eq!(api.ask_as(&[&api.admin], "GET", "/auth").status, 200);
    assert!(told.by_ref().all(|(_, event)| event["context"]["path"] != "/auth"));
    assert!(off.elapsed() < Duration::from_secs(5), "at once");
}

#[test]
fn a_watcher_that_is_too_slow_is_told_what_it_missed() {
    let api = letting_go_after(600_000);
    let mut watcher = api.watch(&api.admin);
    // Nothing is read meanwhile: buffers fill, and then events are lost.
    Noise::new(&api).make(MORE_THAN_FITS);
    api.kept("last");
    let missed = watcher
        .by_ref()
        .take_while(|(_, event)| event["actor_id"] != "last")
        .find(|(kind, _)| kind == "missed")
        .expect("some are missed")
        .1;
    assert!(missed["missed"].as_u64().unwrap() > 0, "{missed}");
    assert!(watcher.by_ref().any(|(_, event)| event["actor_id"] == "last"), "it goes on");
}
