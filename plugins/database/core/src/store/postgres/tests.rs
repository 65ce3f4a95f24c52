//! The contract on real servers, and what happens to them.

use std::{
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use token_host_tests::{Postgres as Server, PostgresDatabase, PostgresOptions, skipped, wait_until};

use super::*;
use crate::{
    migrations,
    store::contract::{self, Fixture, digest, keep, token, wait},
};

struct Database(PostgresDatabase);

fn fixture(test: &str) -> Option<Database> {
    Some(Database(skipped(test, Server::shared())?.fresh_database()))
}

impl Database {
    fn store(&self, change: impl FnOnce(&mut Settings)) -> Arc<Postgres> {
        store(&self.0.url(), change)
    }

    /// Does something while a transaction that did this is open for two seconds.
    fn holding<T>(&self, sql: &str, deed: impl FnOnce() -> T) -> T {
        let sleeping =
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()";
        thread::scope(|scope| {
            let holding = scope.spawn(|| self.0.execute(&format!("BEGIN; {sql}; SELECT pg_sleep(2); COMMIT")));
            wait_until("it is done", || (self.0.execute(sleeping) == "1").then_some(()));
            let done = deed();
            holding.join().unwrap();
            done
        })
    }

    fn in_schema(&self, sql: &str) -> String {
        self.0.execute(&format!("SET search_path TO token_host; {sql}"))
    }
}

impl Fixture for Database {
    fn open(&self) -> Arc<dyn Store> {
        self.store(|_| {})
    }

    fn execute(&self, sql: &str) {
        self.in_schema(sql);
    }

    fn becoming_newer(&self) -> &'static str {
        "INSERT INTO migrations (version, title, applied_at) VALUES (99, 'of tomorrow', 0)"
    }

    fn number(&self, sql: &str) -> i64 {
        self.in_schema(sql).parse().unwrap()
    }
}

contract::contract!(fixture);

fn store(url: &str, change: impl FnOnce(&mut Settings)) -> Arc<Postgres> {
    let mut settings = Settings::new(url);
    settings.timeout = Duration::from_secs(1);
    change(&mut settings);
    Arc::new(Postgres::new(&settings).unwrap())
}

fn refusal<T>(answer: Answer<'_, T>) -> String {
    match pollster::block_on(answer) {
        Ok(_) => panic!("it was answered"),
        Err(error) => error.to_string(),
    }
}

/// The answer, or none when it is not there in time: then the call is dropped.
fn within<T: Send>(time: Duration, answer: Answer<'_, T>) -> Option<Result<T>> {
    struct Wake(thread::Thread);
    impl std::task::Wake for Wake {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let (mut answer, start) = (answer, Instant::now());
    let waker = Arc::new(Wake(thread::current())).into();
    loop {
        match answer.as_mut().poll(&mut std::task::Context::from_waker(&waker)) {
            std::task::Poll::Ready(answer) => return Some(answer),
            std::task::Poll::Pending => thread::park_timeout(time.checked_sub(start.elapsed())?),
        }
    }
}

const SHORT: Duration = Duration::from_millis(200);

#[test]
fn nothing_is_opened_before_the_first_call() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("postgres://root@127.0.0.1:{}/tokens", listener.local_addr().unwrap().port());
    let store = store(&url, |settings| settings.timeout = SHORT);
    assert_eq!(store.name(), url.replace("root@", ""));
    assert!(store.look_up_at_once(&digest(1)).is_none());
    // Time for a mistake to be made.
    thread::sleep(SHORT);
    assert!(listener.accept().is_err(), "somebody has connected");
    let error = refusal(store.look_up(digest(1)));
    assert_eq!(error, format!("{}: it did not answer within 200 ms", store.name()));
    assert!(listener.accept().is_ok());
}

