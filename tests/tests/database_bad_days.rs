//! What can go wrong with a database of tokens. Whatever it is: that a good token cannot be judged is an error, and never
//! "no such token"; the host lives on; and when it is over, everything that was answered is still there.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rusqlite::Connection;
use token_host::{CreateToken, Error, ErrorKind, Host};
use token_host_tests::{Made, Place, Run, Said, Skip, invalidate, listed, run, said, set_mode, skipped, wait_until};

const CACHE: &str = "cache = { tokens = 1000 }";
/// So that each answer is the database's own.
const NO_BREAKER: &str = "breaker_failures = 0";

fn create(host: &Host) -> Result<Made, Error> {
    Made::of(host, &CreateToken::new("root"))
}

/// What an error of the database's own says.
fn failure(answer: Result<Made, Error>) -> String {
    let error = answer.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Plugin, "{error}");
    error.to_string()
}

/// Removes a database from its place, or puts it back there.
fn moved(from: &Path, to: &Path) {
    for ending in ["", "-wal", "-shm"] {
        let with = |path: &Path| format!("{}{ending}", path.display());
        if Path::new(&with(from)).exists() {
            fs::rename(with(from), with(to)).unwrap();
        }
    }
}

#[test]
fn a_file_that_went_away_is_missed_and_no_empty_one_takes_its_place() {
    for settings in ["", CACHE] {
        let mut place = Place::sqlite();
        place.set(settings).keys(NO_BREAKER);
        let host = place.host();
        let made = Made::by(&host, "root");
        assert!(made.is_good(&host) && made.is_good(&host));
        let (here, away) = (place.file().unwrap(), place.scratch.join("away.db"));
        moved(here, &away);
        wait_until("it is noticed", || match made.said(&host) {
            Said::Good => None,
            Said::Failed(error) => {
                assert!(error.contains("the file is gone"), "{error}");
                Some(())
            }
            other => panic!("{other:?}"),
        });
        for _ in 0..20 {
            assert!(made.fails(&host));
            assert!(failure(create(&host)).contains("the file is gone"));
        }
        assert!(invalidate(&host, made.by_id(), "").is_err());
        assert!(!here.exists(), "an empty one would say that there is no such token");
        moved(&away, here);
        wait_until("it is back", || (!made.fails(&host)).then_some(()));
        assert!(made.is_good(&host) && Made::by(&host, "root").is_good(&host));
        assert_eq!(listed(&host, |_| {}).len(), 2);
    }
}

#[test]
fn another_file_in_its_place_is_taken_as_it_is() {
    for settings in ["", CACHE] {
        let mut place = Place::sqlite();
        place.set(settings).keys(NO_BREAKER);
        let made = Made::by(&place.host(), "root");
        let (here, backup) = (place.file().unwrap(), place.scratch.join("backup.db"));
        moved(here, &backup);
        let host = place.host();
        let newer = Made::by(&host, "root");
        assert!(newer.is_good(&host) && newer.is_good(&host) && !made.is_good(&host));
        moved(here, &place.scratch.join("away.db"));
        moved(&backup, here);
        wait_until("the backup is used", || (newer.said(&host) == Said::Unknown).then_some(()));
        // That there was none of it was remembered, in the other file.
        place.clock.set(Place::NOW + 60);
        assert!(made.is_good(&host));
        let again = Made::by(&host, "root");
        assert!(again.is_good(&host) && invalidate(&host, again.by_id(), "").unwrap().len() == 1);
        assert_eq!(listed(&host, |_| {}).len(), 2);
    }
}

#[test]
fn a_folder_that_is_missing_is_an_error_and_not_an_empty_database() {
    let mut place = Place::sqlite_at("missing/tokens.db");
    place.keys(NO_BREAKER);
    let host = place.host();
    let made = Made::by(&Place::sqlite().host(), "root");
    assert!(failure(create(&host)).contains("its folder does not exist"));
    assert!(made.fails(&host), "what is to be mounted there may have the token: {:?}", made.said(&host));
    assert_eq!(place.scratch.run(["verify", &made.token]).code(), 5);
    assert_eq!(place.scratch.run(["create", "root"]).code(), 5);
    assert_eq!(place.scratch.run(["migrate", "--check"]).code(), 5);
    assert!(!place.scratch.join("missing").exists());
    fs::create_dir(place.scratch.join("missing")).unwrap();
    assert_eq!(made.said(&host), Said::Unknown);
    assert!(Made::by(&host, "root").is_good(&host));
}

