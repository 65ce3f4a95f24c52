//! The contract of all stores, and what is SQLite's alone.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use rusqlite::Connection;
use tempfile::TempDir;
use token_host_tests::wait_until;

use super::{Settings, Sqlite};
use crate::{
    migrations,
    store::{
        One, Store, Which,
        contract::{self, Fixture, digest, keep, token, wait},
    },
};

struct File(TempDir);

impl File {
    fn path(&self) -> PathBuf {
        self.0.path().join("tokens.db")
    }

    fn connection(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }
}

impl Fixture for File {
    fn open(&self) -> Arc<dyn Store> {
        let settings = Settings { path: self.path(), migrate: true, cache_kib: 1_024, mmap_bytes: 0 };
        Arc::new(Sqlite::new(settings))
    }

    fn execute(&self, sql: &str) {
        self.connection().execute_batch(sql).unwrap();
    }

    fn becoming_newer(&self) -> &'static str {
        "PRAGMA user_version = 99"
    }

    fn number(&self, sql: &str) -> i64 {
        self.connection().query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

fn fixture(_: &str) -> Option<File> {
    Some(File(tempfile::tempdir().unwrap()))
}

contract::contract!(fixture);

#[test]
fn a_file_of_the_first_version_is_brought_to_this_one_with_its_tokens() {
    let file = File(tempfile::tempdir().unwrap());
    let first = migrations::STEPS[0].sqlite;
    file.execute(&format!(
        "{first}; PRAGMA user_version = 1; PRAGMA application_id = {}",
        i32::from_be_bytes(*b"tokh")
    ));
    let connection = file.connection();
    let kept = "INSERT INTO tokens (digest, id, actor_id, generator_id, created_at) VALUES (?1, 7, 'root', 'g', 5)";
    connection.execute(kept, [digest(7).as_bytes()]).unwrap();
    connection.execute("INSERT INTO token_details VALUES (7, '', 5, 'kept', 0, NULL)", []).unwrap();
    let store = file.open();
    assert_eq!(wait(store.look_up(digest(7))).unwrap().actor_id, "root");
    assert_eq!(wait(store.record(One::Id(7))).unwrap().note.as_deref(), Some("kept"));
    assert_eq!(file.number("SELECT user_version FROM pragma_user_version"), i64::from(migrations::VERSION));
    assert_eq!(file.number("SELECT count(*) FROM items"), 0);
}

/// Looks a token up until that is answered at once, by a transaction that is kept.
fn warmed(store: &dyn Store, number: u64) {
    assert!(wait(store.look_up(digest(number))).is_some());
    for _ in 0..3 {
        assert!(store.look_up_at_once(&digest(number)).unwrap().unwrap().is_some());
    }
}

#[test]
fn a_kept_transaction_never_answers_from_before_a_commit() {
    let file = File(tempfile::tempdir().unwrap());
    let (store, other) = (file.open(), file.open());
    for number in 0..500 {
        let id = keep(&*other, token(number, "root"));
        warmed(&*store, number);
        wait(other.invalidate(Which::One(One::Id(id)), 5, "gone".to_owned()));
        let known = store.look_up_at_once(&digest(number)).unwrap().unwrap().unwrap();
        assert!(known.invalidated.is_some(), "round {number}");
    }
}

#[test]
fn other_questions_see_what_is_there_now() {
    let file = File(tempfile::tempdir().unwrap());
    let (store, other) = (file.open(), file.open());
    let id = keep(&*other, token(1, "root"));
    for round in 0..50 {
        warmed(&*store, 1);
        let note = format!("note {round}");
        file.execute(&format!("UPDATE token_details SET note = '{note}' WHERE id = {id}"));
        assert_eq!(wait(store.record(One::Id(id))).unwrap().note, Some(note));
    }
}

#[test]
fn lookups_without_end_do_not_keep_the_log_from_beginning_anew() {
    const COMMITS: u64 = 6_000;
    let file = File(tempfile::tempdir().unwrap());
    let store = file.open();
    keep(&*store, token(0, "root"));
    warmed(&*store, 0);
    let (is_over, log) = (AtomicBool::new(false), file.path().with_extension("db-wal"));
    let largest = thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    assert!(wait(store.look_up(digest(0))).is_some());
                    while let Some(found) = store.look_up_at_once(&digest(0)) {
                        assert!(found.unwrap().is_some());
                        if is_over.load(Ordering::Relaxed) {
                            break;
                        }
                    }
                }
            });
        }
        let connection = file.connection();
        connection.execute_batch("PRAGMA synchronous = OFF").unwrap();
        let mut largest = 0;
        for number in 0..COMMITS {
            connection.execute("INSERT INTO notices (what) VALUES (?1)", [number.to_string()]).unwrap();
            largest = largest.max(fs::metadata(&log).unwrap().len());
        }
        is_over.store(true, Ordering::Relaxed);
        largest
    });
    // A commit adds a page or two; the log is brought to the database from 1,000 pages on.
    assert!(largest < 4_000 * 4_096, "the log took {largest} bytes");
}

#[test]
fn a_transaction_that_nobody_uses_is_ended() {
    let file = File(tempfile::tempdir().unwrap());
    let store = file.open();
    keep(&*store, token(1, "root"));
    let connection = file.connection();
    connection.busy_timeout(std::time::Duration::ZERO).unwrap();
    let look_up_patiently = || (0..4).for_each(|_| assert!(wait(store.look_up(digest(1))).is_some()));
    for look_up in [&look_up_patiently as &dyn Fn(), &|| warmed(&*store, 1)] {
        look_up();
        connection.execute("INSERT INTO notices (what) VALUES ('everyone')", []).unwrap();
        wait_until("the log is brought to the database whole", || {
            let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)).unwrap();
            (busy == 0).then_some(())
        });
    }
}
