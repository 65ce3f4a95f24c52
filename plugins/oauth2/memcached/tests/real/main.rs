//! The client with real servers, and with such as misbehave.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that meets the unexpected fails")]

mod authentication;
mod concurrency;
mod distribution;
mod failures;
mod impostor;
mod operations;
mod process;
mod silence;

use std::{future::Future, time::Duration};

use token_oauth2_memcached::{Memcached, Settings};
use tokio::runtime::{Builder, Runtime};

/// Runs a test's futures, on threads as a host has them.
fn run<T>(test: impl Future<Output = T>) -> T {
    runtime().block_on(test)
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// A client with settings for tests: machines that are busy with other things are slow.
fn client(servers: &str) -> Memcached {
    client_with(servers, patient())
}

fn client_with(servers: &str, settings: Settings) -> Memcached {
    Memcached::new(servers.parse().unwrap(), settings)
}

fn patient() -> Settings {
    let patience = Duration::from_secs(30);
    Settings { connect_timeout: patience, request_timeout: patience, ..Settings::default() }
}