#[test]
fn a_server_that_is_not_there_is_an_error_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://root:hunter2@127.0.0.1:{}/tokens", listener.local_addr().unwrap().port());
    drop(listener);
    let store = store(&url, |settings| settings.timeout = Duration::from_secs(60));
    for _ in 0..3 {
        for error in [
            refusal(store.look_up(digest(1))),
            refusal(store.insert(token(1, "root"))),
            refusal(store.record(One::Id(1))),
            refusal(store.invalidate(Which::One(One::Id(1)), 1, String::new())),
            refusal(store.migrate(true, 1)),
        ] {
            let expected = format!("{}: error connecting to server: ", store.name());
            assert!(error.starts_with(&expected) && !error.contains("hunter2"), "{error}");
        }
    }
}

#[test]
fn passwords_are_in_no_error() {
    let Some(database) = fixture("passwords_are_in_no_error") else { return };
    let url = database.0.url_tcp().replace("not%2Fa%40secret", "hunter2");
    assert_ne!(url, database.0.url_tcp());
    let store = store(&url, |_| {});
    for error in [refusal(store.look_up(digest(1))), refusal(store.list(page())), refusal(store.migrate(false, 1))] {
        assert!(error.ends_with("password authentication failed for user \"tokens\" (28P01)"), "{error}");
        assert!(error.starts_with("postgres://127.0.0.1:") && !error.contains("hunter2"), "{error}");
    }
    wait(self::store(&database.0.url_tcp(), |_| {}).look_up(digest(1)));
}

fn page() -> Page {
    Page { conditions: Default::default(), after: None, limit: 10 }
}

#[test]
fn tls_is_checked() {
    let test = "tls_is_checked";
    let Some(database) = fixture(test) else { return };
    let trusting = |settings: &mut Settings| settings.tls_root = Some(Server::authority());
    let url = database.0.url_tls();
    let encrypted = store(&url, trusting);
    keep(&*encrypted, token(1, "root"));
    let encrypted_connections = "SELECT count(*) > 0 AND bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
        WHERE client_addr IS NOT NULL AND datname = current_database()";
    assert_eq!(database.0.execute(encrypted_connections), "t");
    let error = refusal(store(&url, |_| {}).look_up(digest(1)));
    assert!(error.contains("error performing TLS handshake: ") && error.contains("UnknownIssuer"), "{error}");
    let error = refusal(store(&url.replace("localhost", "127.0.0.1"), trusting).look_up(digest(1)));
    assert!(error.contains("certificate not valid for name \"127.0.0.1\""), "{error}");

    let Some(server) = skipped(test, Server::start_with(PostgresOptions { tls: false, ..Default::default() })) else {
        return;
    };
    let without = server.fresh_database();
    wait(store(&without.url_tcp(), |_| {}).look_up(digest(1)));
    let error = refusal(store(&without.url_tls(), trusting).look_up(digest(1)));
    assert!(error.ends_with("error performing TLS handshake: server does not support TLS"), "{error}");
}

#[test]
fn a_schema_is_used_and_made_only_where_that_is_allowed() {
    let Some(database) = fixture("a_schema_is_used_and_made_only_where_that_is_allowed") else { return };
    let careful = |schema: &'static str| {
        database.store(|settings| {
            settings.migrate = false;
            settings.schema = schema.to_owned();
        })
    };
    let expected =
        format!("it has the schema version 0, expected {}: `token-host migrate` brings", migrations::VERSION);
    for error in [refusal(careful("one").look_up(digest(1))), refusal(careful("one").list(page()))] {
        assert!(error.contains(&expected), "{error}");
    }
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname IN ('one', 'two', 'token_host')";
    assert_eq!(database.0.execute(schemas), "0");
    let one = careful("one");
    wait(one.migrate(false, 77));
    assert_eq!(database.0.execute(schemas), "1");
    let steps: Vec<String> = (1..=migrations::VERSION).map(|version| format!("{version}|77")).collect();
    assert_eq!(database.0.execute("SELECT version, applied_at FROM one.migrations ORDER BY version"), steps.join("\n"));
    // What was asked too early is tried again.
    wait_until("it is usable", || pollster::block_on(one.insert(token(1, "root"))).ok());
    let two = database.store(|settings| settings.schema = "two".to_owned());
    assert_eq!(wait(two.look_up(digest(1))), None, "another schema is another store");
    assert_eq!(database.0.execute(schemas), "2");

    // Whoever may not make a schema can use one.
    database.0.execute_as_superuser(
        "CREATE ROLE clerk LOGIN; GRANT USAGE ON SCHEMA one TO clerk; \
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA one TO clerk; \
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA one TO clerk",
    );
    let url = database.0.url().replace("tokens:not%2Fa%40secret@", "clerk@");
    let clerk = |schema: &'static str| store(&url, |settings| settings.schema = schema.to_owned());
    assert!(wait(clerk("one").look_up(digest(1))).is_some());
    keep(&*clerk("one"), token(2, "root"));
    wait(clerk("one").set_actors(vec!["root".to_owned()], Some((1, String::new()))));
    let error = refusal(clerk("three").look_up(digest(1)));
    assert!(error.contains("permission denied") && error.contains("(42501)"), "{error}");
}

