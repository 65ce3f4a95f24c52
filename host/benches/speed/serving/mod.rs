//! What a request costs over HTTP: `token-host serve` against the same stack with a fixed answer, against nginx, and
//! against what people would put in its place.
//!
//! Load comes from `wrk` on one core, each server is alone on another one. All of them take turns.

mod others;
mod process;
mod service;
mod wrk;

use std::{env, net::TcpStream, process::Command, thread, time::Duration};

use crate::{
    sampler::{Effort, Series, percentile},
    table::{self, Target},
};
use others::{Fixed, others};
use process::resident_bytes;
use service::TokenHost;
use wrk::{Contestant, Load};

/// Makes this very program a server: what the fixed answer of the same stack comes from.
pub(crate) const FIXED_SERVER: &str = "--fixed-server";

/// Connections that `wrk` keeps.
const CONNECTIONS: usize = 32;

pub(crate) fn measure(effort: Effort) {
    table::section("http: time a request, by wrk on one core with 32 connections, the server on another one");
    if !can_load() {
        return;
    }
    let host = TokenHost::start();
    let fixed = Fixed::start();
    let mut contestants = vec![host.signed(), host.jwt(), fixed.contestant(), fixed.with_headers()];
    let others = others(effort);
    contestants.extend(others.iter().map(|other| other.contestant()));
    let (rounds, seconds) = effort.choose((9, 3), (1, 1));
    let loads = wrk::take_turns(&contestants, rounds, seconds, CONNECTIONS);
    report(&contestants, &loads);
    drop(others);
    held(effort, &host, &fixed);
    drop((host, fixed));
    starts(effort);
}

/// Whether there is what makes load.
fn can_load() -> bool {
    let missing =
        ["wrk", "taskset"].into_iter().find(|program| Command::new(program).arg("--version").output().is_err());
    if let Some(program) = missing {
        table::note(&format!("skipped: {program} is not installed"));
    }
    missing.is_none()
}

fn report(contestants: &[Contestant], loads: &[Vec<Load>]) {
    let series = |of: &dyn Fn(&Load) -> f64, what: &str| -> Vec<Series> {
        let of_one = |(contestant, loads): (&Contestant, &Vec<Load>)| {
            Series::new(format!("{}{what}", contestant.name), loads.iter().map(of).collect())
        };
        contestants.iter().zip(loads).map(of_one).collect()
    };
    let times = series(&|load| 1e9 / load.requests_a_second, "");
    let tails = series(&|load| load.p99_ns, ", p99");
    let place = |name: &str| contestants.iter().position(|contestant| contestant.name == name);
    let (fixed, nginx, headers) = (place(Fixed::NAME), place(others::NGINX), place(Fixed::WITH_HEADERS));
    for (place, one) in times.iter().enumerate() {
        let mut with = Vec::new();
        if place < TokenHost::CONTESTANTS {
            // 0.85x and 0.8x of the throughput.
            with.extend(fixed.map(|fixed| ("the same stack, fixed", &times[fixed], Target::Ratio(1.0 / 0.85))));
            with.extend(headers.map(|headers| ("the same stack, fixed headers", &times[headers], Target::None)));
            with.extend(nginx.map(|nginx| ("nginx, fixed", &times[nginx], Target::Ratio(1.0 / 0.8))));
        } else {
            with.push(("this with a signed token", &times[0], Target::None));
        }
        table::compared(one, &with);
        table::note(&format!("    {:>9.0} requests a second", 1e9 / one.median()));
    }
    for (place, one) in tails.iter().enumerate() {
        match fixed.filter(|_| place < TokenHost::CONTESTANTS) {
            Some(fixed) => table::compared(one, &[("the same stack, fixed", &tails[fixed], Target::Ratio(1.3))]),
            None => table::line(one, Target::None),
        }
    }
}

