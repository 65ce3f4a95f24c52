//! Revocations from outside: on files, with other processes, and with files that are not as they should be.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tempfile::TempDir;

use super::{
    watch::{BATCH, Watcher},
    *,
};

const NOW: u64 = 1_800_000_000;
const HOUR: u64 = 3600;

fn open_on(
    config: &RevocationConfig,
    folder: &Path,
    now: impl Fn() -> u64 + Send + Sync + 'static,
) -> Result<Arc<Revocations>, String> {
    Revocations::open(config, "jwt", folder, now).map(|revocations| revocations.expect("it is not switched off"))
}

/// What is beside a file.
fn files(folder: &Path) -> Vec<fs::DirEntry> {
    fs::read_dir(folder).unwrap().map(Result::unwrap).collect()
}

/// A folder of its own, and a clock that can be set beside one that cannot.
struct Place {
    folder: TempDir,
    clock: Arc<AtomicU64>,
    uptime: Arc<AtomicU64>,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), clock: Arc::new(AtomicU64::new(NOW)), uptime: Arc::default() }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("jwt-revocations.db")
    }

    fn try_open(&self, poll_ms: u64) -> Result<Arc<Revocations>, String> {
        let (clock, uptime) = (Arc::clone(&self.clock), Arc::clone(&self.uptime));
        let config = RevocationConfig { poll_ms, ..RevocationConfig::default() };
        let now = move || clock.load(Ordering::Relaxed);
        let uptime = move || Duration::from_secs(uptime.load(Ordering::Relaxed));
        let revocations = Revocations::open_at(&config, "jwt", self.folder.path(), now, uptime);
        revocations.map(|revocations| revocations.expect("it is not switched off"))
    }

    /// Its thread sleeps through the test, which looks itself.
    fn open(&self) -> Arc<Revocations> {
        self.try_open(60_000).unwrap()
    }

    fn wait(&self, seconds: u64) {
        self.clock.fetch_add(seconds, Ordering::Relaxed);
        self.uptime.fetch_add(seconds, Ordering::Relaxed);
    }

    fn set_clock(&self, unix_seconds: u64) {
        self.clock.store(unix_seconds, Ordering::Relaxed);
    }

    /// Another program's view of the file.
    fn sql<T: rusqlite::types::FromSql>(&self, query: &str) -> T {
        Connection::open(self.file()).unwrap().query_row(query, [], |row| row.get(0)).unwrap()
    }

    fn execute(&self, statements: &str) {
        Connection::open(self.file()).unwrap().execute_batch(statements).unwrap();
    }
}

impl Revocations {
    fn has(&self, jti: &str) -> bool {
        self.is_revoked(Some(jti), "root", Some(NOW))
    }

    fn look(&self) -> Result<(), String> {
        self.shared.look()
    }

    fn revoke(&self, jti: &str, expires_at: Option<u64>) -> bool {
        self.revoke_token(jti, Some("root"), expires_at, "lost").unwrap()
    }
}

/// Waits until it is so.
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn jtis(tokens: &[RevokedToken]) -> Vec<&str> {
    tokens.iter().map(|token| &*token.jti).collect()
}

#[test]
fn a_token_is_revoked_at_once_and_remembered() {
    let place = Place::new();
    let revocations = place.open();
    assert!(!revocations.has("a"));
    assert!(revocations.revoke_token("a", Some("root"), Some(NOW + 60), "laptop stolen").unwrap());
    assert!(revocations.revoke_token("b\0ü", None, None, "").unwrap());
    assert!(revocations.has("a") && revocations.has("b\0ü") && !revocations.has("b"));
    assert!(!revocations.is_revoked(None, "root", None));
    drop(revocations);

    let revocations = place.open();
    assert!(revocations.has("a") && revocations.has("b\0ü") && !revocations.has("c"));
    let a = RevokedToken {
        seq: 1,
        jti: "a".to_owned(),
        actor_id: Some("root".to_owned()),
        expires_at: Some(NOW + 60),
        revoked_at: NOW,
        reason: "laptop stolen".to_owned(),
    };
    assert_eq!(revocations.revoked("a"), Ok(Some(a)));
    let b = revocations.revoked("b\0ü").unwrap().unwrap();
    assert_eq!((b.seq, b.actor_id, b.expires_at, b.reason), (2, None, None, String::new()));
    assert_eq!(revocations.revoked("c"), Ok(None));
}