#[test]
fn a_server_that_does_not_write_is_an_error() {
    let Some(database) = fixture("a_server_that_does_not_write_is_an_error") else { return };
    keep(&*database.open(), token(1, "root"));
    database.0.execute_as_superuser(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$",
    );
    let store = database.open();
    assert!(wait(store.look_up(digest(1))).is_some());
    for error in [
        refusal(store.insert(token(2, "root"))),
        refusal(store.invalidate(Which::All(Default::default()), 1, String::new())),
        refusal(store.learn(Learned { uses: vec![(1, 1)], digests: vec![] })),
    ] {
        assert!(error.contains("in a read-only transaction (25006)"), "{error}");
    }
    assert!(wait(store.look_up(digest(1))).unwrap().invalidated.is_none());
}

#[test]
fn a_call_that_is_dropped_leaves_nothing_half_done() {
    let Some(database) = fixture("a_call_that_is_dropped_leaves_nothing_half_done") else { return };
    // A single connection: whoever comes next gets the one that was left.
    let store = database.store(|settings| settings.transactions = 1);
    let id = keep(&*store, token(1, "root"));
    let invalid = || store.invalidate(Which::One(One::Id(id)), 7, "first".to_owned());
    database.holding("LOCK TABLE token_host.invalid_tokens IN ACCESS EXCLUSIVE MODE", || {
        assert!(within(SHORT, invalid()).is_none(), "the table is locked");
        assert!(within(SHORT, store.list_inactive_actors(None, 1)).is_none(), "a pool that is exhausted waits");
    });
    let record = wait(store.record(One::Id(id))).unwrap();
    assert!(record.valid, "it was not committed");
    assert_eq!(wait(invalid()).len(), 1);
    let connections = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'token-host' \
        AND datname = current_database()";
    // Lookups, inserts, and the pool's single one.
    assert!(database.number(connections) <= 4 + 1 + 1);
    // Other tests have databases on this server, too.
    let left = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%' AND datname = current_database()";
    assert_eq!(database.number(left), 0);
}

#[test]
fn what_is_left_undone_is_in_nobodys_way() {
    let Some(database) = fixture("what_is_left_undone_is_in_nobodys_way") else { return };
    let store = database.store(|settings| settings.transactions = 2);
    let id = keep(&*store, token(1, "root"));
    wait(store.record(One::Id(id)));
    database.holding("LOCK TABLE token_host.invalid_tokens IN ACCESS EXCLUSIVE MODE", || {
        assert!(within(SHORT, store.record(One::Id(id))).is_none(), "the table is locked");
        thread::scope(|scope| {
            for _ in 0..8 {
                let list = || within(SHORT * 5, store.list_inactive_actors(None, 1));
                scope.spawn(move || (0..8).for_each(|_| drop(list().expect("the other one is free").unwrap())));
            }
        });
    });
}

