//! What can go wrong with a server of PostgreSQL's that keeps tokens. As with a file, that a good token cannot be judged is
//! an error, and never "no such token".

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use token_host::{CreateToken, ErrorKind, Host};
use token_host_tests::{
    Made, Place, Postgres, PostgresDatabase, PostgresOptions, Said, invalidate, listed, set_mode, skipped, wait_until,
};

/// So that each answer is the database's own.
const NO_BREAKER: &str = "breaker_failures = 0";

/// A server of the test's own, with a database on it.
fn own_server(test: &str) -> Option<(Postgres, Place)> {
    let options = PostgresOptions { fsync: true, ..PostgresOptions::default() };
    let server = skipped(test, Postgres::start_with(options))?;
    let mut place = Place::on(&server);
    place.keys(NO_BREAKER);
    Some((server, place))
}

fn shared_server(test: &str) -> Option<Place> {
    let mut place = skipped(test, Place::postgres())?;
    place.keys(NO_BREAKER);
    Some(place)
}

/// A new token, or what the database's error says.
fn create(host: &Host) -> Result<Made, String> {
    Made::of(host, &CreateToken::new("root")).map_err(|error| {
        assert_eq!(*error.kind(), ErrorKind::Plugin, "{error}");
        error.to_string()
    })
}

/// Waits until a token is judged again, and says how. Until then it must not be judged at all.
fn judged_again(made: &Made, host: &Host) -> Said {
    wait_until("it is judged again", || Some(made.said(host)).filter(|said| !matches!(said, Said::Failed(_))))
}

#[test]
fn a_server_that_comes_up_late_is_found() {
    let Some((server, mut place)) = own_server("a_server_that_comes_up_late_is_found") else { return };
    let made = Made::by(&place.host(), "root");
    server.stop();
    for keys in [NO_BREAKER, "breaker_failures = 3\nbreaker_pause_ms = 100"] {
        place.keys(keys);
        let host = place.host();
        for _ in 0..5 {
            assert!(made.fails(&host) && create(&host).is_err());
        }
        assert!(invalidate(&host, made.by_id(), "").is_err());
        for arguments in [&["verify", &made.token][..], &["create", "root"], &["list"], &["migrate", "--check"]] {
            assert_eq!(place.scratch.run(arguments).code(), 5, "{arguments:?}");
        }
        assert_eq!(place.scratch.run(["check"]).code(), 0, "a host starts without it");
        server.restart();
        assert_eq!(judged_again(&made, &host), Said::Good);
        assert!(wait_until("tokens are made again", || create(&host).ok()).is_good(&host));
        server.stop();
    }
}

#[test]
fn a_server_that_is_killed_loses_nothing_that_was_answered() {
    let Some((server, place)) = own_server("a_server_that_is_killed_loses_nothing_that_was_answered") else { return };
    let host = place.host();
    let known = Made::by(&host, "root");
    let is_over = AtomicBool::new(false);
    let (made, ended): (Vec<Made>, Vec<Made>) = thread::scope(|scope| {
        let over = Over(&is_over);
        let asking = || {
            while !is_over.load(Ordering::Relaxed) {
                let said = known.said(&host);
                assert!(matches!(said, Said::Good | Said::Failed(_)), "{said:?}");
            }
        };
        let making = || {
            let (mut made, mut ended) = (Vec::new(), Vec::new());
            while !is_over.load(Ordering::Relaxed) {
                let (Ok(kept), Ok(other)) = (create(&host), create(&host)) else { continue };
                made.push(kept);
                if invalidate(&host, other.by_id(), "").is_ok() {
                    ended.push(other);
                }
            }
            (made, ended)
        };
        scope.spawn(asking);
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(making)).collect();
        for number in 0..4 {
            let before = create(&host);
            thread::sleep(Duration::from_millis(100));
            if number % 2 == 0 {
                server.kill()
            } else {
                server.stop()
            }
            wait_until("it is noticed", || known.fails(&host).then_some(()));
            server.restart();
            assert_eq!(judged_again(&known, &host), Said::Good);
            wait_until("tokens are made again", || create(&host).ok());
            assert!(before.is_ok());
        }
        drop(over);
        let done = threads.into_iter().map(|thread| thread.join().unwrap());
        let (made, ended): (Vec<_>, Vec<_>) = done.unzip();
        (made.concat(), ended.concat())
    });
    assert!(made.len() > 20 && ended.len() > 20, "{} {}", made.len(), ended.len());
    let host = place.host();
    assert!(made.iter().all(|made| made.is_good(&host)));
    assert!(ended.iter().all(|made| matches!(made.said(&host), Said::Bad(..))));
    assert!(listed(&host, |filter| filter.limit = Some(1_000)).len() > made.len() + ended.len());
}

