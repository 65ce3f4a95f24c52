//! The backend on real servers, and what happens to them.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use token_host_tests::{Redis as Server, RedisAnswer, RedisCluster, RedisOptions, skipped, wait_until};
use token_plugin_api::Secret;

use super::*;
use crate::items::{CodeRecord, FamilyRecord, Kind};

const PASSWORD: &str = "hunter2/@:";
const TIMEOUT: Duration = Duration::from_millis(500);
/// What a machine may be late with an answer.
const LATE: Duration = Duration::from_millis(400);
/// A time that no clock has: what is over depends on what is told.
const NOW: u64 = 1_000;

fn open_with(url: &str, tls_root: Option<PathBuf>) -> Redis {
    let url = url.replace(PASSWORD, "hunter2%2F%40%3A");
    Redis::new(&Settings { url: Secret::new(url), prefix: "oauth2".to_owned(), timeout: TIMEOUT, tls_root }).unwrap()
}

fn open(url: &str) -> Redis {
    open_with(url, None)
}

fn wait<T>(answer: Answer<'_, T>) -> T {
    pollster::block_on(answer).unwrap()
}

/// Why it could not be done: for which there is a deadline.
fn refusal<T>(answer: Answer<'_, T>) -> String {
    let start = Instant::now();
    let error = pollster::block_on(answer).err().expect("it is an error").to_string();
    assert!(start.elapsed() < TIMEOUT + LATE, "{error}: it came after {:?}", start.elapsed());
    error
}

fn key(name: &str) -> Key {
    Key::new(Kind::Code, [name])
}

/// An item with any characters.
fn code(name: &str) -> Stored {
    Stored::Code(Box::new(CodeRecord {
        client_id: name.into(),
        expires_at: 7,
        redirect_uri: "a\0\r\n$3 ä€\u{1F600}\"".to_owned(),
        scopes: [String::new()].into(),
        data: [("deep".to_owned(), json!({ "a": [1, null, "\u{7f}"] }))].into_iter().collect(),
        user_id: None,
        family_id: name.to_owned(),
        consumed: false,
    }))
}

fn stored(item: Option<Item>) -> Option<Stored> {
    item.map(|item| Stored::clone(&item.stored))
}

/// Everything that a backend promises.
fn keeps_the_contract(items: &dyn Items) {
    let read = |name, now| stored(wait(items.get(key(name), now)));
    assert!(items.get_at_once(&key("a"), NOW).is_none());
    assert_eq!(read("a", NOW), None);
    wait(items.put(key("a"), code("a"), Some(NOW + 1), NOW));
    assert_eq!((read("a", NOW), read("a", NOW + 1)), (Some(code("a")), None), "to the second");
    wait(items.put(key("a"), code("b"), None, NOW));
    assert_eq!(read("a", u64::MAX), Some(code("b")), "it never expires");

    assert!(!wait(items.add(key("a"), code("c"), None, NOW)));
    assert!(wait(items.add(key("d"), code("d"), Some(NOW + 5), NOW)));
    assert!(!wait(items.add(key("d"), code("e"), Some(NOW + 9), NOW + 4)), "it is there for one second more");
    assert!(wait(items.add(key("d"), code("f"), Some(NOW + 9), NOW + 5)), "what has expired is not there");
    assert_eq!(read("d", NOW + 8), Some(code("f")));

    let item = wait(items.get(key("d"), NOW)).unwrap();
    assert!(wait(items.swap(key("d"), item.proof.clone(), Next::Is(code("g"), Some(NOW + 3)), NOW)));
    assert_eq!((read("d", NOW + 2), read("d", NOW + 3)), (Some(code("g")), None));
    assert!(!wait(items.swap(key("d"), item.proof.clone(), Next::Is(code("h"), None), NOW)), "it is another one");
    assert!(!wait(items.swap(key("nothing"), item.proof, Next::Is(code("h"), None), NOW)));
    let item = wait(items.get(key("d"), NOW)).unwrap();
    assert!(!wait(items.swap(key("d"), item.proof.clone(), Next::Nothing, NOW + 3)), "it has expired");
    assert!(wait(items.swap(key("d"), item.proof.clone(), Next::Is(code("g"), None), NOW)));
    assert!(!wait(items.swap(key("d"), item.proof, Next::Nothing, NOW)), "another expiry is another item");
    let item = wait(items.get(key("d"), NOW)).unwrap();
    assert!(wait(items.swap(key("d"), item.proof.clone(), Next::Nothing, NOW)));
    assert!(!wait(items.swap(key("d"), item.proof, Next::Nothing, NOW)));
    assert_eq!(read("d", NOW), None);

    assert!(wait(items.remove(key("a"), NOW)) && !wait(items.remove(key("a"), NOW)));
    wait(items.put(key("a"), code("a"), Some(NOW), NOW));
    assert!(!wait(items.remove(key("a"), NOW)), "it has expired");

    let set = Key::new(Kind::TokensOfUser, ["u"]);
    let members = |now| {
        let mut members: Vec<String> = wait(items.members(set, now)).into_iter().map(Key::to_text).collect();
        members.sort();
        members
    };
    let texts = |names: &[&str]| {
        let mut texts: Vec<String> = names.iter().map(|name| key(name).to_text()).collect();
        texts.sort();
        texts
    };
    assert_eq!(members(NOW), [""; 0]);
    wait(items.forget(set, vec![key("a")], NOW));
    for (member, expires_at) in [("a", Some(NOW + 1)), ("b", None), ("c", Some(NOW + 2)), ("a", Some(NOW + 2))] {
        wait(items.note(set, key(member), expires_at, NOW));
    }
    assert_eq!((members(NOW + 1), members(NOW + 2)), (texts(&["a", "b", "c"]), texts(&["b"])));
    wait(items.forget(set, Vec::new(), NOW));
    wait(items.forget(set, vec![key("a"), key("b"), key("never")], NOW));
    assert_eq!(members(NOW), texts(&["c"]));
    wait(items.forget(set, vec![key("c")], NOW));
    assert_eq!(members(NOW), [""; 0]);

    of_many_swaps_one_is_done(items);
}