#[test]
fn who_is_invalidating_the_same_token_is_waited_for() {
    let Some(database) = fixture("who_is_invalidating_the_same_token_is_waited_for") else { return };
    let store = database.store(|_| {});
    let (id, other) = (keep(&*store, token(1, "root")), keep(&*store, token(2, "root")));
    let insert = format!("INSERT INTO token_host.invalid_tokens VALUES ({id}, 7, 'first')");
    let done = database.holding(&insert, || {
        assert!(within(SHORT, store.invalidate(Which::All(Default::default()), 8, "second".to_owned())).is_none());
        let all = pollster::block_on(store.invalidate(Which::All(Default::default()), 9, "third".to_owned()));
        all.unwrap().into_iter().map(|(id, _)| id).collect::<Vec<_>>()
    });
    assert_eq!(done, [other]);
    let reason = |id| wait(store.record(One::Id(id))).unwrap().invalid_reason;
    assert_eq!([reason(id), reason(other)].map(Option::unwrap), ["first", "third"]);
}

#[test]
fn dropped_at_any_moment_a_call_is_done_or_not() {
    let Some(database) = fixture("dropped_at_any_moment_a_call_is_done_or_not") else { return };
    let store = database.store(|settings| settings.transactions = 2);
    let ids: Vec<i64> = (0..200).map(|number| keep(&*store, token(number, &number.to_string()))).collect();
    for (step, id) in ids.iter().enumerate() {
        // From nothing at all to more than it takes.
        let time = Duration::from_micros(step as u64 * 20);
        let update = Change { note: Some("x".to_owned()), valid: Some(false), ..Change::default() };
        let _ = within(time, store.update(One::Id(*id), update, 9_999));
    }
    for id in ids {
        let record = wait(store.record(One::Id(id))).unwrap();
        let is_done = record.note.is_some();
        assert_eq!((is_done, is_done), (!record.valid, record.updated_at == Some(9_999)));
    }
}

/// What is answered while a server is stopped, killed, paused, and started again, must be there at the end.
#[test]
fn nothing_that_was_answered_is_lost() {
    let test = "nothing_that_was_answered_is_lost";
    let Some(server) = skipped(test, Server::start_with(PostgresOptions { fsync: true, ..Default::default() })) else {
        return;
    };
    let database = Database(server.fresh_database());
    let store = database.store(|_| {});
    let cutoffs = Arc::new(Cutoffs::default());
    store.follow(Arc::clone(&cutoffs));
    let hears = || cutoffs.hold(cutoffs.begin(), "root", "plain");
    let created = Mutex::new(vec![(0, keep(&*store, token(0, "root")))]);
    let invalidated = Mutex::new(Vec::new());
    let is_over = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        let write = |from: u64| {
            let (store, created, invalidated, is_over) = (&store, &created, &invalidated, &is_over);
            move || {
                for number in from..from + 1_000_000 {
                    if is_over.load(std::sync::atomic::Ordering::Relaxed) {
                        return;
                    }
                    let Some(Ok(Inserted::As(id))) = within(SHORT, store.insert(token(number, "root"))) else {
                        thread::sleep(Duration::from_millis(1));
                        continue;
                    };
                    created.lock().unwrap().push((number, id));
                    let done = within(SHORT, store.invalidate(Which::One(One::Id(id)), number, "x".to_owned()));
                    if let Some(Ok(done)) = done {
                        assert_eq!(done.len(), 1);
                        invalidated.lock().unwrap().push(number);
                    }
                }
            }
        };
        for from in [1, 2, 3] {
            scope.spawn(write(from * 1_000_000));
        }
        let moves = |what: &str| {
            let before = created.lock().unwrap().len();
            wait_until(what, || (created.lock().unwrap().len() > before + 20).then_some(()));
            wait_until(what, hears_if(&hears));
        };
        moves("it works");
        for deed in ["stop", "kill", "pause", "kill"] {
            match deed {
                "stop" => server.stop(),
                "kill" => server.kill(),
                _ => server.pause(),
            }
            wait_until("the loss is noticed", || (!hears()).then_some(()));
            // Shorter than what a deadline is: an error at once, or no answer.
            let answer = within(SHORT, store.look_up(digest(0)));
            assert!(answer.is_none_or(|answer| answer.is_err()), "{deed}");
            let at_once = || within(SHORT, store.look_up(digest(0))).filter(Result::is_err).map(drop);
            wait_until("errors come at once, also when the server hangs", at_once);
            if deed == "pause" {
                server.resume()
            } else {
                server.restart()
            }
            let start = Instant::now();
            let known = wait_until("lookups work again", || within(SHORT, store.look_up(digest(0)))?.ok());
            assert_eq!(known.unwrap().id, created.lock().unwrap()[0].1);
            assert!(start.elapsed() < Duration::from_secs(10), "{deed}: {:?}", start.elapsed());
            moves(deed);
        }
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    server.kill();
    server.restart();
    let other = database.open();
    let created = created.into_inner().unwrap();
    for (number, id) in &created {
        assert_eq!(wait(other.look_up(digest(*number))).map(|known| known.id), Some(*id));
    }
    for number in invalidated.into_inner().unwrap() {
        let known = wait(other.look_up(digest(number))).unwrap();
        assert_eq!(known.invalidated.map(|invalidated| invalidated.at), Some(number));
    }
    assert!(created.len() > 100, "{}", created.len());
}

