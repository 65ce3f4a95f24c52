//! Each operation, as a real server does it.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use token_host_tests::{PATIENCE, wait_until};
use token_oauth2_memcached::{Compared, ErrorKind, Expiry, Settings};

use crate::{client, client_with, patient, process::Process, run};

#[test]
fn values_come_back_as_they_were() {
    let Some(process) = Process::start("values") else { return };
    run(async {
        let memcached = client(&process.address());
        let all: Vec<u8> = (0..=255).collect();
        let (long_key, large) = ("k".repeat(250), all.repeat(4000));
        for (key, data, flags) in [
            ("a", &b""[..], 0),
            ("b", b"\r\nEN\r\n", 1),
            ("clé-1", &all, u32::MAX),
            (&long_key, b"x", 7),
            ("large", &large, 1 << 31),
        ] {
            let key = key.as_bytes();
            assert_eq!(memcached.get(key).await.unwrap(), None);
            memcached.set(key, data, flags, Expiry::Never).await.unwrap();
            let value = memcached.get(key).await.unwrap().unwrap();
            assert!(value.data == data && value.flags == flags && value.cas > 0, "{value:?}");
        }
        let version = memcached.version(memcached.servers().iter().next().unwrap()).await.unwrap();
        assert!(version.starts_with("1."), "{version}");
        let other = "other:1".parse::<token_oauth2_memcached::Servers>().unwrap();
        let error = memcached.version(other.iter().next().unwrap()).await.unwrap_err();
        assert_eq!(error.to_string(), "other:1: expected one of the servers of this client");
        assert_eq!(process.connections(), 1, "one for all requests");
    });
}

#[test]
fn of_many_that_add_one_does() {
    let Some(process) = Process::start("add") else { return };
    run(async {
        let memcached = client(&process.address());
        let tasks: Vec<_> = (0..50u8)
            .map(|data| {
                let memcached = memcached.clone();
                tokio::spawn(
                    async move { memcached.add(b"k", &[data], 0, Expiry::Never).await.unwrap().then_some(data) },
                )
            })
            .collect();
        let mut added = Vec::new();
        for task in tasks {
            added.extend(task.await.unwrap());
        }
        assert_eq!(memcached.get(b"k").await.unwrap().unwrap().data, added, "one was told so, and it is the one");
    });
}

#[test]
fn writes_compare() {
    let Some(process) = Process::start("compare") else { return };
    run(async {
        let memcached = client(&process.address());
        let set = |cas| memcached.compare_and_set(b"k", b"mine", 5, Expiry::Never, cas);
        let read = async || memcached.get(b"k").await.unwrap().unwrap();
        assert_eq!(set(1).await.unwrap(), Compared::Gone);
        memcached.set(b"k", b"first", 0, Expiry::Never).await.unwrap();
        let first = read().await;
        assert_eq!(set(first.cas).await.unwrap(), Compared::Done);
        let second = read().await;
        assert_eq!((&*second.data, second.flags), (&b"mine"[..], 5));
        assert_eq!(set(first.cas).await.unwrap(), Compared::Changed);
        assert_eq!(memcached.delete_if(b"k", first.cas).await.unwrap(), Compared::Changed);
        assert_eq!(read().await, second);
        assert_eq!(memcached.delete_if(b"k", second.cas).await.unwrap(), Compared::Done);
        assert_eq!(memcached.delete_if(b"k", second.cas).await.unwrap(), Compared::Gone);
        assert!(!memcached.delete(b"k").await.unwrap());
        memcached.set(b"k", b"third", 0, Expiry::Never).await.unwrap();
        assert!(memcached.delete(b"k").await.unwrap());
        assert_eq!(memcached.get(b"k").await.unwrap(), None);
    });
}

#[test]
fn a_server_without_numbers_compares_nothing() {
    let Some(process) = Process::start_with("compare without numbers", &["-C"]) else { return };
    run(async {
        let memcached = client(&process.address());
        memcached.set(b"k", b"first", 0, Expiry::Never).await.unwrap();
        let cas = memcached.get(b"k").await.unwrap().unwrap().cas;
        assert_eq!(cas, 0);
        let error = memcached.compare_and_set(b"k", b"second", 0, Expiry::Never, cas).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        let error = memcached.delete_if(b"k", cas).await.unwrap_err();
        let expected = "expected numbers for compare and set, which a server that runs with -C does not give";
        assert_eq!(error.to_string(), format!("{}: {expected}", process.address()));
        assert_eq!(memcached.get(b"k").await.unwrap().unwrap().data, b"first");
    });
}