#[test]
fn a_file_that_was_never_made_is_missed_where_only_migrate_makes_it() {
    let mut place = Place::sqlite();
    place.set("migrate = false").keys(NO_BREAKER);
    let made = Made::by(&Place::sqlite().host(), "root");
    let host = place.host();
    assert!(made.fails(&host) && failure(create(&host)).contains("token-host migrate"));
    assert!(place.sqlite_files().is_empty());
    assert_eq!(place.scratch.run(["migrate"]).code(), 0);
    assert_eq!(made.said(&host), Said::Unknown);
}

/// What the command line says when it is run by somebody whom files' modes hold back, as they do not root.
#[cfg(target_os = "linux")]
fn run_ordinarily(place: &Place, arguments: &[&str]) -> Result<Run, Skip> {
    let command = place.scratch.command(arguments);
    if !rustix::process::geteuid().is_root() {
        return Ok(place.scratch.run(arguments));
    }
    let mut weaker = Command::new("setpriv");
    weaker.arg("--bounding-set=-dac_override,-dac_read_search,-fowner").arg(command.get_program());
    weaker.args(command.get_args()).current_dir(place.scratch.path());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => weaker.env(name, value),
            None => weaker.env_remove(name),
        };
    }
    if Command::new("setpriv").arg("--version").output().is_err() {
        return Err(Skip("there is no setpriv, and root can write everywhere".to_owned()));
    }
    Ok(run(&mut weaker, b""))
}

#[cfg(target_os = "linux")]
#[test]
fn what_must_not_be_written_to_is_an_error_for_whoever_writes() {
    let place = Place::sqlite_at("folder/tokens.db");
    let folder = place.scratch.join("folder");
    fs::create_dir(&folder).unwrap();
    let made = Made::by(&place.host(), "root");
    let file = place.file().unwrap();
    let ordinarily = |arguments: &[&str]| run_ordinarily(&place, arguments);
    if skipped("what_must_not_be_written_to_is_an_error_for_whoever_writes", ordinarily(&["check"])).is_none() {
        return;
    }
    let ordinarily = |arguments: &[&str]| ordinarily(arguments).unwrap();
    for (file_mode, folder_mode) in [(0o400, 0o700), (0o600, 0o500), (0o400, 0o500), (0o000, 0o700)] {
        set_mode(file, file_mode);
        set_mode(&folder, folder_mode);
        let verified = ordinarily(&["verify", &made.token]);
        assert!([0, 5].contains(&verified.code()), "{file_mode:o} {folder_mode:o}: {verified}");
        let run = ordinarily(&["create", "root"]);
        if (file_mode, folder_mode) != (0o600, 0o500) {
            assert_eq!(run.code(), 5, "{file_mode:o} {folder_mode:o}: {run}");
        }
        assert!([0, 5].contains(&run.code()), "{file_mode:o} {folder_mode:o}: {run}");
        set_mode(&folder, 0o700);
        set_mode(file, 0o600);
        let run = ordinarily(&["create", "root"]);
        assert_eq!(run.code(), 0, "{file_mode:o} {folder_mode:o}, and then: {run}");
        assert_eq!(ordinarily(&["verify", &made.token]).code(), 0);
    }
}

/// What a process of its own is to do, and with which file.
const FILE: &str = "TOKEN_HOST_TEST_FILE";

/// This test program once more, for one of its tests that are ignored otherwise.
fn alone(test: &str, file: &Path) -> Vec<std::ffi::OsString> {
    let program = env::current_exe().unwrap().into_os_string();
    let test = format!("database_bad_days::{test}");
    let mut words = vec!["env".into(), format!("{FILE}={}", file.display()).into(), program];
    words.extend(["--exact", &test, "--ignored", "--nocapture", "--test-threads=1"].map(Into::into));
    words
}

