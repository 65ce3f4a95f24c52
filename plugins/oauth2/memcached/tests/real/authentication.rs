//! Servers that want a user and a password.

use std::{fs, path::Path, time::Instant};

use token_host_tests::PATIENCE;
use token_oauth2_memcached::{Credentials, Error, ErrorKind, Expiry, Settings};

use crate::{client, client_with, patient, process::Process, run};

const PASSWORD: &str = "pass:word";

#[test]
fn a_user_is_let_in_with_the_password_and_nobody_without() {
    let folder = tempfile::tempdir().unwrap();
    let Some(process) = guarded("authentication", folder.path()) else { return };
    run(async {
        let alice = client_with(&process.address(), with("alice", PASSWORD));
        alice.set(b"k", b"x", 0, Expiry::Never).await.unwrap();
        assert_eq!(alice.get(b"k").await.unwrap().unwrap().data, b"x");

        let refusal = async |user, password| {
            let memcached = client_with(&process.address(), with(user, password));
            refused(memcached.set(b"k", b"y", 0, Expiry::Never).await)
        };
        for (user, password) in [("alice", "wrong"), ("bob", PASSWORD)] {
            let what = refusal(user, password).await;
            assert_eq!(what, format!("{}: it knows no such user and password", process.address()));
        }
        let what = refused(client(&process.address()).get(b"k").await);
        assert_eq!(what, format!("{}: it expects a user and a password", process.address()));
        assert_eq!(alice.get(b"k").await.unwrap().unwrap().data, b"x");

        process.kill();
        process.restart();
        let start = Instant::now();
        while let Err(error) = alice.get(b"k").await {
            assert!(start.elapsed() < PATIENCE, "{error}");
        }
    });
}

#[test]
fn a_server_that_asks_for_none_does_not_keep_a_password() {
    let Some(process) = Process::start("a password too many") else { return };
    run(async {
        let memcached = client_with(&process.address(), with("alice", PASSWORD));
        memcached.set(b"k", b"x", 0, Expiry::Never).await.unwrap();
        assert_eq!(memcached.get(b"auth").await.unwrap(), None);
    });
}

fn guarded(test: &str, folder: &Path) -> Option<Process> {
    let file = folder.join("users");
    fs::write(&file, format!("carol:another\nalice:{PASSWORD}\n")).unwrap();
    Process::start_with(test, &["-Y", file.to_str().unwrap()])
}

fn with(user: &str, password: &str) -> Settings {
    Settings { credentials: Some(Credentials::new(user, password).unwrap()), ..patient() }
}

fn refused<T>(answer: Result<T, Error>) -> String {
    let Err(error) = answer else { panic!("it was answered") };
    assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error}");
    assert!([PASSWORD, "wrong"].iter().all(|secret| !format!("{error:?}").contains(secret)), "{error:?}");
    error.to_string()
}
