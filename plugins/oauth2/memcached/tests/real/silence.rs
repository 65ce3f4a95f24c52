//! Servers that do not answer, or not in time.

use std::{
    future::Future,
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

use token_host_tests::PATIENCE;
use token_oauth2_memcached::{Error, ErrorKind, Expiry, Memcached, Settings};
use tokio::time::sleep;

use crate::{
    client_with,
    impostor::{Impostor, number},
    process::Process,
    run,
};

const TIMEOUT: Duration = Duration::from_millis(400);

/// Longer than a busy machine needs, and shorter than two timeouts.
const SLACK: Duration = Duration::from_millis(350);

fn hasty(server: &str) -> Memcached {
    client_with(server, Settings { request_timeout: TIMEOUT, ..Settings::default() })
}

#[test]
fn a_server_that_accepts_and_never_answers_is_timed_out() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    run(async {
        let memcached = hasty(&address);
        let writing = async { memcached.set(b"k", b"x", 0, Expiry::Never).await };
        let (error, took) = refusal(writing).await;
        assert_eq!(error.to_string(), format!("{address}: no answer within 400 ms"));
        assert_eq!(error.kind(), ErrorKind::TimedOut, "it was not sent, for the server has not said its version");
        assert!((TIMEOUT..TIMEOUT + SLACK).contains(&took), "{took:?}");
        let (error, took) = refusal(memcached.get(b"k")).await;
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(took < TIMEOUT, "the server has a rest: {took:?}");
    });
}

#[test]
fn a_server_that_hangs_is_timed_out_and_used_again_when_it_goes_on() {
    let Some(process) = Process::start("a server that hangs") else { return };
    run(async {
        let memcached = hasty(&process.address());
        assert_eq!(memcached.get(b"k").await.unwrap(), None);
        process.pause();
        let writing = memcached.clone();
        let writing = tokio::spawn(async move { refusal(writing.set(b"k", b"x", 0, Expiry::Never)).await });
        sleep(TIMEOUT / 2).await;
        let (error, took) = refusal(memcached.get(b"k")).await;
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        assert!(took < TIMEOUT, "it waited on a connection on which others had waited for too long: {took:?}");
        let (error, took) = writing.await.unwrap();
        assert_eq!(error.kind(), ErrorKind::Ambiguous, "{error}");
        assert!((TIMEOUT..TIMEOUT + SLACK).contains(&took), "{took:?}");
        // A new connection is accepted, and answers nothing either: then requests fail at once, most of the time.
        let (start, mut quick, mut all) = (Instant::now(), 0, 0);
        while start.elapsed() < TIMEOUT * 5 {
            let (error, took) = refusal(memcached.get(b"k")).await;
            assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
            all += 1;
            quick += usize::from(took < TIMEOUT / 4);
            sleep(Duration::from_millis(5)).await;
        }
        assert!(quick * 10 > all * 8, "{quick} of {all} failed fast");
        process.resume();
        let start = Instant::now();
        while let Err(error) = memcached.get(b"k").await {
            assert!(start.elapsed() < PATIENCE, "{error}");
            sleep(Duration::from_millis(5)).await;
        }
    });
}

#[test]
fn one_that_waits_for_too_long_does_not_take_the_place_of_another() {
    // Answers one request after the other, each after three fifths of what a request waits.
    let impostor = Impostor::start(|_, mut guest| {
        guest.greet();
        while let Some(line) = guest.hear() {
            thread::sleep(TIMEOUT * 3 / 5);
            let key = line.split(' ').nth(1).unwrap().to_owned();
            guest.say(&format!("VA {} f0 c1 {}\r\n{key}\r\n", key.len(), number(&line)));
        }
    });
    run(async {
        let memcached = hasty(&impostor.address());
        let get = |key: &'static str| {
            let memcached = memcached.clone();
            tokio::spawn(async move { memcached.get(key.as_bytes()).await.map(|value| value.unwrap().data) })
        };
        let (first, second) = (get("first"), get("second"));
        sleep(TIMEOUT * 9 / 10).await;
        let third = get("third");
        let answers = [first.await.unwrap(), second.await.unwrap()];
        let in_time = answers.iter().flatten().collect::<Vec<_>>();
        assert_eq!(in_time.len(), 1, "one is answered in time, the other is not: {answers:?}");
        let late = answers.iter().find_map(|answer| answer.as_ref().err()).unwrap();
        assert_eq!(late.kind(), ErrorKind::TimedOut, "{late}");
        assert_eq!(third.await.unwrap().unwrap(), b"third");
        assert_eq!(impostor.accepted(), 1, "a server that is slow is not one that hangs");
    });
}

#[test]
fn a_server_that_hangs_is_noticed_though_nobody_waits_any_more() {
    let impostor = Impostor::start(|before, mut guest| {
        guest.greet();
        if before == 0 {
            guest.ignore();
        }
        guest.miss();
    });
    run(async {
        let memcached = hasty(&impostor.address());
        assert!(tokio::time::timeout(TIMEOUT / 4, memcached.get(b"k")).await.is_err());
        sleep(TIMEOUT + SLACK).await;
        assert_eq!(memcached.get(b"k").await.unwrap(), None);
        assert_eq!(impostor.accepted(), 2);
    });
}

/// The error, and how long it took.
async fn refusal<T>(asking: impl Future<Output = Result<T, Error>>) -> (Error, Duration) {
    let start = Instant::now();
    match asking.await {
        Ok(_) => panic!("it was answered"),
        Err(error) => (error, start.elapsed()),
    }
}
