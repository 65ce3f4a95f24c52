//! Keys land on the server that is computed for them.

use token_oauth2_memcached::{Distribution, Expiry, Settings};

use crate::{client, client_with, patient, process::Process, run};

#[test]
fn a_key_is_on_its_server_and_on_no_other() {
    let processes: Option<Vec<_>> = (0..3).map(|_| Process::start("three servers")).collect();
    let Some(processes) = processes else { return };
    let addresses: Vec<_> = processes.iter().map(Process::address).collect();
    run(async {
        let singles: Vec<_> = addresses.iter().map(|address| client(address)).collect();
        for distribution in [Distribution::Ketama, Distribution::KetamaMd5, Distribution::KetamaWeighted] {
            let all = client_with(&addresses.join(","), Settings { distribution, ..patient() });
            let mut counts = [0; 3];
            for number in 0..200 {
                let key = format!("{distribution:?}:{number}");
                let key = key.as_bytes();
                all.set(key, key, 0, Expiry::Never).await.unwrap();
                let expected = all.server_of(key).to_string();
                for (place, single) in singles.iter().enumerate() {
                    let value = single.get(key).await.unwrap();
                    assert_eq!(value.is_some(), addresses[place] == expected);
                    counts[place] += usize::from(value.is_some());
                }
                assert_eq!(all.get(key).await.unwrap().unwrap().data, key);
            }
            assert!(counts.iter().all(|count| *count > 20), "{distribution:?} gives all something to do: {counts:?}");
        }
    });
}

#[test]
fn a_server_that_is_down_takes_its_own_keys_with_it_and_no_others() {
    let Some(process) = Process::start("one of two servers") else { return };
    let down = "127.0.0.1:1";
    run(async {
        let memcached = client(&format!("{},{down}", process.address()));
        for number in 0..50 {
            let key = format!("k{number}");
            let is_down = memcached.server_of(key.as_bytes()).to_string() == down;
            match memcached.get(key.as_bytes()).await {
                Ok(value) => assert!(value.is_none() && !is_down),
                Err(error) => assert!(is_down && error.server().unwrap().to_string() == down, "{error}"),
            }
        }
    });
}