fn hears_if(hears: &dyn Fn() -> bool) -> impl FnMut() -> Option<()> {
    move || hears().then_some(())
}

#[test]
fn a_lost_connection_is_opened_again() {
    let Some(database) = fixture("a_lost_connection_is_opened_again") else { return };
    let store = database.open();
    let cutoffs = Arc::new(Cutoffs::default());
    store.follow(Arc::clone(&cutoffs));
    let hears = || cutoffs.hold(cutoffs.begin(), "root", "plain");
    let id = keep(&*store, token(1, "root"));
    wait_until("it hears", hears_if(&hears));
    for _ in 0..5 {
        let read = cutoffs.begin();
        assert!(cutoffs.hold(read, "root", "plain"));
        database.0.execute_as_superuser(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE application_name = 'token-host' AND datname = current_database()",
        );
        assert_eq!(wait(store.look_up(digest(1))).map(|known| known.id), Some(id), "a lookup is tried again");
        assert_eq!(
            wait_until("records come", || pollster::block_on(store.record(One::Id(id))).ok()).unwrap().id,
            id.to_string()
        );
        wait_until("it was not heard for a while", || (!cutoffs.hold(read, "root", "plain")).then_some(()));
        wait_until("it hears", hears_if(&hears));
    }
}

#[test]
fn parameters_are_not_logged() {
    static LOGGED: Mutex<String> = Mutex::new(String::new());
    struct Log;
    impl log::Log for Log {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &log::Record<'_>) {
            LOGGED.lock().unwrap().push_str(&format!("{}\n", record.args()));
        }
        fn flush(&self) {}
    }
    let Some(database) = fixture("parameters_are_not_logged") else { return };
    log::set_logger(&Log).unwrap();
    log::set_max_level(log::LevelFilter::Debug);
    let store = database.open();
    let mut token = token(0x0123_4567_89ab_cdef, "root");
    token.details.note = "hunter2".to_owned();
    let id = keep(&*store, token.clone());
    wait(store.look_up(token.digest));
    wait(store.record(One::Digests(vec![token.digest])));
    wait(store.invalidate(Which::One(One::Id(id)), 1, "hunter2".to_owned()));
    let logged = LOGGED.lock().unwrap().clone();
    assert!(logged.contains("executing statement") && !logged.contains("hunter2"), "{logged}");
    assert!(!logged.contains("1, 35, 69, 103") && !logged.contains("not/a"), "{logged}");
}
