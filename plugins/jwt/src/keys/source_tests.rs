//! When sets are read again, and what is kept when that fails.

use std::{
    fmt::Write as _,
    future::Future,
    pin::pin,
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    task::{Context, Waker},
    time::{Duration, Instant},
};

use pollster::block_on;
use serde_json::json;
use tempfile::TempDir;
use tracing::{Event, Metadata, Subscriber, field, span};

use super::*;
use crate::keys::test_server::{PATIENCE, TestServer, answer, never_answer};

/// Unix seconds that stand still.
#[derive(Clone, Default)]
struct Clock(Arc<AtomicU64>);

impl Clock {
    fn at(seconds: u64) -> Self {
        Self(Arc::new(seconds.into()))
    }

    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn pass(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

fn parse(bytes: &[u8]) -> Result<String, String> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.starts_with("bad") => Ok(text.to_owned()),
        _ => Err("expected a key set".to_owned()),
    }
}

/// From a URL, with calls that wait for as long as it takes.
fn remote(server: &TestServer, clock: &Clock, more: serde_json::Value) -> Arc<Source<String>> {
    let mut config = json!({"url": format!("{}?key=secret", server.url()), "wait_ms": 60_000, "timeout_ms": 60_000});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let clock = clock.clone();
    Source::start(serde_json::from_value(config).unwrap(), Path::new("/"), move || clock.now(), parse).unwrap()
}

/// A server that answers `200 OK` with `set 0`, `set 1` and so on.
fn counting_server() -> TestServer {
    TestServer::http(|index, connection| answer(connection, "200 OK", format!("set {index}").as_bytes()))
}

/// From a file, and the folder that it is in.
fn local(content: &str, clock: &Clock) -> (Arc<Source<String>>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("jwks.json"), content).unwrap();
    let config = serde_json::from_value(json!({"path": "jwks.json", "max_bytes": 100})).unwrap();
    let clock = clock.clone();
    (Source::start(config, folder.path(), move || clock.now(), parse).unwrap(), folder)
}

fn current(source: &Source<String>) -> Option<String> {
    source.current().map(|set| (*set).clone())
}

fn refreshed(source: &Source<String>) -> Result<String, String> {
    block_on(source.refreshed()).map(|set| (*set).clone()).map_err(|error| error.to_string())
}

/// Waits until it is so, or for too long.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what} has not come");
        thread::sleep(Duration::from_millis(1));
    }
}

fn is_idle(source: &Source<String>) -> bool {
    source.state().activity == Activity::Idle
}

#[test]
fn a_url_is_fetched_when_it_is_needed() {
    let server = counting_server();
    let source = remote(&server, &Clock::at(1000), json!({}));
    assert_eq!(server.count(), 0);
    until("the set", || current(&source).is_some());
    assert_eq!(current(&source).as_deref(), Some("set 0"));
    assert_eq!(server.count(), 1);
}

#[test]
fn old_sets_serve_while_they_are_fetched_again() {
    let server = counting_server();
    let clock = Clock::at(1000);
    let source = remote(&server, &clock, json!({}));
    assert_eq!(refreshed(&source).as_deref(), Ok("set 0"));
    for round in 1..4 {
        clock.pass(299);
        assert_eq!(current(&source), Some(format!("set {}", round - 1)));
        assert!(is_idle(&source));
        clock.pass(1);
        assert!(current(&source).is_some());
        until("the next set", || current(&source) == Some(format!("set {round}")));
        assert_eq!(server.count(), round + 1);
    }
}

#[test]
fn unknown_keys_cause_few_fetches() {
    let server = counting_server();
    let clock = Clock::at(1000);
    let source = remote(&server, &clock, json!({}));
    for second in 0..100 {
        for _ in 0..100 {
            assert_eq!(refreshed(&source), Ok(format!("set {}", second / 10)));
        }
        clock.pass(1);
    }
    assert_eq!(server.count(), 10);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..1000).for_each(|_| drop(refreshed(&source))));
        }
    });
    assert_eq!(server.count(), 11);
}

#[test]
fn many_share_one_fetch() {
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let server = TestServer::http(move |index, connection| {
        let _ = released.lock().unwrap().recv_timeout(PATIENCE);
        answer(connection, "200 OK", format!("set {index}").as_bytes());
    });
    let source = remote(&server, &Clock::at(1000), json!({}));
    thread::scope(|scope| {
        let waiting: Vec<_> = (0..100).map(|_| scope.spawn(|| refreshed(&source))).collect();
        until("100 who wait", || source.news.receiver_count() == 100);
        assert_eq!(current(&source), None);
        release.send(()).unwrap();
        for waiter in waiting {
            assert_eq!(waiter.join().unwrap().as_deref(), Ok("set 0"));
        }
    });
    assert_eq!(server.count(), 1);
}