/// Ends what other threads do meanwhile, however the test goes.
struct Over<'f>(&'f AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_server_that_says_nothing_is_waited_for_until_the_deadline() {
    let Some((server, mut place)) = own_server("a_server_that_says_nothing_is_waited_for_until_the_deadline") else {
        return;
    };
    place.keys(&format!("{NO_BREAKER}\ndeadline_ms = 300\nmanage_deadline_ms = 300"));
    for settings in ["", "cache = { tokens = 1000 }"] {
        place.set(settings);
        let host = place.host();
        let made = wait_until("it is connected", || create(&host).ok());
        assert_eq!([judged_again(&made, &host), judged_again(&made, &host)], [Said::Good, Said::Good]);
        server.pause();
        let start = Instant::now();
        // Nothing is heard of changes any more, and so what is cached counts for nothing, soon.
        wait_until("it is noticed", || made.fails(&host).then_some(()));
        assert!(start.elapsed() < Duration::from_secs(10), "{settings}: {:?}", start.elapsed());
        for _ in 0..5 {
            let start = Instant::now();
            assert!(made.fails(&host) && create(&host).is_err());
            assert!(start.elapsed() < Duration::from_secs(5), "{settings}: {:?}", start.elapsed());
        }
        assert!(invalidate(&host, made.by_id(), "it leaked").is_err());
        server.resume();
        // What was asked meanwhile may have been done.
        match judged_again(&made, &host) {
            Said::Good => assert_eq!(invalidate(&host, made.by_id(), "").unwrap().len(), 1),
            said => assert!(matches!(&said, Said::Bad(_, message) if message.ends_with("it leaked")), "{said:?}"),
        }
        assert!(matches!(made.said(&host), Said::Bad(..)));
        assert!(wait_until("tokens are made again", || create(&host).ok()).is_good(&host));
    }
}

/// Sends the hosts away and lets nobody in, while an operator still can do everything.
fn locked_out(database: &PostgresDatabase) {
    database.execute_as_superuser("ALTER ROLE tokens NOLOGIN");
    database.execute_as_superuser("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'tokens'");
}

#[test]
fn nothing_is_told_from_the_cache_while_the_server_is_away_or_after_it() {
    let name = "nothing_is_told_from_the_cache_while_the_server_is_away_or_after_it";
    let Some((_server, mut place)) = own_server(name) else { return };
    place.set("cache = { tokens = 1000 }");
    let host = place.host();
    for _ in 0..3 {
        let make = || wait_until("tokens are made", || create(&host).ok());
        let (invalidated, kept) = (make(), make());
        assert!([&invalidated, &kept].iter().all(|made| made.is_good(&host) && made.is_good(&host)));
        let database = place.database().unwrap();
        locked_out(database);
        wait_until("it is noticed", || (invalidated.fails(&host) && kept.fails(&host)).then_some(()));
        let id = &invalidated.id;
        database.execute_as_superuser(&format!("INSERT INTO token_host.invalid_tokens VALUES ({id}, 1, 'meanwhile')"));
        for _ in 0..20 {
            assert!(invalidated.fails(&host) && kept.fails(&host));
        }
        assert_eq!(place.scratch.run(["verify", &kept.token]).code(), 5);
        database.execute_as_superuser("ALTER ROLE tokens LOGIN");
        let said = judged_again(&invalidated, &host);
        assert!(matches!(&said, Said::Bad(_, message) if message.ends_with("meanwhile")), "{said:?}");
        assert_eq!(judged_again(&kept, &host), Said::Good);
    }
}

#[test]
fn a_wrong_password_is_an_error_that_does_not_tell_it() {
    let Some(mut place) = shared_server("a_wrong_password_is_an_error_that_does_not_tell_it") else { return };
    let made = Made::by(&place.host(), "root");
    let right = place.database().unwrap().url_tcp();
    let (user, rest) = right.split_once("tokens:").unwrap();
    let wrong = format!("{user}tokens:hunter2@{}", rest.split_once('@').unwrap().1);
    let write = |place: &Place, url: &str| set_mode(&place.scratch.file("url", url), 0o600);
    write(&place, &wrong);
    let host = place.host();
    let Said::Failed(error) = made.said(&host) else { panic!("{:?}", made.said(&host)) };
    assert!(error.contains("password authentication failed"), "{error}");
    let all = [error, create(&host).unwrap_err(), place.scratch.run(["verify", &made.token]).stderr].concat();
    assert!(!all.contains("hunter2") && all.contains("postgres://127.0.0.1:"), "{all}");
    write(&place, &right);
    host.reload().unwrap();
    assert_eq!(judged_again(&made, &host), Said::Good);
    let right = right.clone();
    place.set("");
    write(&place, &right.replace("/test_", "/nowhere_"));
    assert!(made.fails(&place.host()), "no such database");
}