#[test]
fn the_first_reason_and_date_stay_and_the_later_expiry() {
    let place = Place::new();
    let (revocations, other) = (place.open(), place.open());
    assert!(revocations.revoke_token("a", Some("root"), Some(NOW + 10), "first").unwrap());
    other.look().unwrap();
    place.wait(5);
    assert!(!revocations.revoke_token("a", None, Some(NOW + 7), "second").unwrap());
    let known = |revocations: &Revocations| revocations.revoked("a").unwrap().unwrap();
    assert_eq!((known(&other).expires_at, known(&other).seq), (Some(NOW + 10), 1));
    assert!(!other.revoke_token("a", None, None, "third").unwrap());
    assert!(!other.revoke_token("a", None, Some(NOW + 99), "fourth").unwrap());
    let known = known(&revocations);
    assert_eq!((known.reason.as_str(), known.revoked_at, known.expires_at), ("first", NOW, None));
    assert_eq!(known.actor_id.as_deref(), Some("root"));
    assert_eq!(place.sql::<i64>("SELECT count(*) FROM revoked_tokens"), 1);

    // Who knew the earlier expiry does not forget it either.
    let mut watcher = Watcher::new(Arc::clone(&revocations.shared));
    place.wait(1000 * HOUR);
    watcher.turn();
    assert!(revocations.has("a"));
}

#[test]
fn all_tokens_before_a_time_are_revoked() {
    let place = Place::new();
    let revocations = place.open();
    assert!(revocations.revoke_before(Some("root"), NOW, "left").unwrap());
    assert!(revocations.is_revoked(Some("a"), "root", Some(NOW - 1)));
    assert!(!revocations.is_revoked(Some("a"), "root", Some(NOW)));
    assert!(revocations.is_revoked(None, "root", None));
    assert!(!revocations.is_revoked(None, "anna", None));
    assert!(!revocations.revoke_before(Some("root"), NOW - 9, "earlier").unwrap());
    assert!(!revocations.revoke_before(Some("root"), NOW, "again").unwrap());
    assert!(revocations.revoke_before(None, NOW - 5, "leak").unwrap());
    assert!(revocations.revoke_before(None, NOW - 3, "another leak").unwrap());
    assert!(!revocations.revoke_before(None, NOW - 4, "earlier").unwrap());
    // An actor without a name is not everyone.
    assert!(revocations.revoke_before(Some(""), NOW - 1, "").unwrap());

    let check = |revocations: &Revocations| {
        assert!(revocations.is_revoked(None, "root", Some(NOW - 1)));
        assert!(!revocations.is_revoked(None, "root", Some(NOW)));
        assert!(revocations.is_revoked(None, "anna", Some(NOW - 4)) && revocations.is_revoked(None, "anna", None));
        assert!(!revocations.is_revoked(None, "anna", Some(NOW - 3)));
        let cutoffs = revocations.cutoffs().unwrap();
        let cutoffs: Vec<_> = cutoffs.iter().map(|c| (c.actor_id.as_deref(), c.before, c.set_at, &*c.reason)).collect();
        let everyone = (None, NOW - 3, NOW, "another leak");
        assert_eq!(cutoffs, [everyone, (Some(""), NOW - 1, NOW, ""), (Some("root"), NOW, NOW, "left")]);
    };
    check(&revocations);
    drop(revocations);
    check(&place.open());
}

#[test]
fn the_file_has_one_cutoff_for_everyone_and_one_for_each() {
    let place = Place::new();
    place.open().revoke_before(None, NOW, "").unwrap();
    let file = Connection::open(place.file()).unwrap();
    let insert = |actor: Option<&str>| {
        file.execute("INSERT INTO cutoffs (actor_id, before, set_at, reason) VALUES (?1, 1, 1, '')", [actor])
    };
    assert!(insert(None).is_err());
    assert!(insert(Some("root")).is_ok() && insert(Some("root")).is_err() && insert(Some("")).is_ok());
}