#[test]
fn the_last_good_set_stays_and_the_next_one_comes() {
    let server = TestServer::http(|index, connection| match index {
        0 => answer(connection, "200 OK", b"one"),
        1 => answer(connection, "500 Oops", b"two"),
        2 => answer(connection, "200 OK", b"bad"),
        3 => drop(connection.write_all(b"garbage")),
        _ => answer(connection, "200 OK", b"two"),
    });
    let clock = Clock::at(1000);
    let source = remote(&server, &clock, json!({}));
    for (count, expected) in [(1, "one"), (2, "one"), (3, "one"), (4, "one"), (5, "two")] {
        assert_eq!(refreshed(&source).as_deref(), Ok(expected));
        assert_eq!(server.count(), count);
        clock.pass(100);
    }
    assert_eq!(source.state().failures, 0);
}

#[test]
fn an_issuer_in_trouble_gets_room() {
    let clock = Clock::at(0);
    let (times, served) = (Arc::new(Mutex::new(Vec::new())), clock.clone());
    let server = TestServer::http({
        let times = Arc::clone(&times);
        move |_, connection| {
            times.lock().unwrap().push(served.now());
            answer(connection, "503 Service Unavailable", b"");
        }
    });
    let source = remote(&server, &clock, json!({}));
    for _ in 0..1000 {
        assert!(refreshed(&source).is_err());
        // This does not cause more of them.
        assert_eq!(current(&source), None);
        clock.pass(1);
    }
    assert_eq!(*times.lock().unwrap(), [0, 10, 30, 70, 150, 310, 610, 910]);
}

#[test]
fn without_any_set_the_operator_hears_why() {
    let server = TestServer::http(|_, connection| answer(connection, "404 Not Found", b"body"));
    let source = remote(&server, &Clock::at(1000), json!({}));
    let wanted = format!("no key set yet from {}?...: answered with status 404, expected 200", server.url());
    assert_eq!(refreshed(&source), Err(wanted.clone()));
    // This one waited for nothing.
    assert_eq!(refreshed(&source), Err(wanted));
    assert_eq!(server.count(), 1);
    assert!(!format!("{source:?}").contains("secret"));
}

#[test]
fn nobody_waits_for_too_long() {
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let server = TestServer::http(move |_, connection| {
        let _ = released.lock().unwrap().recv_timeout(PATIENCE);
        answer(connection, "200 OK", b"set");
    });
    let clock = Clock::at(1000);
    let source = remote(&server, &clock, json!({"wait_ms": 50}));
    let start = Instant::now();
    for _ in 0..100 {
        let error = refreshed(&source).unwrap_err();
        assert!(error.ends_with("?...: it is still being fetched"), "{error}");
        // However late it is: another attempt begins when this one has ended.
        clock.pass(1000);
        assert_eq!(current(&source), None);
    }
    assert!(start.elapsed() >= Duration::from_millis(50), "the first one waits");
    assert!(start.elapsed() < Duration::from_secs(4), "the others do not");
    release.send(()).unwrap();
    until("the end of it", || is_idle(&source));
    assert_eq!(server.count(), 1);
    // It is as old as the attempt.
    assert_eq!(source.age(clock.now()), Some(100_000));
}

#[test]
fn who_stops_waiting_stops_nothing() {
    let server = counting_server();
    let source = remote(&server, &Clock::at(1000), json!({}));
    {
        let mut context = Context::from_waker(Waker::noop());
        let future = pin!(source.refreshed());
        let _ = future.poll(&mut context);
    }
    until("the set", || current(&source).as_deref() == Some("set 0"));
    assert_eq!((server.count(), source.news.receiver_count()), (1, 0));
}

#[test]
fn dropping_waits_for_nothing_and_leaves_nothing() {
    let server = TestServer::http(|_, connection| never_answer(connection));
    let config = json!({"url": server.url(), "timeout_ms": 60_000, "wait_ms": 60_000});
    let (clock, held) = (Clock::at(1000), Arc::new(()));
    let (now, token) = (clock.clone(), Arc::clone(&held));
    let read = move |bytes: &[u8]| parse(bytes).map(|text| (text, Arc::clone(&token)));
    let config = serde_json::from_value(config).unwrap();
    let source = Source::start(config, Path::new("/"), move || now.now(), read).unwrap();
    assert!(source.current().is_none());
    server.wait_for(1);
    let start = Instant::now();
    drop(source);
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(Arc::strong_count(&held), 1);
}

#[test]
fn the_threads_of_a_fetch_end_with_it() {
    let server = counting_server();
    let source = remote(&server, &Clock::at(1000), json!({}));
    assert!(refreshed(&source).is_ok());
    // Each has a weak reference, and so has the source itself.
    until("the end of both threads", || Arc::weak_count(&source) == 1);
}

