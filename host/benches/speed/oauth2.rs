//! What a fetch from the stores of OAuth 2.0 costs, against the bare client on a server of the same kind; and what a token
//! takes in memory.

use std::{
    hint::black_box,
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use token_host::{Host, StaticPlugin};
use token_oauth2_core::Stores;
use token_oauth2_memcached::{Expiry, Memcached, Settings};
use token_plugin_api::{AccessToken, AccessTokenStore, HostHandle, runtime};

use crate::{
    sampler::{Effort, Series},
    table::{self, Target},
};

pub(crate) fn measure(effort: Effort) {
    table::section("oauth2: fetch_by_token, at the store; servers and the bench share all cores");
    memory(effort);
    match Server::start("memcached", &["-u", "nobody", "-U", "0", "-l", "127.0.0.1", "-p"]) {
        Some(server) => memcached(effort, &server),
        None => table::note("memcached: skipped, it is not installed"),
    }
    match Server::start("redis-server", &["--save", "", "--bind", "127.0.0.1", "--port"]) {
        Some(server) => redis(effort, &server),
        None => table::note("Redis: skipped, it is not installed"),
    }
}

/// A server on a port of its own, which ends with this.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(program: &str, arguments: &[&str]) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(program);
        command.args(arguments).arg(port.to_string()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().ok()?;
        while child.try_wait().unwrap().is_none() {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(Self { child, port });
            }
            thread::sleep(Duration::from_millis(5));
        }
        None
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The stores with these settings, and the host that their handle is from.
fn stores(settings: &Value) -> (Stores, Host) {
    let (taken, settings) = (Arc::new(Mutex::new(None)), settings.clone());
    let take = Arc::clone(&taken);
    let plugin = StaticPlugin::new("bench", move |hooks, _: token_plugin_api::NoConfig| {
        *take.lock().unwrap() = Some(hooks.host().clone());
        Ok(())
    });
    let host = Host::builder().plugin(plugin).build().unwrap();
    let handle: HostHandle = taken.lock().unwrap().take().unwrap();
    (Stores::new(&serde_json::from_value(settings).unwrap(), &handle).unwrap(), host)
}

fn token(number: u32) -> AccessToken {
    let mut token = AccessToken::new("a-client", "client_credentials", value(number));
    token.expires_at = Some(4_000_000_000);
    token.scopes = vec!["read".to_owned(), "write".to_owned()];
    token
}

fn value(number: u32) -> String {
    format!("tho_{number:043}")
}

fn memory(effort: Effort) {
    let count = effort.choose(1_000_000, 1_000);
    let (stores, _host) = stores(&json!({ "url": "memory:", "memory": { "max_items": count } }));
    let tokens = stores.access_tokens();
    let before = resident_bytes();
    for number in 0..count {
        pollster::block_on(tokens.save_token(&token(number))).unwrap();
    }
    let each =
        before.zip(resident_bytes()).map(|(before, after)| after.saturating_sub(before) as f64 / f64::from(count));
    let values: Vec<String> = (0..4_096).map(|place| value(place * 239 % count)).collect();
    let mut place = 0;
    let mut rounds = Vec::new();
    for _ in 0..effort.choose(600, 3) {
        let began = Instant::now();
        for _ in 0..300 {
            place = (place + 1) % values.len();
            black_box(pollster::block_on(tokens.fetch_by_token(black_box(&values[place])))).unwrap();
        }
        rounds.push(began.elapsed().as_secs_f64() * 1e9 / 300.0);
    }
    let series = Series::new(format!("memory, among {count} tokens"), rounds);
    table::line(&series, Target::Nanoseconds(300.0));
    if let Some(each) = each {
        table::note(&format!("{each:.0} bytes of memory a token [at most 600]"));
    }
}

/// What the process has in memory, where the system tells it.
fn resident_bytes() -> Option<u64> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(pages.split(' ').nth(1)?.parse::<u64>().ok()? * 4_096)
}