#[test]
fn a_file_that_another_process_keeps_locked_is_read_and_written_to_later() {
    let mut place = Place::sqlite();
    place.keys(NO_BREAKER);
    let host = place.host();
    let made = Made::by(&host, "root");
    let words = alone("a_process_that_locks", place.file().unwrap());
    let mut command = Command::new(&words[0]);
    let mut locker = command.args(&words[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(locker.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("locked")), "it is locked");

    for _ in 0..50 {
        assert!(made.is_good(&host), "a reader does not wait for a writer");
    }
    let start = Instant::now();
    let error = failure(create(&host));
    assert!(error.contains("within its deadline"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5), "the deadline is 1 s: {:?}", start.elapsed());
    thread::scope(|scope| {
        scope.spawn(|| assert_eq!(place.scratch.run(["create", "root"]).code(), 5));
        scope.spawn(|| assert_eq!(place.scratch.run(["verify", &made.token]).code(), 0));
        assert!(invalidate(&host, made.by_id(), "").is_err());
        assert!(made.is_good(&host));
    });

    drop(locker.stdin.take());
    assert!(locker.wait().unwrap().success());
    assert!(Made::by(&host, "root").is_good(&host));
    assert_eq!(invalidate(&host, made.by_id(), "").unwrap().len(), 1);
    assert_eq!(place.sql("PRAGMA integrity_check"), "ok");
}

#[test]
#[ignore = "part of the other, which runs it in a process of its own"]
fn a_process_that_locks() {
    let file = env::var_os(FILE).expect("expected to be run by the other test");
    let connection = Connection::open(file).unwrap();
    connection.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(b"\nlocked\n").and_then(|()| stdout.flush()).unwrap();
    drop(stdout);
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_and_over_when_there_is_room_again() {
    let place = Place::sqlite_at("disk/tokens.db");
    let disk = place.scratch.join("disk");
    fs::create_dir(&disk).unwrap();
    let script = "mount -t tmpfs -o size=1m none \"$0\" && echo mounted && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script]).arg(&disk);
    command.args(alone("a_process_that_fills_its_disk", &place.scratch.config()));
    let is_there = Command::new("unshare").arg("--version").output().is_ok();
    let run = is_there.then(|| run(&mut command, b"")).filter(|run| run.stdout.contains("mounted"));
    let run = run.ok_or_else(|| Skip("nothing can be mounted here: that takes root, and unshare".to_owned()));
    let name = "a_full_disk_is_an_error_and_over_when_there_is_room_again";
    let Some(run) = skipped(name, run) else { return };
    assert!(run.status.success() && run.stdout.contains("1 passed"), "{run}");
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "part of the other, which runs it in a process of its own, with a small disk"]
fn a_process_that_fills_its_disk() {
    let config = env::var_os(FILE).expect("expected to be run by the other test");
    let disk = Path::new(&config).with_file_name("disk");
    let host = Host::from_file(&config).unwrap();
    let ballast = disk.join("ballast");
    fs::write(&ballast, vec![0; 256 * 1024]).unwrap();
    let mut made = Vec::new();
    let error = loop {
        match create(&host) {
            Ok(new) => made.push(new),
            answer => break failure(answer),
        }
        assert!(made.len() < 10_000, "the disk is full at some time");
    };
    assert!(error.contains("full"), "{error}");
    assert!(made.len() > 10, "{}", made.len());
    for made in made.iter().rev().take(100) {
        assert!(made.is_good(&host), "what is there can be read");
    }
    fs::remove_file(ballast).unwrap();
    let after = wait_until("it goes on", || create(&host).ok());
    assert!(after.is_good(&host));
    drop(host);
    let host = Host::from_file(&config).unwrap();
    assert!(made.iter().all(|made| made.is_good(&host)) && after.is_good(&host));
    assert!(invalidate(&host, after.by_id(), "").is_ok());
}

#[test]
fn a_damaged_file_is_an_error_and_no_unknown_token() {
    const PAGE_BYTES: usize = 4096;
    for garbage in [0x00, 0xff, 0xa5] {
        let mut place = Place::sqlite();
        place.keys(NO_BREAKER);
        let file = place.file().unwrap().to_owned();
        let made: Vec<Made> = {
            let host = place.host();
            (0..40).map(|_| Made::by(&host, "root")).collect()
        };
        let whole = fs::read(&file).unwrap();
        // A damage that comes before the host, and one that comes while it is reading.
        for is_running in [false, true] {
            fs::write(&file, &whole).unwrap();
            let host = place.host();
            if is_running {
                assert!(made[0].is_good(&host));
            }
            let mut damaged = whole.clone();
            damaged[PAGE_BYTES..].fill(garbage);
            fs::write(&file, &damaged).unwrap();
            for made in &made {
                match made.said(&host) {
                    Said::Failed(_) => {}
                    // What it has in its memory.
                    Said::Good if is_running => {}
                    other => panic!("{garbage:x} {is_running}: {other:?}"),
                }
            }
            let run = place.scratch.run(["verify", &made[0].token]);
            assert_eq!(run.code(), 5, "{garbage:x}: {run}");
            failure(create(&host));
            assert!(invalidate(&host, made[0].by_id(), "").is_err());
            assert_eq!(place.scratch.run(["list"]).code(), 5);
            assert_eq!(said(&host, "something else"), Said::Unknown, "the host lives on");
        }
        let truncated = &whole[..whole.len() / 2];
        fs::write(&file, truncated).unwrap();
        let host = place.host();
        assert!(made.iter().all(|made| matches!(made.said(&host), Said::Failed(_) | Said::Good)), "cut short");
        drop(host);
        for name in place.sqlite_files().into_keys() {
            fs::remove_file(place.scratch.join(name)).unwrap();
        }
        fs::write(&file, &whole).unwrap();
        set_mode(&file, 0o600);
        let host = place.host();
        assert!(made.iter().all(|made| made.is_good(&host)), "a backup is as good as ever");
    }
}

#[test]
fn what_is_none_of_ours_is_left_as_it_is() {
    let made = Made::by(&Place::sqlite().host(), "root");
    let theirs = |sql: &'static str| move |file: &Path| Connection::open(file).unwrap().execute_batch(sql).unwrap();
    let newer = |file: &Path| {
        let place = Place::sqlite();
        Made::by(&place.host(), "root");
        place.sql("PRAGMA user_version = 99; PRAGMA journal_mode = DELETE");
        fs::copy(place.file().unwrap(), file).unwrap();
    };
    type Prepare<'p> = &'p dyn Fn(&Path);
    let cases: [(Prepare<'_>, &str); 5] = [
        (
            &|file| fs::write(file, "this is no database, and it is long enough to be one ".repeat(100)).unwrap(),
            "it is not a SQLite file",
        ),
        (&theirs("CREATE TABLE tokens (digest); INSERT INTO tokens VALUES (1)"), "it is another program's file"),
        (&theirs("PRAGMA user_version = 1; CREATE TABLE tokens (digest)"), "it is another program's file"),
        (&theirs("PRAGMA application_id = 7; CREATE TABLE x (y)"), "it is another program's file"),
        (&newer, "it has the schema version 99, expected at most 2"),
    ];
    for (prepare, expected) in cases {
        let mut place = Place::sqlite();
        place.keys(NO_BREAKER);
        prepare(place.file().unwrap());
        let before = place.sqlite_files();
        let host = place.host();
        let Said::Failed(error) = made.said(&host) else { panic!("{expected}: {:?}", made.said(&host)) };
        assert!(error.contains(expected), "{expected}: {error}");
        assert!(failure(create(&host)).contains(expected));
        for arguments in [&["migrate"][..], &["migrate", "--check"], &["list"], &["verify", &made.token]] {
            assert_eq!(place.scratch.run(arguments).code(), 5, "{expected}: {arguments:?}");
        }
        drop(host);
        assert_eq!(place.sqlite_files(), before, "{expected}: nothing was written");
    }
    let place = Place::sqlite();
    fs::write(place.file().unwrap(), "").unwrap();
    assert!(made.fails(&place.host()), "it may have been cut off: none of ours is ever empty");
    assert_eq!(place.scratch.run(["migrate"]).code(), 0);
    assert!(Made::by(&place.host(), "root").is_good(&place.host()), "whoever says so gets a new one");
    let place = Place::sqlite();
    fs::create_dir(place.file().unwrap()).unwrap();
    assert!(made.fails(&place.host()), "a folder is no file");
}

#[test]
fn a_plugin_whose_database_is_away_is_left_alone_for_a_while() {
    let mut place = Place::sqlite();
    place.keys("breaker_failures = 3\nbreaker_pause_ms = 50");
    let host = place.host();
    let made = Made::by(&host, "root");
    let away = place.scratch.join("away.db");
    moved(place.file().unwrap(), &away);
    let off = wait_until("it is switched off", || match made.said(&host) {
        Said::Failed(error) => error.contains("it is switched off").then_some(error),
        _ => None,
    });
    assert!(off.contains("the file is gone"), "{off}");
    moved(&away, place.file().unwrap());
    wait_until("it is tried again by itself", || (made.said(&host) == Said::Good).then_some(()));
}