#[test]
fn the_same_bytes_are_the_same_set() {
    let server = TestServer::http(|index, connection| answer(connection, "200 OK", &[b'0' + u8::from(index > 1)]));
    let clock = Clock::at(1000);
    let source = remote(&server, &clock, json!({}));
    let sets = [(); 3].map(|()| {
        let set = block_on(source.refreshed()).unwrap();
        clock.pass(10);
        set
    });
    assert_eq!(server.count(), 3);
    assert!(Arc::ptr_eq(&sets[0], &sets[1]) && !Arc::ptr_eq(&sets[1], &sets[2]));
    clock.pass(270);
    assert!(!source.is_old(1299) && !source.is_old(clock.now()));
}

#[test]
fn a_set_that_is_found_unchanged_is_fresh() {
    let clock = Clock::at(1000);
    let (source, _folder) = local("set", &clock);
    clock.pass(299);
    assert_eq!(refreshed(&source).as_deref(), Ok("set"));
    clock.pass(299);
    assert!(!source.is_old(clock.now()));
}

#[test]
fn a_panic_is_a_failure_like_others() {
    let server = counting_server();
    let (clock, panics) = (Clock::at(1000), Arc::new(AtomicBool::new(true)));
    let config = serde_json::from_value(json!({"url": server.url(), "wait_ms": 60_000})).unwrap();
    let source = {
        let (clock, panics) = (clock.clone(), Arc::clone(&panics));
        let parse = move |bytes: &[u8]| if panics.load(Ordering::SeqCst) { panic!("secret") } else { parse(bytes) };
        Source::start(config, Path::new("/"), move || clock.now(), parse).unwrap()
    };
    assert!(refreshed(&source).unwrap_err().ends_with("/jwks: reading it panicked"));
    clock.pass(10);
    panics.store(false, Ordering::SeqCst);
    assert_eq!(refreshed(&source).as_deref(), Ok("set 1"));
}

#[test]
fn a_clock_that_is_set_back_does_no_harm() {
    let server = counting_server();
    let clock = Clock::at(4_000_000_000);
    let source = remote(&server, &clock, json!({"max_stale_seconds": 300}));
    assert_eq!(refreshed(&source).as_deref(), Ok("set 0"));
    clock.0.store(1000, Ordering::SeqCst);
    assert!(current(&source).is_some());
    until("the next set", || current(&source).as_deref() == Some("set 1"));
    assert_eq!(refreshed(&source).as_deref(), Ok("set 1"));
    clock.pass(10);
    assert_eq!(refreshed(&source).as_deref(), Ok("set 2"));
}

#[test]
fn a_thread_that_is_late_causes_no_fetch() {
    let server = counting_server();
    let clock = Clock::at(1000);
    let source = remote(&server, &clock, json!({}));
    assert_eq!(refreshed(&source).as_deref(), Ok("set 0"));
    for (now, set) in [(999, "set 0"), (940, "set 0"), (939, "set 1"), (948, "set 1"), (949, "set 2")] {
        clock.0.store(now, Ordering::SeqCst);
        assert_eq!(refreshed(&source).as_deref(), Ok(set), "at {now}");
    }
}

#[test]
fn sets_may_become_too_old() {
    let server = TestServer::http(|index, connection| match index {
        0 | 3 => answer(connection, "200 OK", b"set"),
        _ => answer(connection, "500 Oops", b""),
    });
    let clock = Clock::at(1000);
    let source = remote(&server, &clock, json!({"max_stale_seconds": 1000}));
    assert!(refreshed(&source).is_ok());
    clock.pass(1000);
    assert_eq!(refreshed(&source).as_deref(), Ok("set"));
    clock.pass(100);
    assert_eq!(
        refreshed(&source),
        Err(format!(
            "key set from {}?... is 1100 s old, more than `max_stale_seconds`: answered with status 500, expected 200",
            server.url()
        ))
    );
    clock.pass(100);
    assert_eq!(refreshed(&source).as_deref(), Ok("set"));
    assert_eq!(server.count(), 4);
}

#[test]
fn without_a_limit_sets_stay() {
    let server = TestServer::http(|index, connection| match index {
        0 => answer(connection, "200 OK", b"set"),
        _ => answer(connection, "500 Oops", b""),
    });
    let clock = Clock::at(1000);
    let source = remote(&server, &clock, json!({}));
    for _ in 0..10 {
        assert_eq!(refreshed(&source).as_deref(), Ok("set"));
        clock.pass(1_000_000);
    }
    assert_eq!(server.count(), 10);
}

