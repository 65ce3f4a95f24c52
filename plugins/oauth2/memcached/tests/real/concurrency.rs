//! Many requests at once, many of which are given up: each answer belongs to its request.

use std::{num::NonZeroU32, time::Duration};

use token_oauth2_memcached::{Compared, Expiry, Memcached, Settings};
use tokio::time::timeout;

use crate::{client_with, patient, process::Process, run};

#[test]
fn each_of_ten_thousand_gets_its_own_answer() {
    let Some(process) = Process::start_with("concurrency", &["-m", "512"]) else { return };
    let seed = fastrand::u64(..);
    for max_in_flight in [1024, 7] {
        println!("seed {seed}, {max_in_flight} in flight");
        run(async {
            let max_in_flight = NonZeroU32::new(max_in_flight).unwrap();
            let seed = seed ^ u64::from(max_in_flight.get());
            let memcached = client_with(&process.address(), Settings { max_in_flight, ..patient() });
            let tasks: Vec<_> = (0..10_000)
                .map(|task| {
                    let (memcached, random) = (memcached.clone(), fastrand::Rng::with_seed(seed.wrapping_add(task)));
                    tokio::spawn(come_and_go(memcached, random, task))
                })
                .collect();
            let mut given_up = 0;
            for task in tasks {
                given_up += task.await.unwrap();
            }
            println!("{given_up} of 40000 requests were given up");
            assert!((100..39_000).contains(&given_up), "{given_up}");
        });
    }
    assert_eq!(process.connections(), 2, "one for each client");
}

/// Writes and reads a key of its own, and gives up some of it. How much it gave up.
async fn come_and_go(memcached: Memcached, mut random: fastrand::Rng, task: u64) -> usize {
    let key = format!("key-{task}-{}", random.u32(..));
    let value = |random: &mut fastrand::Rng| {
        let length = if random.u8(..) == 0 { random.usize(..100_000) } else { random.usize(..300) };
        let mut value = format!("{key}:{}:", random.u64(..)).into_bytes();
        value.resize(value.len() + length, b'x');
        value
    };
    let mut given_up = 0;
    // What it may have: each that was begun and not seen to end, and the last that did.
    let mut possible: Vec<Option<Vec<u8>>> = vec![None];
    for _ in 0..4 {
        let patience =
            if random.bool() { Duration::from_micros(random.u64(..20_000)) } else { Duration::from_secs(60) };
        match random.u8(..3) {
            0 => {
                let new = value(&mut random);
                possible.push(Some(new.clone()));
                match timeout(patience, memcached.set(key.as_bytes(), &new, 0, Expiry::Never)).await {
                    Ok(done) => {
                        done.unwrap();
                        // Requests are served in their order: what came before is over.
                        possible = vec![Some(new)];
                    }
                    Err(_) => given_up += 1,
                }
            }
            1 => match timeout(patience, memcached.delete(key.as_bytes())).await {
                Ok(done) => {
                    done.unwrap();
                    possible = vec![None];
                }
                Err(_) => {
                    possible.push(None);
                    given_up += 1;
                }
            },
            _ => match timeout(patience, memcached.get(key.as_bytes())).await {
                Ok(answer) => {
                    let data = answer.unwrap().map(|value| value.data);
                    assert!(possible.contains(&data), "task {task} got what it has never written");
                }
                Err(_) => given_up += 1,
            },
        }
    }
    given_up
}

#[test]
fn of_many_that_count_none_is_lost() {
    let Some(process) = Process::start("counting") else { return };
    run(async {
        let memcached = client_with(&process.address(), patient());
        memcached.set(b"count", b"0", 0, Expiry::Never).await.unwrap();
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let memcached = memcached.clone();
                tokio::spawn(async move {
                    for _ in 0..20 {
                        while increment(&memcached).await == Compared::Changed {}
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(memcached.get(b"count").await.unwrap().unwrap().data, b"400");
    });
}

async fn increment(memcached: &Memcached) -> Compared {
    let value = memcached.get(b"count").await.unwrap().unwrap();
    let count: u32 = std::str::from_utf8(&value.data).unwrap().parse().unwrap();
    let next = (count + 1).to_string();
    memcached.compare_and_set(b"count", next.as_bytes(), 0, Expiry::Never, value.cas).await.unwrap()
}