#[test]
fn what_the_role_may_not_do_is_an_error() {
    let Some(place) = shared_server("what_the_role_may_not_do_is_an_error") else { return };
    let host = place.host();
    let made = Made::by(&host, "root");
    assert!(made.is_good(&host));
    let database = place.database().unwrap();
    database.execute_as_superuser("REVOKE ALL ON ALL TABLES IN SCHEMA token_host FROM tokens");
    for host in [&host, &place.host()] {
        let Said::Failed(error) = made.said(host) else { panic!("{:?}", made.said(host)) };
        assert!(error.contains("permission denied"), "{error}");
        assert!(create(host).is_err() && invalidate(host, made.by_id(), "").is_err());
    }
    assert_eq!(place.scratch.run(["verify", &made.token]).code(), 5);
    database.execute_as_superuser("GRANT ALL ON ALL TABLES IN SCHEMA token_host TO tokens");
    assert_eq!(judged_again(&made, &host), Said::Good);
    // One that may only read judges all the same.
    database.execute_as_superuser("REVOKE ALL ON ALL TABLES IN SCHEMA token_host FROM tokens");
    database.execute_as_superuser("GRANT SELECT ON ALL TABLES IN SCHEMA token_host TO tokens");
    let host = place.host();
    assert_eq!(judged_again(&made, &host), Said::Good);
    assert!(create(&host).unwrap_err().contains("permission denied"));
    drop(host);
    database.execute_as_superuser("GRANT ALL ON ALL TABLES IN SCHEMA token_host TO tokens");
}

#[test]
fn one_connection_is_enough_for_many() {
    let Some(mut place) = shared_server("one_connection_is_enough_for_many") else { return };
    place.set("postgres = { connections = 1, transactions = 1 }");
    place.keys(&format!("{NO_BREAKER}\ndeadline_ms = 20000\nmanage_deadline_ms = 20000"));
    let host = place.host();
    let made: Vec<Made> = thread::scope(|scope| {
        let one = || {
            let made = create(&host).unwrap();
            assert!(made.is_good(&host));
            assert_eq!(invalidate(&host, made.by_id(), "").unwrap(), [made.id.as_str()]);
            assert!(matches!(made.said(&host), Said::Bad(..)));
            made
        };
        let threads: Vec<_> = (0..64).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(listed(&host, |_| {}).len(), made.len());
}

#[test]
fn a_server_that_lets_no_more_in_is_an_error_until_it_does() {
    let options = PostgresOptions { max_connections: 12, ..PostgresOptions::default() };
    let name = "a_server_that_lets_no_more_in_is_an_error_until_it_does";
    let Some(server) = skipped(name, Postgres::start_with(options)) else { return };
    let mut place = Place::on(&server);
    place.keys(NO_BREAKER);
    let first = place.host();
    let made = Made::by(&first, "root");
    assert!(made.is_good(&first));
    let hosts: Vec<Host> = (0..5).map(|_| place.host()).collect();
    let mut failures = 0;
    for _ in 0..3 {
        for host in &hosts {
            let said = made.said(host);
            assert!(matches!(said, Said::Good | Said::Failed(_)), "{said:?}");
            failures += usize::from(said != Said::Good);
        }
    }
    assert!(failures > 0, "there is not room for all of them");
    assert!(made.is_good(&first), "who is in stays in");
    let (last, others) = hosts.split_last().unwrap();
    let last = last.clone();
    assert!(others.len() == 4);
    drop(hosts);
    assert_eq!(judged_again(&made, &last), Said::Good);
}

#[test]
fn a_schema_of_a_newer_version_is_left_as_it_is() {
    let Some(place) = shared_server("a_schema_of_a_newer_version_is_left_as_it_is") else { return };
    let made = Made::by(&place.host(), "root");
    place.sql("UPDATE migrations SET version = 99 WHERE version = 2");
    let host = place.host();
    let Said::Failed(error) = made.said(&host) else { panic!("{:?}", made.said(&host)) };
    assert!(error.contains("99") && error.contains("newer"), "{error}");
    assert!(create(&host).is_err());
    for arguments in [&["migrate"][..], &["migrate", "--check"], &["list"], &["verify", &made.token]] {
        assert_eq!(place.scratch.run(arguments).code(), 5, "{arguments:?}");
    }
    assert_eq!(place.sql("SELECT max(version) FROM migrations; SELECT count(*) FROM tokens"), "99\n1");
    place.sql("UPDATE migrations SET version = 2 WHERE version = 99");
    assert_eq!(judged_again(&made, &host), Said::Good);
}