fn memcached(effort: Effort, server: &Server) {
    let address = format!("127.0.0.1:{}", server.port);
    let (stores, _host) = stores(&json!({ "url": format!("memcached://{address}") }));
    let client = Memcached::new(address.parse().unwrap(), Settings::default());
    compare(effort, "memcached", stores, move |value: Vec<u8>| {
        let client = client.clone();
        async move {
            match value.is_empty() {
                true => drop(client.get(b"bare").await.unwrap().unwrap()),
                false => client.set(b"bare", &value, 0, Expiry::Never).await.unwrap(),
            }
        }
    });
}

fn redis(effort: Effort, server: &Server) {
    let (stores, _host) = stores(&json!({ "url": format!("redis://127.0.0.1:{}", server.port) }));
    let client = redis::Client::open(format!("redis://127.0.0.1:{}", server.port)).unwrap();
    let connect = async move { client.get_multiplexed_async_connection().await.unwrap() };
    let connection = pollster::block_on(runtime::run(connect)).unwrap();
    compare(effort, "Redis", stores, move |value: Vec<u8>| {
        let mut connection = connection.clone();
        async move {
            match value.is_empty() {
                true => {
                    let read: Vec<u8> = redis::cmd("GET").arg("bare").query_async(&mut connection).await.unwrap();
                    black_box(read);
                }
                false => redis::cmd("SET").arg("bare").arg(value).query_async(&mut connection).await.unwrap(),
            }
        }
    });
}

/// Both on the plugin's runtime, in turns: with one in flight, and with 64. `bare` sets a value, or gets it where there is
/// none to set.
fn compare<F: Future<Output = ()> + Send + 'static>(
    effort: Effort,
    name: &str,
    stores: Stores,
    bare: impl Fn(Vec<u8>) -> F + Clone + Send + Sync + 'static,
) {
    let tokens = Arc::new(stores.access_tokens());
    pollster::block_on(tokens.save_token(&token(0))).unwrap();
    pollster::block_on(runtime::run(bare(vec![b'x'; 150]))).unwrap();
    let asked: Arc<str> = value(0).into();
    let fetch = move |_: Vec<u8>| {
        let (tokens, asked) = (Arc::clone(&tokens), Arc::clone(&asked));
        async move {
            black_box(tokens.fetch_by_token(&asked).await.unwrap());
        }
    };
    for in_flight in [1, 64] {
        let (mut bare_took, mut took) = (Vec::new(), Vec::new());
        for round in 0..effort.choose(60, 2) {
            let calls = effort.choose(2_000, 20);
            // Who comes first takes turns, too.
            for turn in 0..2 {
                match (round + turn) % 2 {
                    0 => bare_took.push(nanoseconds(in_flight, calls, bare.clone())),
                    _ => took.push(nanoseconds(in_flight, calls, fetch.clone())),
                }
            }
        }
        let what = format!("{in_flight} in flight");
        let bare = Series::new(format!("{name}, a bare get, {what}"), bare_took);
        let series = Series::new(format!("{name}, {what}"), took);
        table::line(&bare, Target::None);
        // 0.8 of the throughput is 1.25 of the time a call.
        let target = if in_flight == 1 { Target::Ratio(1.2) } else { Target::Ratio(1.25) };
        table::compared(&series, &[("the bare get", &bare, target)]);
    }
}

/// Nanoseconds a call, of so many in flight.
fn nanoseconds<F: Future<Output = ()> + Send + 'static>(
    in_flight: usize,
    calls: usize,
    call: impl Fn(Vec<u8>) -> F + Clone + Send + 'static,
) -> f64 {
    let began = Instant::now();
    let lanes = (0..in_flight).map(|_| {
        let call = call.clone();
        let lane = async move {
            for _ in 0..calls / in_flight.min(calls) {
                call(Vec::new()).await;
            }
        };
        runtime::spawn(lane).unwrap()
    });
    let lanes: Vec<_> = lanes.collect();
    for lane in lanes {
        pollster::block_on(lane).unwrap();
    }
    began.elapsed().as_secs_f64() * 1e9 / (calls / in_flight.min(calls) * in_flight) as f64
}
