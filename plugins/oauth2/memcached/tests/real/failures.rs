//! Servers that are down, that end, and that say what they should not.

use std::{
    error::Error as _,
    sync::mpsc,
    time::{Duration, Instant},
};

use token_host_tests::PATIENCE;
use token_oauth2_memcached::{ErrorKind, Expiry, Memcached};

use crate::{
    client,
    impostor::{Impostor, number},
    process::Process,
    run, runtime,
};

#[test]
fn a_server_that_is_down_fails_fast_and_is_used_again_when_it_is_back() {
    let Some(process) = Process::start("a server that ends") else { return };
    run(async {
        let memcached = client(&process.address());
        for _ in 0..3 {
            memcached.set(b"k", b"x", 0, Expiry::Never).await.unwrap();
            process.kill();
            let (start, mut slowest) = (Instant::now(), Duration::ZERO);
            let mut count = 0;
            while start.elapsed() < Duration::from_millis(700) {
                let asked = Instant::now();
                let error = memcached.get(b"k").await.unwrap_err();
                slowest = slowest.max(asked.elapsed());
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                assert!(error.source().is_some());
                count += 1;
            }
            let error = memcached.set(b"k", b"x", 0, Expiry::Never).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "it was never sent: {error}");
            assert_eq!(error.to_string(), format!("{}: it cannot be reached", process.address()));
            assert!(slowest < Duration::from_millis(500) && count > 1000, "{count}, the slowest in {slowest:?}");
            process.restart();
            assert_eq!(answered(&memcached).await, Ok(None));
        }
    });
}

#[test]
fn a_server_that_starts_again_unnoticed_is_no_failure() {
    let Some(process) = Process::start("a server that starts again") else { return };
    run(async {
        let memcached = client(&process.address());
        assert!(memcached.get(b"k").await.is_ok());
        process.kill();
        process.restart();
        // The end of the connection is seen by then, in all likelihood; if not, one request is lost with it.
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(answered(&memcached).await, Ok(None));
    });
}

#[test]
fn what_is_lost_after_it_was_sent_is_ambiguous_for_writes_alone() {
    let impostor = Impostor::start(|_, mut guest| {
        guest.greet().hear();
    });
    run(async {
        let memcached = client(&impostor.address());
        let lost = format!("{}: the connection was lost", impostor.address());
        let error = memcached.get(b"k").await.unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::Unavailable, lost));
        let lost = format!("{}: a write was sent and not answered: the connection was lost", impostor.address());
        for error in
            [memcached.set(b"k", b"x", 0, Expiry::Never).await.unwrap_err(), memcached.delete(b"k").await.unwrap_err()]
        {
            assert_eq!((error.kind(), error.to_string()), (ErrorKind::Ambiguous, lost.clone()));
        }
        assert_eq!(impostor.accepted(), 3, "a server that answers when it is asked is asked again at once");
    });
}

#[test]
fn what_is_no_answer_closes_the_connection_and_the_next_is_a_new_one() {
    for garbage in [
        "what is this\r\n",
        "EN O1\r\n",
        "EN\r\n",
        "NS O0\r\n",
        "VA 1 f0 c1 O1\r\na\r\n",
        "VA 1 f0 c1\r\na\r\n",
        "VA 3 f0 c1 O0\r\na\r\nEN O0\r\n",
        "ERROR\r\n",
        "CLIENT_ERROR bad command line format\r\n",
        "VERSION 1.6.18\r\n",
    ] {
        let impostor = Impostor::start(move |before, mut guest| {
            guest.greet();
            if before < 2 {
                guest.hear();
                guest.say(garbage);
                guest.ignore();
            }
            guest.miss();
        });
        run(async {
            let memcached = client(&impostor.address());
            let error = memcached.get(b"k").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol, "{garbage:?}: {error}");
            let error = memcached.delete(b"k").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Ambiguous, "{garbage:?}: {error}");
            assert_eq!(memcached.get(b"k").await.unwrap(), None);
            assert_eq!(impostor.accepted(), 3);
        });
    }
}