#[test]
fn a_cutoff_that_is_no_time_is_an_error() {
    let place = Place::new();
    let revocations = place.open();
    for before in [0, NOW + 25 * HOUR, NOW * 1000, u64::MAX] {
        let Err(NotRevoked::Argument(error)) = revocations.revoke_before(None, before, "") else { panic!("{before}") };
        assert!(error.starts_with(&format!("`before`: {before}, expected Unix seconds")), "{error}");
    }
    assert!(!place.file().exists());
    assert_eq!(revocations.revoke_before(None, NOW + 23 * HOUR, ""), Ok(true));
}

#[test]
fn what_is_too_long_is_an_error() {
    let place = Place::new();
    let revocations = place.open();
    let (most, more) = ("x".repeat(1024), "x".repeat(1025));
    assert_eq!(revocations.revoke_token(&most, Some(&most), None, &most), Ok(true));
    assert_eq!(revocations.revoked(&most).unwrap().unwrap().actor_id.as_deref(), Some(&*most));
    for (jti, reason, what) in [(&more, &most, "jti"), (&most, &more, "reason")] {
        let expected = NotRevoked::Argument(format!("`{what}`: 1025 bytes long, expected at most 1024"));
        assert_eq!(revocations.revoke_token(jti, None, None, reason), Err(expected));
    }
    // A token must be revocable, whoever it stands for.
    assert_eq!(revocations.revoke_token("a", Some(&more), None, ""), Ok(true));
    assert!(revocations.has("a") && revocations.revoked("a").unwrap().unwrap().actor_id.is_none());
    assert!(revocations.revoke_before(Some(&more), NOW, "").is_err());
    assert!(revocations.revoke_before(None, NOW, &more).is_err());
    assert!(revocations.revoke_token("", None, None, "").is_err());
}

#[test]
fn nothing_is_there_before_the_first_revocation() {
    let place = Place::new();
    let revocations = place.open();
    let mut watcher = Watcher::new(Arc::clone(&revocations.shared));
    watcher.turn();
    assert_eq!(revocations.list(None, 10), Ok(Vec::new()));
    assert_eq!(revocations.cutoffs(), Ok(Vec::new()));
    assert_eq!(revocations.revoked("a"), Ok(None));
    assert_eq!(fs::read_dir(place.folder.path()).unwrap().count(), 0);
    // A file without anything in it, as one leaves that lost its power, is as good as none.
    fs::write(place.file(), "").unwrap();
    watcher.turn();
    assert_eq!(revocations.list(None, 10), Ok(Vec::new()));
    assert_eq!(fs::metadata(place.file()).unwrap().len(), 0);
    assert!(place.open().revoke("a", None));
    assert!(!revocations.has("a"));
    watcher.turn();
    assert!(revocations.has("a"));
}

#[test]
fn where_revocation_is_switched_off_nothing_is_revoked() {
    let place = Place::new();
    let config = RevocationConfig { url: Some("none".to_owned()), ..RevocationConfig::default() };
    assert!(Revocations::open(&config, "jwt", place.folder.path(), || NOW).unwrap().is_none());
    assert_eq!(fs::read_dir(place.folder.path()).unwrap().count(), 0);
}

#[test]
fn a_listing_goes_on_where_it_stopped() {
    let place = Place::new();
    let revocations = place.open();
    for jti in ["a", "b", "c", "d", "e"] {
        revocations.revoke(jti, None);
    }
    let first = revocations.list(None, 2).unwrap();
    assert_eq!(jtis(&first), ["a", "b"]);
    revocations.revoke("f", None);
    let second = revocations.list(Some(first[1].seq), 3).unwrap();
    assert_eq!(jtis(&second), ["c", "d", "e"]);
    let third = revocations.list(Some(second[2].seq), 3).unwrap();
    assert_eq!(jtis(&third), ["f"]);
    assert_eq!(revocations.list(Some(third[0].seq), 3), Ok(Vec::new()));
    assert_eq!(revocations.list(None, 0), Ok(Vec::new()));
}