/// Eight callers swap each of a thousand items.
fn of_many_swaps_one_is_done(items: &dyn Items) {
    const CALLERS: usize = 8;
    const ITEMS: usize = 1_000;
    let name = |place: usize| format!("item {place}");
    for place in 0..ITEMS {
        wait(items.put(key(&name(place)), code("before"), None, NOW));
    }
    let wins: Vec<AtomicUsize> = (0..ITEMS).map(|_| AtomicUsize::new(0)).collect();
    thread::scope(|scope| {
        for caller in 0..CALLERS {
            let wins = &wins;
            scope.spawn(move || {
                for (place, wins) in wins.iter().enumerate() {
                    let Some(item) = wait(items.get(key(&name(place)), NOW)) else { continue };
                    if Stored::clone(&item.stored) != code("before") {
                        continue;
                    }
                    // Half of them leave nothing, half of the same.
                    let next = if caller % 2 == 0 { Next::Nothing } else { Next::Is(code("after"), None) };
                    if wait(items.swap(key(&name(place)), item.proof, next, NOW)) {
                        wins.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert!(wins.iter().all(|wins| wins.load(Ordering::Relaxed) == 1));
}

fn number(answer: RedisAnswer) -> i64 {
    match answer {
        RedisAnswer::Number(number) => number,
        other => panic!("expected a number: {other:?}"),
    }
}

#[test]
fn redis_keeps_the_contract() {
    let Some(server) = skipped("redis_keeps_the_contract", Server::start()) else { return };
    let items = open(&server.url());
    keeps_the_contract(&items);
    assert_eq!(items.name(), format!("redis://127.0.0.1:{}/0", server.port()));
    server.ask(["SCRIPT", "FLUSH"]);
    of_many_swaps_one_is_done(&items);
}

#[test]
fn redis_cluster_keeps_the_contract_and_loses_a_master_with_its_keys() {
    let test = "redis_cluster_keeps_the_contract_and_loses_a_master_with_its_keys";
    let Some(cluster) = skipped(test, RedisCluster::start()) else { return };
    let items = open(&cluster.url());
    keeps_the_contract(&items);
    let names: Vec<String> = (0..30).map(|place| format!("k{place}")).collect();
    for name in &names {
        wait(items.put(key(name), code(name), None, NOW));
    }
    let place = |name: &String| cluster.place_of(&format!("oauth2:{}", key(name).to_text()));
    let places: BTreeMap<&String, usize> = names.iter().map(|name| (name, place(name))).collect();
    assert!((0..3).all(|node| places.values().any(|place| *place == node)));
    cluster.nodes[1].kill();
    for round in 0..3 {
        for (name, place) in &places {
            match place {
                1 => {
                    refusal(items.get(key(name), NOW));
                    refusal(items.put(key(name), code("x"), None, NOW));
                }
                _ => {
                    assert_eq!(stored(wait(items.get(key(name), NOW))), Some(code(name)), "round {round}");
                    let item = wait(items.get(key(name), NOW)).unwrap();
                    assert!(wait(items.swap(key(name), item.proof, Next::Is(code(name), None), NOW)));
                }
            }
        }
    }
    cluster.nodes[1].restart();
    for name in names.iter().filter(|name| places[name] == 1) {
        wait_until("its keys can be written again", || {
            pollster::block_on(items.put(key(name), code(name), None, NOW)).ok()
        });
        assert_eq!(stored(wait(items.get(key(name), NOW))), Some(code(name)));
    }
    cluster.nodes.iter().for_each(Server::kill);
    refusal(items.get(key("k0"), NOW));
    cluster.nodes.iter().for_each(Server::restart);
    for name in &names {
        wait_until("the whole cluster is used again", || pollster::block_on(items.get(key(name), NOW)).ok());
    }
}

#[test]
fn a_server_that_only_reads_is_left_for_the_one_that_took_over() {
    let test = "a_server_that_only_reads_is_left_for_the_one_that_took_over";
    let Some(server) = skipped(test, Server::start()) else { return };
    let items = open(&server.url());
    wait(items.put(key("a"), code("a"), None, NOW));
    let clients = || server.ask(["CLIENT", "LIST", "TYPE", "NORMAL"]).text();
    let ours = |clients: String| clients.lines().next().and_then(|line| line.split(' ').next().map(str::to_owned));
    let before = ours(clients());
    server.ask(["REPLICAOF", "127.0.0.1", "1"]);
    let error = refusal(items.put(key("a"), code("b"), None, NOW));
    assert_eq!(error, format!("{}: the server says READONLY", items.name()));
    server.ask(["REPLICAOF", "NO", "ONE"]);
    wait(items.put(key("a"), code("b"), None, NOW));
    assert_ne!(ours(clients()), before, "over a connection of its own");
}

#[test]
fn keys_that_move_from_one_node_of_a_cluster_to_another_stay() {
    let test = "keys_that_move_from_one_node_of_a_cluster_to_another_stay";
    let Some(cluster) = skipped(test, RedisCluster::start()) else { return };
    let items = open(&cluster.url());
    wait(items.put(key("a"), code("a"), None, NOW));
    let place = format!("oauth2:{}", key("a").to_text());
    let (from, to) = (&cluster.nodes[cluster.place_of(&place)], &cluster.nodes[(cluster.place_of(&place) + 1) % 3]);
    let slot = number(from.ask(["CLUSTER", "KEYSLOT", &place])).to_string();
    let [from_id, to_id] = [from, to].map(|node| node.ask(["CLUSTER", "MYID"]).text());
    to.ask(["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id]);
    from.ask(["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id]);
    assert_eq!(stored(wait(items.get(key("a"), NOW))), Some(code("a")), "it is where it was");
    from.ask(["MIGRATE", "127.0.0.1", &to.port().to_string(), &place, "0", "5000"]);
    let item = wait(items.get(key("a"), NOW)).expect("it is where it will be");
    assert!(wait(items.swap(key("a"), item.proof.clone(), Next::Is(code("b"), None), NOW)));
    assert!(!wait(items.swap(key("a"), item.proof, Next::Is(code("c"), None), NOW)));
    for node in &cluster.nodes {
        node.ask(["CLUSTER", "SETSLOT", &slot, "NODE", &to_id]);
    }
    assert_eq!(stored(wait(items.get(key("a"), NOW))), Some(code("b")));
    assert!(wait(items.remove(key("a"), NOW)));
}

#[test]
fn redis_forgets_what_has_expired_soon_after() {
    let Some(server) = skipped("redis_forgets_what_has_expired_soon_after", Server::start()) else { return };
    let items = open(&server.url());
    let ttl = |key: Key| number(server.ask(["TTL", &format!("oauth2:{}", key.to_text())]));
    let is_about = |ttl: i64, expected: u64| ttl <= expected as i64 && ttl > expected as i64 - 5;
    let (item, set) = (key("a"), Key::new(Kind::TokensOfUser, ["u"]));
    wait(items.put(item, code("a"), Some(NOW + 60), NOW));
    assert!(is_about(ttl(item), 60 + GRACE_SECONDS));
    wait(items.put(item, code("a"), Some(NOW), NOW + 60));
    assert!(is_about(ttl(item), GRACE_SECONDS), "it was over when it was written");
    let proof = || wait(items.get(item, NOW - 1)).unwrap().proof;
    for (expires_at, expected) in
        [(Some(NOW + 90), Some(90 + GRACE_SECONDS)), (None, None), (Some(u64::MAX), Some(10_000_000_010))]
    {
        assert!(wait(items.swap(item, proof(), Next::Is(code("b"), expires_at), NOW - 1)));
        match expected {
            Some(expected) => assert!(is_about(ttl(item), expected + 1), "{expires_at:?}: {}", ttl(item)),
            None => assert_eq!(ttl(item), -1),
        }
    }
    assert!(wait(items.remove(item, NOW)) && wait(items.add(item, code("a"), Some(NOW + 60), NOW)));
    assert!(is_about(ttl(item), 60 + GRACE_SECONDS));

    wait(items.note(set, key("a"), Some(NOW + 60), NOW));
    wait(items.note(set, key("b"), Some(NOW + 30), NOW));
    assert!(is_about(ttl(set), 60 + GRACE_SECONDS), "with the last of them");
    wait(items.note(set, key("c"), None, NOW));
    assert_eq!(ttl(set), -1);
    wait(items.forget(set, vec![key("c")], NOW));
    wait(items.note(set, key("d"), Some(NOW + 500), NOW + 100));
    let place = format!("oauth2:{}", set.to_text());
    assert_eq!(number(server.ask(["ZCARD", &place])), 1, "what has expired is taken out");
    assert!(is_about(ttl(set), 400 + GRACE_SECONDS));
    wait(items.note(set, key("e"), Some(u64::MAX), NOW));
    assert!(ttl(set) > 1_000_000_000);
}

#[test]
fn what_is_evicted_is_not_there() {
    let Some(server) = skipped("what_is_evicted_is_not_there", Server::start()) else { return };
    let items = open(&server.url());
    wait(items.put(key("a"), code("a"), None, NOW));
    let set = Key::new(Kind::TokensOfUser, ["u"]);
    wait(items.note(set, key("a"), None, NOW));
    let item = wait(items.get(key("a"), NOW)).unwrap();
    server.ask(["FLUSHALL"]);
    assert_eq!(stored(wait(items.get(key("a"), NOW))), None);
    assert!(!wait(items.swap(key("a"), item.proof, Next::Nothing, NOW)));
    assert!(!wait(items.remove(key("a"), NOW)));
    assert_eq!(wait(items.members(set, NOW)).len(), 0);
    wait(items.forget(set, vec![key("a")], NOW));
}

#[test]
fn what_another_program_wrote_is_an_error_without_it() {
    let test = "what_another_program_wrote_is_an_error_without_it";
    let Some(server) = skipped(test, Server::start()) else { return };
    let items = open(&server.url());
    let place = format!("oauth2:{}", key("a").to_text());
    for value in ["hunter2", "7 hunter2", "x {}", "{\"v\":1}", "7", "", "18446744073709551616 {}"] {
        server.ask(["SET", &place, value]);
        let error = refusal(items.get(key("a"), 1));
        assert!(!error.contains("hunter2"), "{error}");
        assert!(!wait(items.remove(key("a"), 7)) || value.starts_with('{'));
    }
    server.ask(["LPUSH", &place, "hunter2"]);
    assert_eq!(refusal(items.get(key("a"), 1)), format!("{}: the server says WRONGTYPE", items.name()));
}

#[test]
fn nothing_is_opened_before_the_first_call_and_all_share_one_connection() {
    let test = "nothing_is_opened_before_the_first_call";
    let Some(server) = skipped(test, Server::start()) else { return };
    let clients = || server.ask(["CLIENT", "LIST"]).text().lines().filter(|line| line.contains("lib-name")).count();
    let connections = || clients().max(server.ask(["CLIENT", "LIST"]).text().lines().count() - 1);
    let items = open(&server.url());
    assert_eq!(connections(), 0);
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| (0..50).for_each(|_| assert!(wait(items.get(key("a"), NOW)).is_none())));
        }
    });
    assert_eq!(connections(), 1);
    drop(items);
    wait_until("the connection is closed", || (connections() == 0).then_some(()));
}

#[test]
fn a_server_that_comes_back_is_used_again() {
    let Some(server) = skipped("a_server_that_comes_back_is_used_again", Server::start()) else { return };
    let items = open(&server.url());
    for round in 0..3 {
        wait(items.put(key("a"), code("a"), None, NOW));
        server.kill();
        let name = items.name();
        for _ in 0..5 {
            let error = refusal(items.get(key("a"), NOW));
            assert!(error.starts_with(&format!("{name}: ")), "{error}");
            refusal(items.put(key("a"), code("a"), None, NOW));
            refusal(items.note(key("s"), key("a"), None, NOW));
        }
        server.restart();
        // A write, which is sent once.
        match round {
            0 => wait(items.put(key("a"), code("b"), None, NOW)),
            1 => assert!(wait(items.add(key("a"), code("b"), None, NOW))),
            _ => assert_eq!(stored(wait(items.get(key("a"), NOW))), None),
        }
    }
    wait(items.put(key("a"), code("a"), None, NOW));
    server.restart();
    assert_eq!(stored(wait(items.get(key("a"), NOW))), None, "a read does not notice");
}

#[test]
fn a_server_that_hangs_is_an_error_in_time() {
    let Some(server) = skipped("a_server_that_hangs_is_an_error_in_time", Server::start()) else { return };
    let (items, fresh) = (open(&server.url()), open(&server.url()));
    wait(items.put(key("a"), code("a"), None, NOW));
    server.pause();
    let late = format!("{}: it did not answer within 500 ms", items.name());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(refusal(items.get(key("a"), NOW)), late));
        }
        scope.spawn(|| assert_eq!(refusal(items.put(key("b"), code("b"), None, NOW)), late));
        scope.spawn(|| refusal(fresh.get(key("a"), NOW)));
    });
    server.resume();
    wait_until("it answers again", || pollster::block_on(items.get(key("a"), NOW)).ok());
    assert_eq!(stored(wait(items.get(key("a"), NOW))), Some(code("a")), "each answer is that of its question");
    wait_until("it answers again", || pollster::block_on(fresh.get(key("a"), NOW)).ok());
}

#[test]
fn an_answer_that_nobody_waits_for_disturbs_no_other() {
    let test = "an_answer_that_nobody_waits_for_disturbs_no_other";
    let Some(server) = skipped(test, Server::start()) else { return };
    let items = open(&server.url());
    for name in ["a", "b"] {
        wait(items.put(key(name), code(name), None, NOW));
    }
    for _ in 0..200 {
        let mut dropped = items.get(key("a"), NOW);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let _ = dropped.as_mut().poll(&mut context);
        drop(dropped);
        assert_eq!(stored(wait(items.get(key("b"), NOW))), Some(code("b")));
    }
    let items = open(&server.url());
    // The opening goes on without who began it.
    let _ = items.get(key("a"), NOW).as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
    assert!(wait(items.get(key("a"), NOW)).is_some());
}

#[test]
fn passwords_are_told_and_never_shown() {
    let options = RedisOptions { password: Some(PASSWORD), ..Default::default() };
    let Some(server) = skipped("passwords_are_told_and_never_shown", Server::start_with(options)) else { return };
    keeps_the_contract(&open(&server.url()));
    for (url, expected) in [
        (server.url().replace(PASSWORD, "hunter3"), "the server says WRONGPASS"),
        (server.url().replace(&format!(":{PASSWORD}"), "root:hunter3"), "the server says WRONGPASS"),
        (server.url().replace(&format!(":{PASSWORD}@"), ""), "the server says NOAUTH"),
    ] {
        let items = open(&url);
        for _ in 0..2 {
            assert_eq!(refusal(items.get(key("a"), NOW)), format!("{}: {expected}", items.name()));
        }
    }
    let wrong = open(&server.url().replace(PASSWORD, "hunter3"));
    refusal(wrong.get(key("a"), NOW));
    server.ask(["CONFIG", "SET", "requirepass", "hunter3"]);
    assert!(wait(wrong.get(key("a"), NOW)).is_none(), "what was wrong is not so for ever");
}

#[test]
fn tls_is_for_those_who_trust_the_authority() {
    let options = RedisOptions { tls: true, password: Some(PASSWORD) };
    let test = "tls_is_for_those_who_trust_the_authority";
    let Some(server) = skipped(test, Server::start_with(options)) else { return };
    let root = Some(Server::authority());
    keeps_the_contract(&open_with(&server.url_tls(), root.clone()));
    let error = refusal(open(&server.url_tls()).get(key("a"), NOW));
    assert!(error.contains("certificate"), "{error}");
    let by_address = server.url_tls().replace("localhost", "127.0.0.1");
    let error = refusal(open_with(&by_address, root.clone()).get(key("a"), NOW));
    assert!(error.contains("certificate"), "the certificate is not for it: {error}");
    let plain = server.url_tls().replace("rediss", "redis");
    refusal(open(&plain).get(key("a"), NOW));
    let to_plain = server.url().replace("redis", "rediss").replace("127.0.0.1", "localhost");
    refusal(open_with(&to_plain, root).get(key("a"), NOW));
}

#[test]
fn a_cluster_with_tls_and_a_password() {
    let options = RedisOptions { tls: true, password: Some(PASSWORD) };
    let Some(cluster) = skipped("a_cluster_with_tls_and_a_password", RedisCluster::start_with(options)) else { return };
    keeps_the_contract(&open_with(&cluster.url_tls(), Some(Server::authority())));
    let error = refusal(open(&cluster.url_tls()).get(key("a"), NOW));
    assert!(!error.contains("hunter2"), "{error}");
    keeps_the_contract(&open(&cluster.url()));
    let error = refusal(open(&cluster.url().replace(PASSWORD, "hunter3")).get(key("a"), NOW));
    assert!(!error.contains("hunter3"), "{error}");
    let single = cluster.url().replace("redis+cluster", "redis");
    let single = open(single.split_once(',').unwrap().0);
    let refusals: Vec<String> = (0..20)
        .filter_map(|place| pollster::block_on(single.get(key(&place.to_string()), NOW)).err())
        .map(|error| error.to_string())
        .collect();
    assert!(
        refusals.iter().any(|error| error.ends_with("it is a node of a cluster: expected `redis+cluster://` in `url`"))
    );
}

#[test]
fn a_family_and_any_other_item_come_back() {
    let Some(server) = skipped("a_family_and_any_other_item_come_back", Server::start()) else { return };
    let items: Arc<dyn Items> = Arc::new(open(&server.url()));
    for item in [
        Stored::LastToken(key("a")),
        Stored::Family(FamilyRecord::Revoked { members: Vec::new() }),
        Stored::Family(FamilyRecord::Live { members: vec![key("a"), key("b")], until: Some(u64::MAX) }),
    ] {
        wait(items.put(key("f"), item.clone(), Some(NOW + 1), NOW));
        assert_eq!(stored(wait(items.get(key("f"), NOW))), Some(item));
    }
    let value = server.ask(["GET", &format!("oauth2:{}", key("f").to_text())]).text();
    assert!(value.starts_with("1001 {\"v\":1,\"family\":{\"live\":"), "{value}");
}

#[test]
fn nobody_who_listens_is_an_error_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://root:hunter2@{}", listener.local_addr().unwrap());
    let items = open(&url);
    // It lets a connection in and says nothing.
    let error = refusal(items.get(key("a"), NOW));
    assert!(error.starts_with("redis://127.0.0.1:") && !error.contains("hunter2"), "{error}");
    drop(listener);
    let error = refusal(open(&url).get(key("a"), NOW));
    assert!(error.contains("refused"), "{error}");
    let cluster = open(&url.replace("redis", "redis+cluster"));
    let error = refusal(cluster.get(key("a"), NOW));
    assert!(!error.contains("hunter2"), "{error}");
}