#[test]
fn a_file_that_changes_is_read_again() {
    let clock = Clock::at(1000);
    let (source, folder) = local("one", &clock);
    let path = folder.path().join("jwks.json");
    assert_eq!(current(&source).as_deref(), Some("one"));
    fs::write(&path, "two").unwrap();
    // By age.
    clock.pass(299);
    assert_eq!(current(&source).as_deref(), Some("one"));
    clock.pass(1);
    assert_eq!(current(&source).as_deref(), Some("two"));
    // By a rename, as editors and configuration management do, for an unknown key.
    fs::write(folder.path().join("new"), "six").unwrap();
    fs::rename(folder.path().join("new"), &path).unwrap();
    assert_eq!(refreshed(&source).as_deref(), Ok("two"));
    clock.pass(9);
    assert_eq!(refreshed(&source).as_deref(), Ok("two"));
    clock.pass(1);
    assert_eq!(current(&source).as_deref(), Some("two"));
    assert_eq!(refreshed(&source).as_deref(), Ok("six"));
}

#[test]
fn a_file_that_breaks_leaves_the_last_good_set() {
    let clock = Clock::at(1000);
    let (source, folder) = local("one", &clock);
    let path = folder.path().join("jwks.json");
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), || {
        fs::write(&path, "bad secret").unwrap();
        for _ in 0..50 {
            clock.pass(10);
            assert_eq!(refreshed(&source).as_deref(), Ok("one"));
        }
        fs::write(&path, "x".repeat(101)).unwrap();
        clock.pass(10);
        assert_eq!(refreshed(&source).as_deref(), Ok("one"));
        fs::remove_file(&path).unwrap();
        for _ in 0..50 {
            clock.pass(100);
            assert_eq!(current(&source).as_deref(), Some("one"));
        }
        fs::create_dir(&path).unwrap();
        clock.pass(10);
        assert_eq!(refreshed(&source).as_deref(), Ok("one"));
        fs::remove_dir(&path).unwrap();
        fs::write(&path, "two").unwrap();
        clock.pass(10);
        assert_eq!(refreshed(&source).as_deref(), Ok("two"));
    });
    let (place, stays) = (path.display(), "the key set cannot be read again, the last good one stays");
    let missing = "No such file or directory (os error 2)";
    assert_eq!(
        *log.0.lock().unwrap(),
        [
            format!("WARN {stays} place={place} error=expected a key set age_seconds=10"),
            format!("WARN {stays} place={place} error=it has more than 100 bytes (`max_bytes`) age_seconds=510"),
            format!("WARN {stays} place={place} error={missing} age_seconds=610"),
            format!("WARN {stays} place={place} error={missing} age_seconds=4210"),
            format!("WARN {stays} place={place} error=expected a regular file age_seconds=5520"),
            format!("INFO the key set can be read again place={place}"),
        ]
    );
}

#[test]
fn a_broken_file_is_no_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    let start = || {
        let config = serde_json::from_value(json!({"path": "jwks.json", "max_bytes": 10})).unwrap();
        Source::start(config, folder.path(), || 1000, parse).map(|source| current(&source))
    };
    let refused = |why: &str| Err(format!("`path`: {}: {why}", path.display()));
    assert_eq!(start(), refused("No such file or directory (os error 2)"));
    fs::write(&path, "bad").unwrap();
    assert_eq!(start(), refused("expected a key set"));
    fs::write(&path, "01234567890").unwrap();
    assert_eq!(start(), refused("it has more than 10 bytes (`max_bytes`)"));
    fs::write(&path, "0123456789").unwrap();
    assert_eq!(start(), Ok(Some("0123456789".to_owned())));
}

#[test]
fn files_are_read_as_rarely_as_urls() {
    let reads = Arc::new(AtomicUsize::new(0));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    let clock = Clock::at(1000);
    let source = {
        let (path, reads, clock) = (path.clone(), Arc::clone(&reads), clock.clone());
        fs::write(&path, "0").unwrap();
        // What is parsed is there to be read once: the next read finds the next text.
        let parse = move |bytes: &[u8]| {
            fs::write(&path, reads.fetch_add(1, Ordering::SeqCst).to_string() + "!").unwrap();
            parse(bytes)
        };
        let config = serde_json::from_value(json!({"path": "jwks.json"})).unwrap();
        Source::start(config, folder.path(), move || clock.now(), parse).unwrap()
    };
    for _ in 0..100 {
        clock.pass(1);
        (0..100).for_each(|_| drop(refreshed(&source)));
    }
    assert_eq!(reads.load(Ordering::SeqCst), 11);
}

/// The events of this crate, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("token_jwt")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = event.metadata().level().to_string();
        event.record(&mut |field: &field::Field, value: &dyn fmt::Debug| match field.name() {
            "message" => write!(text, " {value:?}").unwrap(),
            name => write!(text, " {name}={value:?}").unwrap(),
        });
        self.0.lock().unwrap().push(text);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}