#[test]
fn the_other_process_sees_it_after_its_look() {
    let place = Place::new();
    let (one, two) = (place.open(), place.open());
    one.revoke("a", None);
    one.revoke_before(Some("root"), NOW - 100, "").unwrap();
    assert!(!two.has("a"));
    two.look().unwrap();
    assert!(two.has("a") && two.is_revoked(None, "root", Some(NOW - 101)));
    assert!(!two.is_revoked(None, "root", Some(NOW - 100)));

    two.revoke("b", None);
    two.revoke_before(Some("root"), NOW - 50, "").unwrap();
    two.revoke_before(None, NOW - 70, "").unwrap();
    one.look().unwrap();
    assert!(one.has("a") && one.has("b") && one.is_revoked(None, "root", Some(NOW - 51)));
    assert!(one.is_revoked(None, "anna", Some(NOW - 71)) && !one.is_revoked(None, "anna", Some(NOW - 70)));
}

#[test]
fn the_thread_looks_by_itself() {
    let place = Place::new();
    let (one, two) = (place.open(), place.try_open(100).unwrap());
    one.revoke("a", None);
    eventually("the first revocation is seen", || two.has("a"));
    one.revoke("b", None);
    one.revoke_before(None, NOW, "").unwrap();
    eventually("the next ones are seen", || two.has("b") && two.is_revoked(None, "anna", None));
}

#[test]
fn the_thread_ends_with_the_last_user() {
    let place = Place::new();
    let revocations = place.open();
    let shared = Arc::downgrade(&revocations.shared);
    let start = Instant::now();
    drop(revocations);
    assert!(shared.upgrade().is_none(), "the thread goes on");
    assert!(start.elapsed() < Duration::from_secs(30), "the thread slept on");
}

/// Revokes a token for [`another_process_is_seen`]; in the usual run there is nothing to do.
#[test]
fn another_process() {
    let Some(folder) = env::var_os("TOKEN_JWT_TEST_FOLDER") else { return };
    let revocations = open_on(&RevocationConfig::default(), Path::new(&folder), || NOW).unwrap();
    for number in 0..50 {
        revocations.revoke(&format!("theirs-{number}"), None);
    }
    eventually("the parent's is seen", || revocations.has("ours-49"));
}

#[test]
fn another_process_is_seen() {
    let place = Place::new();
    let revocations = place.try_open(100).unwrap();
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--exact", "revocation::tests::another_process"]);
    let mut child = child.env("TOKEN_JWT_TEST_FOLDER", place.folder.path()).spawn().unwrap();
    (0..50).for_each(|number| assert!(revocations.revoke(&format!("ours-{number}"), None)));
    eventually("the child's are seen", || (0..50).all(|number| revocations.has(&format!("theirs-{number}"))));
    assert!(child.wait().unwrap().success());
    assert_eq!(place.sql::<i64>("SELECT count(*) FROM revoked_tokens"), 100);
}

#[test]
fn eight_threads_revoke_while_others_check() {
    let place = Place::new();
    // As many processes, as far as the file is concerned.
    let several: Vec<_> = (0..4).map(|_| place.try_open(100).unwrap()).collect();
    let done = AtomicBool::new(false);
    let check = || {
        while !done.load(Ordering::Relaxed) {
            assert!(several.iter().all(|one| !one.has("never")));
        }
    };
    let revoke = |thread: usize| {
        let revocations = &several[thread % several.len()];
        for number in 0..25 {
            let (own, common) = (format!("{thread}-{number}"), format!("common-{number}"));
            assert!(revocations.revoke(&own, None) && revocations.has(&own));
            revocations.revoke(&common, None);
            assert!(revocations.has(&common));
        }
    };
    thread::scope(|scope| {
        let checks = [(); 2].map(|()| scope.spawn(check));
        let revoking = [0, 1, 2, 3, 4, 5, 6, 7].map(|thread| scope.spawn(move || revoke(thread)));
        let revoked = revoking.map(|thread| thread.join());
        done.store(true, Ordering::Relaxed);
        assert!(revoked.into_iter().chain(checks.map(|thread| thread.join())).all(|result| result.is_ok()));
    });
    let all: Vec<_> = several[0].list(None, 1000).unwrap();
    assert_eq!(all.len(), 8 * 25 + 25);
    eventually("all see all", || several.iter().all(|one| all.iter().all(|token| one.has(&token.jti))));
}