/// What open connections take, each of which has had an answer.
fn held(effort: Effort, host: &TokenHost, fixed: &Fixed) {
    let count = effort.choose(10_000, 100);
    let measured = |id, open: &dyn Fn(usize) -> Vec<TcpStream>| {
        let before = resident_bytes(id);
        let connections = open(count);
        let bytes = resident_bytes(id);
        drop(connections);
        (bytes, (bytes - before) / 1024.0 / count as f64)
    };
    let (bytes, each) = measured(host.id(), &|count| host.connections(count));
    let (plain_bytes, plain_each) = measured(fixed.id(), &|count| fixed.connections(count));
    table::note(&format!(
        "{count} connections held: {:.0} MB in all, {each:.1} KiB each [at most 150 MB: {}]; by axum and hyper alone {:.0} MB, \
         {plain_each:.1} KiB each",
        bytes / 1e6,
        if bytes <= 150e6 { "met" } else { "MISSED" },
        plain_bytes / 1e6,
    ));
}

/// Whether memory grows under load that goes on: for as many minutes as `TOKEN_HOST_SOAK_MINUTES` says.
pub(crate) fn soak(effort: Effort) {
    table::section("soak: memory under load that goes on");
    if !can_load() {
        return;
    }
    let host = TokenHost::start();
    let minutes: f64 = env::var("TOKEN_HOST_SOAK_MINUTES").ok().and_then(|text| text.parse().ok()).unwrap_or(0.5);
    let slices = effort.choose(30, 2);
    let seconds = effort.choose((minutes * 60.0 / f64::from(slices)).max(1.0) as u64, 1);
    let mut sizes = Vec::new();
    for slice in 0..slices {
        let contestant = if slice % 2 == 0 { host.signed() } else { host.jwt() };
        wrk::load(&contestant, seconds, CONNECTIONS);
        sizes.push(resident_bytes(host.id()));
    }
    let half = sizes.len() / 2;
    let (early, late) = (percentile(sizes[..half].iter().copied(), 50), percentile(sizes[half..].iter().copied(), 50));
    table::note(&format!(
        "{} s of load: {:.1} MB in the first half, {:.1} MB in the second [no growth: {}]",
        u64::from(slices as u32) * seconds,
        early / 1e6,
        late / 1e6,
        if late <= early * 1.02 { "met" } else { "MISSED" },
    ));
}

/// From the start of the process to its first answer, with all plugins that come with the host.
fn starts(effort: Effort) {
    let mut rounds = Vec::new();
    for _ in 0..effort.choose(21, 2) {
        rounds.push(TokenHost::time_to_first_answer().as_secs_f64() * 1e9);
        thread::sleep(Duration::from_millis(5));
    }
    // The first one tried the plugins.
    rounds.remove(0);
    let series = Series::new("start to the first answer, five plugins", rounds);
    table::line(&series, Target::Nanoseconds(150e6));
}

/// What `/auth` answers, made up: as many headers, as long.
async fn identity() -> axum::response::Response {
    let mut response = axum::response::Response::new(axum::body::Body::empty());
    let headers = response.headers_mut();
    headers.reserve(8);
    let actor = "eyJpZCI6".repeat(30);
    for (name, value) in [
        ("x-auth-actor-id", "ann"),
        ("x-auth-handler", "jwt"),
        ("x-auth-token-kind", "access"),
        ("x-auth-expires", "1700000000"),
        ("x-auth-scopes", ""),
        ("x-auth-actor", &actor),
        ("cache-control", "no-store"),
    ] {
        headers.insert(name, value.parse().unwrap());
    }
    response
}

/// Answers 204 to everything, as plainly as axum does it.
pub(crate) fn serve_fixed() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let router = axum::Router::new()
            .route("/auth", axum::routing::any(async || ::http::StatusCode::NO_CONTENT))
            .route("/identity", axum::routing::any(identity));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("listening on http://{}", listener.local_addr().unwrap());
        axum::serve(listener, router).await.unwrap();
    });
}