#[test]
fn what_nobody_has_asked_closes_the_connection() {
    let impostor = Impostor::start(|before, mut guest| {
        guest.greet();
        let line = guest.hear().unwrap_or_default();
        let again = if before == 0 { "EN O1\r\n" } else { "" };
        guest.say(&format!("EN {}\r\n{again}", number(&line)));
        guest.miss();
    });
    run(async {
        let memcached = client(&impostor.address());
        assert_eq!(memcached.get(b"k").await.unwrap(), None);
        // That it has been read shows in the next connection.
        let start = Instant::now();
        while impostor.accepted() == 1 {
            assert!(start.elapsed() < PATIENCE);
            let _ = memcached.get(b"k").await;
        }
        assert_eq!(memcached.get(b"k").await.unwrap(), None);
    });
}

#[test]
fn what_is_no_memcached_of_today_is_sent_nothing_else() {
    for (greeting, expected) in [
        ("HTTP/1.1 400 Bad Request\r\n", "the server sent what is no answer"),
        ("ERROR\r\n", "the server says `ERROR`"),
        ("VERSION 1.4.39\r\n", "expected memcached 1.6.13 or newer, and its version is another"),
        ("VERSION 1.6.12\r\n", "expected memcached 1.6.13 or newer, and its version is another"),
        ("VERSION \r\n", "expected memcached 1.6.13 or newer, and its version is another"),
    ] {
        let (heard, all) = mpsc::channel();
        let impostor = Impostor::start(move |_, mut guest| {
            guest.hear();
            guest.say(greeting);
            heard.send(guest.hear()).unwrap();
        });
        run(async {
            let memcached = client(&impostor.address());
            let error = memcached.set(b"k", b"flush_all\r\n", 0, Expiry::Never).await.unwrap_err();
            assert_eq!(error.to_string(), format!("{}: {expected}", impostor.address()));
            assert_eq!(error.kind(), ErrorKind::Protocol);
        });
        assert_eq!(all.recv_timeout(PATIENCE).unwrap(), None);
    }
}

#[test]
fn a_newer_version_and_an_older_one_are_understood() {
    for (greeting, miss) in [("VERSION 1.6.13\r\n", "EN\r\n"), ("VERSION 1.10.0-rc1\r\n", "EN O0\r\n")] {
        let impostor = Impostor::start(move |_, mut guest| {
            guest.hear();
            guest.say(greeting);
            guest.hear();
            guest.say(miss);
            guest.ignore();
        });
        run(async { assert_eq!(client(&impostor.address()).get(b"k").await.unwrap(), None, "{greeting}") });
    }
}

#[test]
fn a_client_outlives_the_runtime_that_it_was_first_used_on() {
    let Some(process) = Process::start("two runtimes") else { return };
    let memcached = client(&process.address());
    let first = runtime();
    first.block_on(memcached.set(b"k", b"x", 0, Expiry::Never)).unwrap();
    drop(first);
    assert_eq!(run(memcached.get(b"k")).unwrap().unwrap().data, b"x");
    assert_eq!(run(memcached.get(b"k")).unwrap().unwrap().data, b"x");
    drop(memcached);

    let outside = client(&process.address());
    let asking = std::pin::pin!(outside.get(b"k"));
    let polled = asking.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
    let std::task::Poll::Ready(Err(error)) = polled else { panic!("it has nothing to wait for") };
    assert_eq!(error.to_string(), format!("{}: expected to be awaited inside a tokio runtime", process.address()));
}

/// What it answers as soon as it does.
async fn answered(memcached: &Memcached) -> Result<Option<Vec<u8>>, String> {
    let start = Instant::now();
    loop {
        match memcached.get(b"k").await {
            Ok(value) => return Ok(value.map(|value| value.data)),
            Err(error) if start.elapsed() > PATIENCE => return Err(error.to_string()),
            Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
}