#[test]
fn what_has_expired_is_forgotten_in_time() {
    let place = Place::new();
    let revocations = place.open();
    let mut watcher = Watcher::new(Arc::clone(&revocations.shared));
    revocations.revoke("short", Some(NOW + 60));
    revocations.revoke("long", Some(NOW + 100 * HOUR));
    revocations.revoke("eternal", None);
    let rows = || place.sql::<i64>("SELECT count(*) FROM revoked_tokens");
    watcher.turn();
    // Expired, but there may be a leeway.
    place.wait(23 * HOUR + HOUR / 2);
    watcher.turn();
    assert!(revocations.has("short") && rows() == 3);
    // Due, but the last time is less than an hour ago.
    place.wait(HOUR - 1);
    watcher.turn();
    assert!(revocations.has("short") && rows() == 3);
    place.wait(1);
    watcher.turn();
    assert!(!revocations.has("short") && revocations.has("long") && revocations.has("eternal"));
    assert_eq!(rows(), 2);
    // Whoever comes later does not learn of it at all.
    place.wait(200 * HOUR);
    watcher.turn();
    let later = place.open();
    assert!(!later.has("long") && later.has("eternal") && rows() == 1);
    // A number does not come back, or others would take the new row for the old one.
    watcher.turn();
    assert!(later.revoke("new", None));
    assert_eq!(later.revoked("new").unwrap().unwrap().seq, 4);
}

#[test]
fn what_has_expired_is_deleted_in_batches() {
    let place = Place::new();
    let revocations = place.open();
    revocations.revoke("a", None);
    place.execute(&format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) \
         INSERT INTO revoked_tokens (jti, expires_at, revoked_at, reason) SELECT 'old-' || i, 1000, 1, '' FROM n",
        BATCH * 2 + 7
    ));
    let mut watcher = Watcher::new(Arc::clone(&revocations.shared));
    let rows = || place.sql::<u32>("SELECT count(*) FROM revoked_tokens");
    place.wait(HOUR);
    let left = [(); 3].map(|()| {
        watcher.turn();
        rows()
    });
    assert_eq!(left, [BATCH + 8, 8, 1]);
}

#[test]
fn a_clock_that_was_wrong_does_not_stop_the_tidying() {
    let place = Place::new();
    let revocations = place.open();
    let mut watcher = Watcher::new(Arc::clone(&revocations.shared));
    place.wait(1_000_000 * HOUR);
    watcher.turn();
    place.set_clock(NOW);
    revocations.revoke("a", Some(NOW - 25 * HOUR));
    watcher.turn();
    place.wait(HOUR - 1);
    watcher.turn();
    assert!(revocations.has("a"), "the clock was set less than an hour ago");
    place.wait(1);
    watcher.turn();
    assert!(!revocations.has("a"));
}

#[test]
fn a_clock_that_is_ahead_for_a_while_deletes_nothing() {
    let place = Place::new();
    let revocations = place.open();
    let mut watcher = Watcher::new(Arc::clone(&revocations.shared));
    revocations.revoke("a", Some(NOW + 60));
    let kept = |what: &str| {
        assert!(revocations.has("a") && revocations.revoked("a").unwrap().is_some(), "{what}");
        assert!(place.open().has("a"), "{what}: who comes now does not learn of it");
    };
    place.set_clock(NOW + 72 * HOUR);
    watcher.turn();
    kept("at the start");
    place.set_clock(NOW);
    watcher.turn();
    place.wait(2 * HOUR);
    watcher.turn();
    // Due again, but the clock was set meanwhile; and it stays wrong for many turns.
    place.wait(2 * HOUR);
    place.set_clock(NOW + 72 * HOUR);
    for _ in 0..50 {
        watcher.turn();
        place.wait(60);
        kept("later");
    }
    place.set_clock(NOW + 5 * HOUR);
    watcher.turn();
    place.wait(2 * HOUR);
    watcher.turn();
    kept("when it was put right");
    // Small steps are usual.
    place.set_clock(NOW + 30 * HOUR);
    watcher.turn();
    place.wait(HOUR);
    place.clock.fetch_add(500, Ordering::Relaxed);
    watcher.turn();
    assert!(!revocations.has("a") && revocations.revoked("a") == Ok(None));
}