#[test]
fn values_expire_when_they_are_to() {
    let Some(process) = Process::start("expiry") else { return };
    run(async {
        let memcached = client(&process.address());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let day = 24 * 60 * 60;
        let set = |key: &'static str, expiry| memcached.set(key.as_bytes(), b"x", 0, expiry);
        for past in [0, 1, 5, 30 * day, 30 * day + 1, now - day, now - 10] {
            set("k", Expiry::Never).await.unwrap();
            set("k", Expiry::At(past)).await.unwrap();
            assert_eq!(memcached.get(b"k").await.unwrap(), None, "{past} is past");
        }
        set("soon", Expiry::At(now + 3)).await.unwrap();
        set("40", Expiry::At(now + 40 * day)).await.unwrap();
        set("far", Expiry::At(4_102_444_800)).await.unwrap();
        set("never", Expiry::Never).await.unwrap();
        let left = |key| process.says(&format!("mg {key} t")).strip_prefix("HD t").unwrap().parse::<i64>().unwrap();
        let days = i64::try_from(40 * day).unwrap();
        assert!((days - 60..=days + 1).contains(&left("40")), "{}", left("40"));
        assert!(left("far") > 300 * days / 40, "what is too far away stays until 2038: {}", left("far"));
        assert_eq!(left("never"), -1);
        wait_until("it expires", || (process.says("mg soon") == "EN").then_some(()));
        assert_eq!(memcached.get(b"soon").await.unwrap(), None);
        assert!(memcached.get(b"40").await.unwrap().is_some());
    });
}

#[test]
fn what_is_too_large_is_an_error_and_the_connection_goes_on() {
    let Some(process) = Process::start("large values") else { return };
    run(async {
        let memcached = client(&process.address());
        let set = async |data: Vec<u8>| memcached.set(b"k", &data, 0, Expiry::Never).await;
        set(vec![7; 1_048_000]).await.unwrap();
        let error = set(vec![7; 1024 * 1024 + 1]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert_eq!(memcached.get(b"k").await.unwrap().unwrap().data.len(), 1_048_000, "it was not even sent");
        let error = set(vec![7; 1024 * 1024]).await.unwrap_err();
        assert_eq!(error.to_string(), format!("{}: the value is too large for the server", process.address()));
        assert_eq!(memcached.get(b"k").await.unwrap(), None, "memcached has no old value where it has no new one");

        set(vec![7; 300_000]).await.unwrap();
        memcached.set(b"small", b"x", 0, Expiry::Never).await.unwrap();
        let modest = client_with(&process.address(), Settings { max_value_bytes: 1000, ..patient() });
        let tasks: Vec<_> = (0..200)
            .map(|number| {
                let modest = modest.clone();
                tokio::spawn(async move {
                    if number % 2 == 0 {
                        let error = modest.get(b"k").await.unwrap_err();
                        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
                    } else {
                        assert_eq!(modest.get(b"small").await.unwrap().unwrap().data, b"x");
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(process.connections(), 2, "one for each client");
    });
}

#[test]
fn a_server_without_memory_is_unavailable_for_what_is_new() {
    let Some(process) = Process::start_with("memory", &["-M", "-m", "2"]) else { return };
    run(async {
        let memcached = client(&process.address());
        let start = Instant::now();
        let mut number = 0;
        let error = loop {
            number += 1;
            match memcached.set(format!("k{number}").as_bytes(), &[7; 100_000], 0, Expiry::Never).await {
                Ok(()) => assert!(start.elapsed() < PATIENCE, "it has memory for {number}"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert_eq!(error.to_string(), format!("{}: the server has no memory for it", process.address()));
        assert!(memcached.get(b"k1").await.unwrap().is_some());
        assert_eq!(process.connections(), 1);
    });
}

#[test]
fn what_cannot_be_a_key_is_never_sent() {
    let Some(process) = Process::start("keys") else { return };
    run(async {
        let memcached = client(&process.address());
        for key in ["", "a b", "a\r\nflush_all", "\0", &"k".repeat(251)] {
            let key = key.as_bytes();
            for error in [
                memcached.get(key).await.unwrap_err(),
                memcached.set(key, b"", 0, Expiry::Never).await.unwrap_err(),
                memcached.delete(key).await.unwrap_err(),
            ] {
                assert_eq!(error.kind(), ErrorKind::InvalidKey, "{error}");
            }
        }
        assert_eq!(process.connections(), 0, "there was nothing to open one for");
        assert_eq!(memcached.get(b"k").await.unwrap(), None);
    });
}