#[cfg(unix)]
#[test]
fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let revocations = place.open();
    revocations.revoke("a", None);
    let files = files(place.folder.path());
    assert_eq!(files.len(), 3, "the file, its journal and its lock: {files:?}");
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
}

/// Or else the service that lives there could read nothing any more.
#[cfg(unix)]
#[test]
fn what_root_creates_belongs_to_the_folders_owner() {
    use std::os::unix::fs::{MetadataExt, chown};
    let place = Place::new();
    if !rustix::process::geteuid().is_root() || chown(place.folder.path(), Some(65534), Some(65533)).is_err() {
        return;
    }
    place.open().revoke("a", None);
    let files = files(place.folder.path());
    assert_eq!(files.len(), 3, "{files:?}");
    for file in files {
        let metadata = file.metadata().unwrap();
        assert_eq!((metadata.uid(), metadata.gid(), metadata.mode() & 0o777), (65534, 65533, 0o600), "{file:?}");
    }
}

#[test]
fn a_revocation_is_written_for_good() {
    let place = Place::new();
    place.open().revoke("a", None);
    assert_eq!(place.sql::<String>("PRAGMA journal_mode"), "delete", "that is, no write-ahead log");
    assert_eq!(place.sql::<i64>("PRAGMA user_version"), 1);
    let strict = "SELECT count(*) FROM pragma_table_list WHERE name IN ('revoked_tokens', 'cutoffs') AND strict";
    assert_eq!(place.sql::<i64>(strict), 2);
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_at_the_start() {
    let refused = |prepare: &dyn Fn(&Place), why: &str| {
        let place = Place::new();
        prepare(&place);
        let before = fs::read(place.file()).ok();
        let error = place.try_open(1000).unwrap_err();
        assert!(error.starts_with(place.file().to_str().unwrap()) && error.contains(why), "{error}");
        assert_eq!(fs::read(place.file()).ok(), before, "it is left as it was");
    };
    refused(&|place| fs::write(place.file(), "revoked: none\n".repeat(100)).unwrap(), "it is not a SQLite file");
    refused(&|place| fs::write(place.file(), "short").unwrap(), "it is not a SQLite file");
    refused(&|place| fs::create_dir(place.file()).unwrap(), "it is not a file");
    refused(&|place| place.execute("CREATE TABLE shopping (item TEXT)"), "another program's file");
    refused(&|place| place.execute("CREATE TABLE shopping (item TEXT); PRAGMA user_version = 1"), "no such table");
    refused(&|place| place.execute("PRAGMA user_version = -1"), "another program's file");
    refused(&|place| place.execute("PRAGMA user_version = 2"), "schema version 2, expected 1: a newer version");
    let cut = |place: &Place| {
        let revocations = place.open();
        for number in 0..300 {
            revocations.revoke(&format!("{number}-{}", "x".repeat(1000)), None);
        }
        drop(revocations);
        place.execute("PRAGMA journal_mode = DELETE");
        fs::OpenOptions::new().write(true).open(place.file()).unwrap().set_len(64 * 1024).unwrap();
    };
    refused(&cut, "malformed");
}

/// What took the file's place while we ran is not written to either.
#[test]
fn another_programs_file_is_not_written_to() {
    let place = Place::new();
    let revocations = place.open();
    place.execute("CREATE TABLE shopping (item TEXT); PRAGMA user_version = 0");
    let before = fs::read(place.file()).unwrap();
    let Err(NotRevoked::Store(error)) = revocations.revoke_token("a", None, None, "") else { panic!("it was kept") };
    assert!(error.contains("another program's file"), "{error}");
    assert_eq!(fs::read(place.file()).unwrap(), before);
    assert!(!revocations.has("a"), "what is not written is not revoked");
}

#[test]
fn a_folder_that_is_none_is_an_error_at_the_start() {
    let place = Place::new();
    let config = RevocationConfig { url: Some("sqlite:no/such.db".to_owned()), ..RevocationConfig::default() };
    let error = open_on(&config, place.folder.path(), || NOW).unwrap_err();
    assert!(error.contains("no/such.db: it has no folder to be in"), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_written_is_good_until_the_first_revocation() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    fs::set_permissions(place.folder.path(), PermissionsExt::from_mode(0o555)).unwrap();
    // Root may write there all the same, but in `/proc` nobody may.
    let root = fs::write(place.folder.path().join("try"), "").is_ok();
    let folder = if root { Path::new("/proc") } else { place.folder.path() };
    let revocations = open_on(&RevocationConfig::default(), folder, || NOW).unwrap();
    assert!(!revocations.has("a") && revocations.list(None, 1) == Ok(Vec::new()));
    let Err(NotRevoked::Store(error)) = revocations.revoke_token("a", None, None, "") else { panic!("it was kept") };
    assert!(error.contains("/jwt-revocations.db-lock: cannot be locked: "), "{error}");
    assert!(!revocations.has("a"));
}

#[test]
fn a_file_that_was_replaced_is_read_as_a_whole() {
    let (place, backup) = (Place::new(), Place::new());
    for jti in ["old-1", "old-2"] {
        backup.open().revoke(jti, None);
    }
    let revocations = place.open();
    for jti in ["a", "b", "c"] {
        revocations.revoke(jti, None);
    }
    revocations.look().unwrap();
    fs::rename(backup.file(), place.file()).unwrap();
    revocations.look().unwrap();
    assert!(["a", "b", "c", "old-1", "old-2"].iter().all(|jti| revocations.has(jti)));
    assert_eq!(jtis(&revocations.list(None, 10).unwrap()), ["old-1", "old-2"]);
    // And what is revoked now goes to the new one.
    assert!(revocations.revoke("d", None));
    assert_eq!(jtis(&place.open().list(None, 10).unwrap()), ["old-1", "old-2", "d"]);
}

/// The same file, with the contents of an older copy, and then new rows with numbers that were seen before.
#[test]
fn a_file_that_was_rolled_back_is_read_as_a_whole() {
    let place = Place::new();
    let (revocations, other) = (place.open(), place.open());
    for jti in ["a", "b", "c"] {
        revocations.revoke(jti, None);
    }
    revocations.look().unwrap();
    place.execute("DELETE FROM revoked_tokens; UPDATE sqlite_sequence SET seq = 0 WHERE name = 'revoked_tokens'");
    other.revoke("d", None);
    revocations.look().unwrap();
    assert!(["a", "b", "c", "d"].iter().all(|jti| revocations.has(jti)));
}

#[test]
fn a_file_that_is_gone_is_told_once_and_nothing_is_forgotten() {
    let place = Place::new();
    let revocations = place.open();
    revocations.revoke("a", None);
    let mut watcher = Watcher::new(Arc::clone(&revocations.shared));
    let warnings = Warnings::default();
    let turns = |watcher: &mut Watcher| {
        tracing::subscriber::with_default(warnings.clone(), || (0..3).for_each(|_| watcher.turn()));
        warnings.0.lock().unwrap().len()
    };
    assert_eq!(turns(&mut watcher), 0);
    let aside = place.folder.path().join("aside");
    fs::rename(place.file(), &aside).unwrap();
    assert_eq!(turns(&mut watcher), 1);
    assert!(revocations.has("a"));
    assert!(revocations.revoked("a").unwrap_err().ends_with("the file is gone"));
    fs::write(place.file(), "not a database, whatever its name says").unwrap();
    assert_eq!(turns(&mut watcher), 2);
    fs::remove_file(place.file()).unwrap();
    assert_eq!(turns(&mut watcher), 3);
    fs::rename(&aside, place.file()).unwrap();
    assert_eq!(turns(&mut watcher), 3);
    assert!(revocations.has("a"));
    fs::remove_file(place.file()).unwrap();
    assert_eq!(turns(&mut watcher), 4);
    let warnings = warnings.0.lock().unwrap();
    assert!(warnings[0].contains("the file is gone") && warnings[1].contains("not a SQLite file"), "{warnings:?}");
}

/// Earlier versions used a write-ahead log, which one of them may still have open.
#[test]
fn a_file_with_a_write_ahead_log_is_converted() {
    let log = |place: &Place| place.file().with_extension("db-wal").exists();
    for write in [false, true] {
        let place = Place::new();
        place.open().revoke("a", None);
        place.execute("PRAGMA journal_mode = WAL");
        assert_eq!(place.sql::<String>("PRAGMA journal_mode"), "wal");
        let earlier = Connection::open(place.file()).unwrap();
        let insert = "INSERT INTO revoked_tokens (jti, revoked_at, reason) VALUES (?1, 1, '')";
        earlier.execute(insert, ["b"]).unwrap();

        let (one, two) = (place.open(), place.open());
        assert!(one.has("a") && one.has("b"));
        if write {
            assert!(one.revoke("c", None) && two.revoke("d", None));
        }
        assert_eq!(
            earlier.query_row("SELECT count(*) FROM revoked_tokens", [], |row| row.get(0)),
            Ok(2 + i64::from(write) * 2)
        );
        earlier.execute(insert, ["e"]).unwrap();
        assert!(one.look().is_ok() && two.look().is_ok());
        assert!(log(&place) && one.has("e") && two.has("e"));
        drop(earlier);
        if write {
            assert!(one.revoke("f", None))
        } else {
            one.look().unwrap()
        }
        assert!(!log(&place), "write: {write}");
        assert_eq!(place.sql::<String>("PRAGMA journal_mode"), "delete");
        assert!(two.revoke("g", None));
        one.look().unwrap();
        assert!(one.has("g"));
    }
}

/// As much as SQLite had written when the process died is undone by whoever comes first, if only to ask.
#[test]
fn what_was_half_written_is_undone() {
    let (place, copy) = (Place::new(), Place::new());
    place.open().revoke("a", None);
    let dying = Connection::open(place.file()).unwrap();
    dying.execute_batch("PRAGMA cache_size = 1; BEGIN IMMEDIATE").unwrap();
    for number in 0..300 {
        let insert = "INSERT INTO revoked_tokens (jti, revoked_at, reason) VALUES (?1, 1, '')";
        dying.execute(insert, [format!("{number}-{}", "x".repeat(1000))]).unwrap();
    }
    for end in ["", "-journal"] {
        fs::copy(format!("{}{end}", place.file().display()), format!("{}{end}", copy.file().display())).unwrap();
    }
    assert!(fs::metadata(copy.file()).unwrap().len() > 64 * 1024, "the copy holds what is to be undone");
    let revocations = copy.open();
    assert!(revocations.has("a"));
    assert_eq!(jtis(&revocations.list(None, 1000).unwrap()), ["a"]);
    assert_eq!(fs::metadata(copy.file().with_extension("db-journal")).map_or(0, |journal| journal.len()), 0);
}

/// While another process writes for long, its readers read on; whoever wants to write, too, waits for it.
#[test]
fn a_file_that_is_being_written_can_be_read() {
    let place = Place::new();
    let (one, two) = (place.open(), place.open());
    one.revoke("a", None);
    let writer = Connection::open(place.file()).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    two.look().unwrap();
    assert!(two.has("a"));
    thread::scope(|scope| {
        let revoking = scope.spawn(|| two.revoke("b", None));
        writer.execute_batch("COMMIT").unwrap();
        assert!(revoking.join().unwrap());
    });
}

/// The texts of all warnings.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::WARN
    }

    fn event(&self, event: &tracing::Event<'_>) {
        struct Text<'a>(&'a mut String);
        impl tracing::field::Visit for Text<'_> {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
                self.0.push_str(&format!("{field}={value:?} "));
            }
        }
        let mut text = String::new();
        event.record(&mut Text(&mut text));
        self.0.lock().unwrap().push(text);
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
