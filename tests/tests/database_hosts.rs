//! Several hosts on one database, in one process and in several: what one changes the others know, what is cached is
//! told of it, and nothing is lost when plugins are replaced or processes killed.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufRead, BufReader, Write, stdout},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use token_host::{
    Actors, CreateToken, Expires, Host, SetActors, TokenDetails, TokenFilter, TokenSelector, UpdateToken, block_on,
};
use token_host_tests::{Made, Place, Plugin, Said, invalidate, listed, on_each_database, said, wait_until};

on_each_database! {
    what_one_host_does_the_others_know,
    a_cache_hears_of_every_change,
    a_change_is_heard_of_in_no_time,
    a_host_never_answers_from_before_its_own_changes,
    what_is_cached_is_so_for_as_long_as_the_settings_say,
    hosts_that_start_together_on_an_empty_database_agree,
    copies_of_the_plugin_in_one_process_lose_nothing,
    nothing_is_lost_while_plugins_are_replaced,
    what_was_answered_before_a_kill_was_done,
}

const NOW: u64 = Place::NOW;
const CACHE: &str = "cache = { tokens = 1000 }";

/// Ends what other threads do meanwhile, however the test goes.
struct Over<'f>(&'f AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn is_refused(made: &Made, host: &Host) -> bool {
    matches!(made.said(host), Said::Bad(..))
}

fn what_one_host_does_the_others_know(place: Place) {
    let hosts = [place.host(), place.host()];
    let mut running = place.scratch.verifier();
    for (here, there) in [(&hosts[0], &hosts[1]), (&hosts[1], &hosts[0])] {
        for _ in 0..20 {
            let made = Made::by(here, "root");
            assert!(made.is_good(there) && made.is_good(here));
            invalidate(here, made.by_value(), "it leaked").unwrap();
            assert!(is_refused(&made, there) && is_refused(&made, here));
        }
        let made = Made::by(here, "root");
        assert_eq!(running.ask(made.token.as_bytes())["status"], "accepted");
        block_on(here.set_actors(None, &SetActors::deactivate(["root"], ""))).unwrap();
        assert!(is_refused(&made, there));
        assert_eq!(running.ask(made.token.as_bytes())["status"], "rejected");
        block_on(there.set_actors(None, &SetActors::activate(["root"]))).unwrap();
        assert!(made.is_good(here));
        assert_eq!(running.ask(made.token.as_bytes())["status"], "accepted");
        let run = place.scratch.run(["invalidate", "--id", &made.id]);
        assert_eq!(run.code(), 0, "{run}");
        assert!(is_refused(&made, here) && is_refused(&made, there));
        let by_command = place.scratch.run(["create", "root"]).stdout;
        assert_eq!([said(here, by_command.trim()), said(there, by_command.trim())], [Said::Good, Said::Good]);
    }
}

/// Two hosts with caches, of which the second surely answers from its own.
fn caching(place: &mut Place, more: &str) -> [Host; 2] {
    place.set(&format!("{CACHE}\n{more}"));
    let hosts = [place.host(), place.host()];
    wait_until("the caches are in use", || {
        let probe = Made::by(&hosts[0], "probe");
        assert!(hosts.iter().all(|host| probe.is_good(host)));
        past_the_plugin(place, &probe, |is_good| hosts.iter().all(is_good)).then_some(())
    });
    // Nobody else is to count with these.
    let probes = TokenFilter::of(Actors::These(vec!["probe".to_owned()]));
    invalidate(&hosts[0], TokenSelector::Filter(probes), "").unwrap();
    hosts
}

/// Whether a token that is invalidated in the database, without a word to anybody, is still accepted: from a cache.
fn past_the_plugin(place: &Place, made: &Made, ask: impl FnOnce(&dyn Fn(&Host) -> bool) -> bool) -> bool {
    let Made { id, .. } = made;
    place.sql(&format!("INSERT INTO invalid_tokens (id, invalid_at, reason) VALUES ({id}, 1, '')"));
    let is_good = ask(&|host| made.is_good(host));
    place.sql(&format!("DELETE FROM invalid_tokens WHERE id = {id}"));
    is_good
}

fn a_cache_hears_of_every_change(mut place: Place) {
    let hosts = caching(&mut place, "");
    let [here, there] = &hosts;
    let vendor = || {
        let mut details = TokenDetails::default();
        details.token_generator_id = Some("vendor_checksum".to_owned());
        details.token_info.insert("token_type".to_owned(), json!("acme"));
        CreateToken::new("guest").with_details(details)
    };
    let of_actor = |actor: &str| TokenSelector::Filter(TokenFilter::of(Actors::These(vec![actor.to_owned()])));
    let everyones = |generator: Option<&str>| {
        let mut filter = TokenFilter::of(Actors::Everyone);
        filter.token_generator_id = generator.map(str::to_owned);
        TokenSelector::Filter(filter)
    };
    type Change<'c> = (&'c str, &'c dyn Fn(&Made));
    let changes: [Change<'_>; 9] = [
        ("by value", &|made| drop(invalidate(here, made.by_value(), "").unwrap())),
        ("by id", &|made| drop(invalidate(here, made.by_id(), "").unwrap())),
        ("an actor's", &|_| drop(invalidate(here, of_actor("guest"), "").unwrap())),
        ("a generator's", &|_| drop(invalidate(here, everyones(Some("vendor_checksum")), "").unwrap())),
        ("everyone's", &|_| drop(invalidate(here, everyones(None), "").unwrap())),
        ("changed", &|made| {
            let mut update = UpdateToken::new(made.by_id());
            update.valid = Some(false);
            block_on(here.update_token(None, &update)).unwrap();
        }),
        ("expired", &|made| {
            let mut update = UpdateToken::new(made.by_id());
            update.expires = Some(Expires::At(NOW + 1));
            block_on(here.update_token(None, &update)).unwrap();
            place.clock.set(NOW + 1);
        }),
        ("deactivated", &|_| drop(block_on(here.set_actors(None, &SetActors::deactivate(["guest"], ""))).unwrap())),
        ("by command", &|made| assert_eq!(place.scratch.run(["invalidate", "--id", &made.id]).code(), 0)),
    ];
    for (what, change) in changes {
        place.clock.set(NOW);
        let made = Made::of(here, &vendor()).unwrap();
        let kept = Made::by(here, "kept");
        for host in &hosts {
            assert!(made.is_good(host) && made.is_good(host) && kept.is_good(host));
        }
        change(&made);
        if what != "by command" {
            assert!(is_refused(&made, here), "{what}: whoever did it knows at once");
        }
        wait_until(what, || (is_refused(&made, there) && is_refused(&made, here)).then_some(()));
        if what == "everyone's" {
            wait_until(what, || is_refused(&kept, there).then_some(()));
        } else {
            assert!(kept.is_good(there) && kept.is_good(here), "{what}");
        }
        if what == "deactivated" {
            block_on(there.set_actors(None, &SetActors::activate(["guest"]))).unwrap();
            assert!(made.is_good(there));
            wait_until("it is active again", || made.is_good(here).then_some(()));
        }
    }
    // More at once than there is a notice for each.
    let made: Vec<Made> = (0..150).map(|number| Made::by(here, &format!("actor {number}"))).collect();
    assert!(made.iter().all(|made| made.is_good(there) && made.is_good(here)));
    assert_eq!(invalidate(here, everyones(Some("token_host")), "").unwrap().len(), 150 + 4, "and those from before");
    assert!(made.iter().all(|made| is_refused(made, here)));
    wait_until("all of a generator", || made.iter().all(|made| is_refused(made, there)).then_some(()));
}

fn a_change_is_heard_of_in_no_time(mut place: Place) {
    const INVALIDATIONS: usize = 200;
    let [here, there] = caching(&mut place, "");
    let made: Vec<Made> = thread::scope(|scope| {
        let here = &here;
        let make = |number: usize| scope.spawn(move || Made::by(here, &format!("actor {number}")));
        let threads: Vec<_> = (0..INVALIDATIONS).map(make).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut times: Vec<Duration> = Vec::new();
    for made in &made {
        assert!(made.is_good(&there) && made.is_good(&there));
        invalidate(&here, made.by_id(), "").unwrap();
        let start = Instant::now();
        while !is_refused(made, &there) {
            thread::sleep(Duration::from_micros(200));
        }
        times.push(start.elapsed());
    }
    times.sort();
    let at = |hundredth: usize| times[(times.len() - 1) * hundredth / 100];
    println!("heard after: median {:?}, 99 % {:?}, at most {:?}", at(50), at(99), at(100));
    // Many times what it takes, for machines that are busy with other things.
    assert!(at(99) < Duration::from_secs(2), "{:?}", at(99));
}

fn a_host_never_answers_from_before_its_own_changes(mut place: Place) {
    let [host, _] = caching(&mut place, "");
    let is_over = AtomicBool::new(false);
    let made: Vec<Made> = (0..2).map(|number| Made::by(&host, &format!("actor {number}"))).collect();
    thread::scope(|scope| {
        let _over = Over(&is_over);
        for made in &made {
            // Keeps the cache filled with what was true a moment ago.
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let _ = made.said(&host);
                }
            });
        }
        let mut update = UpdateToken::new(made[0].by_id());
        for round in 0..80 {
            let made = &made[round % made.len()];
            invalidate(&host, made.by_id(), "").unwrap();
            assert!(is_refused(made, &host), "round {round}");
            update.token = made.by_id();
            update.valid = Some(true);
            block_on(host.update_token(None, &update)).unwrap();
            assert!(made.is_good(&host), "round {round}");
        }
    });
}

fn what_is_cached_is_so_for_as_long_as_the_settings_say(mut place: Place) {
    let hostile = "generators = [{ id = 'guess' }]";
    let settings = "accept = ['token_host', 'guess']\nlast_used_seconds = 0";
    place.set(&format!("{CACHE}\n{settings}"));
    place.scratch.plugin("hostile", Plugin::Hostile, hostile);
    let hosts = [place.host(), place.host()];
    let [here, there] = &hosts;
    wait_until("the cache is in use", || {
        let probe = Made::by(here, "probe");
        assert!(probe.is_good(there));
        past_the_plugin(&place, &probe, |is_good| is_good(there)).then_some(())
    });
    let made = Made::by(here, "root");
    place.clock.set(NOW + 1_000);
    assert!(made.is_good(there));
    for (seconds, expected) in [(59, true), (60, false)] {
        place.clock.set(NOW + 1_000 + seconds);
        let is_cached = past_the_plugin(&place, &made, |is_good| is_good(there));
        assert_eq!(is_cached, expected, "after {seconds} s");
    }
    let guess = |seed: &str| {
        let mut details = TokenDetails::default();
        details.token_generator_id = Some("guess".to_owned());
        details.token_info.insert("seed".to_owned(), json!(seed));
        Made::of(here, &CreateToken::new("root").with_details(details)).unwrap()
    };
    place.clock.set(NOW + 2_000);
    assert_eq!(said(there, "guess_x"), Said::Unknown);
    assert!(guess("x").is_good(here));
    for (seconds, expected) in [(9, Said::Unknown), (10, Said::Good)] {
        place.clock.set(NOW + 2_000 + seconds);
        assert_eq!(said(there, "guess_x"), expected, "after {seconds} s");
    }
    // Its own expiry is looked at each time.
    let brief = Made::of(here, &CreateToken::new("root").expires_after(5)).unwrap();
    assert!(brief.is_good(there) && brief.is_good(there));
    place.clock.set(NOW + 2_015);
    assert!(is_refused(&brief, there));

    place.set(&format!("cache = {{ tokens = 1000, seconds = 0, unknown_seconds = 0 }}\n{settings}"));
    place.scratch.plugin("hostile", Plugin::Hostile, hostile);
    let there = place.host();
    assert!(made.is_good(&there) && said(&there, "guess_y") == Said::Unknown);
    guess("y");
    assert_eq!(said(&there, "guess_y"), Said::Good);
    assert!(!past_the_plugin(&place, &made, |is_good| is_good(&there)));
}

fn hosts_that_start_together_on_an_empty_database_agree(place: Place) {
    let hosts: Vec<Host> = (0..4).map(|_| place.host()).collect();
    let made: Vec<Made> = thread::scope(|scope| {
        let threads: Vec<_> = hosts.iter().map(|host| scope.spawn(|| Made::by(host, "root"))).collect();
        let by_command = scope.spawn(|| place.scratch.run(["create", "root", "--json"]));
        let mut made: Vec<Made> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        let answer = by_command.join().unwrap().json();
        let text = |key: &str| answer[key].as_str().unwrap().to_owned();
        made.push(Made { token: text("token"), id: text("id") });
        made
    });
    for host in &hosts {
        assert!(made.iter().all(|made| made.is_good(host)));
        assert_eq!(listed(host, |_| {}).len(), made.len());
    }
}

/// Each host has an image of the plugin for itself, and each image has a copy of SQLite, which knows nothing of the other
/// one's locks.
fn copies_of_the_plugin_in_one_process_lose_nothing(place: Place) {
    let hosts = [place.host(), place.host()];
    let made: Vec<Made> = thread::scope(|scope| {
        let make = |host| move || (0..50).map(|_| Made::by(host, "root")).collect::<Vec<_>>();
        let threads: Vec<_> = hosts.iter().cycle().take(10).map(|host| scope.spawn(make(host))).collect();
        // Hosts that come and go, and close what they opened.
        for _ in 0..5 {
            let host = place.host();
            assert!(Made::by(&host, "passing").is_good(&host));
        }
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    drop(hosts);
    assert_whole(&place);
    let host = place.host();
    assert!(made.iter().all(|made| made.is_good(&host)));
    let kept = listed(&host, |filter| filter.actors = Actors::These(vec!["root".to_owned()]));
    assert_eq!(kept.len(), made.len());
    assert_eq!(made.len(), 500);
}

fn assert_whole(place: &Place) {
    if place.file().is_some() {
        assert_eq!(place.sql("PRAGMA integrity_check"), "ok");
    }
    let dangling = "SELECT count(*) FROM tokens t LEFT JOIN token_details d ON d.id = t.id WHERE d.id IS NULL";
    assert_eq!(place.sql(dangling), "0", "no token is there by halves");
    let dangling = "SELECT count(*) FROM token_details d LEFT JOIN tokens t ON t.id = d.id WHERE t.id IS NULL";
    assert_eq!(place.sql(dangling), "0", "no token is there by halves");
}

fn nothing_is_lost_while_plugins_are_replaced(mut place: Place) {
    let library = place.library();
    let bytes = fs::read(&library).unwrap();
    let host = place.host();
    let known = Made::by(&host, "root");
    let (is_over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let made: Vec<Made> = thread::scope(|scope| {
        let over = Over(&is_over);
        let asking = || {
            while !is_over.load(Ordering::Relaxed) {
                assert!(known.is_good(&host));
                assert_eq!(
                    said(&host, "tht_unknown"),
                    Said::Bad(
                        token_host::ReasonKind::BadSignature,
                        "the checksum of the token does not fit".to_owned()
                    )
                );
                asked.fetch_add(1, Ordering::Relaxed);
            }
        };
        let making = || {
            let mut made = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                let new = Made::by(&host, "root");
                assert!(new.is_good(&host));
                made.push(new);
            }
            made
        };
        scope.spawn(asking);
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(making)).collect();
        for number in 0..6_u8 {
            let before = asked.load(Ordering::Relaxed);
            if number % 2 == 0 {
                place.set(&format!("last_used_seconds = {}", 100 + u32::from(number)));
            } else {
                place.scratch.file(&library, [bytes.as_slice(), &[number]].concat());
            }
            let changes = host.reload().unwrap().changes;
            assert!(!changes.is_empty());
            wait_until("the new one is asked", || (asked.load(Ordering::Relaxed) > before + 20).then_some(()));
        }
        drop(over);
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(host.generation(), 7);
    assert!(made.len() > 6, "{}", made.len());
    assert!(made.iter().all(|made| made.is_good(&host)));
    assert_eq!(listed(&host, |_| {}).len(), made.len() + 1);
    assert_whole(&place);
}

/// Where a process that makes and invalidates tokens until it is killed finds its configuration.
const CONFIG: &str = "TOKEN_HOST_TEST_CONFIG";

/// What such a process has said of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    Made(String),
    /// It was about to be invalidated.
    Ending(String),
    Invalidated(String),
}

fn what_was_answered_before_a_kill_was_done(place: Place) {
    const ROUNDS: usize = 4;
    const PROCESSES: usize = 5;
    const OPERATIONS: usize = 60;
    let mut random = fastrand::Rng::new();
    let mut told: BTreeMap<String, Told> = BTreeMap::new();
    let mut answered = 0;
    for _ in 0..ROUNDS {
        let at: Vec<usize> = (0..PROCESSES).map(|_| OPERATIONS + random.usize(..OPERATIONS)).collect();
        let lines = thread::scope(|scope| {
            let threads: Vec<_> = at.iter().map(|at| scope.spawn(|| killed_after(&place, *at))).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                ["made", id, token] => drop(told.insert((*id).to_owned(), Told::Made((*token).to_owned()))),
                [what, id] => {
                    let Some(Told::Made(token) | Told::Ending(token)) = told.get(*id).cloned() else {
                        panic!("{line}: it was not made")
                    };
                    let now = if *what == "ending" { Told::Ending(token) } else { Told::Invalidated(token) };
                    told.insert((*id).to_owned(), now);
                }
                _ => panic!("{line}"),
            }
            answered += usize::from(words[0] != "ending");
        }
        let host = place.host();
        for (id, told) in &told {
            let (is_right, said) = match told {
                Told::Made(token) => (said(&host, token) == Said::Good, said(&host, token)),
                Told::Invalidated(token) => (matches!(said(&host, token), Said::Bad(..)), said(&host, token)),
                Told::Ending(token) => (said(&host, token) != Said::Unknown, said(&host, token)),
            };
            assert!(is_right, "{id} {told:?}: {said:?}");
        }
        assert!(listed(&host, |filter| filter.limit = Some(1_000)).len() >= told.len());
        drop(host);
        assert_whole(&place);
    }
    println!("{answered} answers of {} processes", ROUNDS * PROCESSES);
    assert!(answered >= 1_000, "{answered}");
}

/// What a process said before it was killed, after so many answers at the earliest.
fn killed_after(place: &Place, answers: usize) -> Vec<String> {
    let mut command = Command::new(env::current_exe().unwrap());
    let this = "database_hosts::a_process_that_is_going_to_be_killed";
    command.args(["--exact", this, "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(CONFIG, place.scratch.config()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child: Child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let (mut said, mut line) = (Vec::new(), String::new());
    while lines.read_line(&mut line).unwrap() > 0 {
        // What was not written to its end says nothing.
        if let Some(whole) = line.strip_suffix('\n').and_then(|line| line.strip_prefix('@')) {
            said.push(whole.to_owned());
            if said.len() == answers {
                child.kill().unwrap();
            }
        }
        line.clear();
    }
    child.wait().unwrap();
    assert!(said.len() >= answers, "it ended by itself, after {said:?}");
    said
}

#[test]
#[ignore = "part of others, which run it in a process of its own and kill it"]
fn a_process_that_is_going_to_be_killed() {
    let config = env::var_os(CONFIG).expect("expected to be run by the other tests");
    let host = Host::from_file(config).unwrap();
    let say = |line: String| {
        // In one piece, and not through the test runner.
        let mut stdout = stdout().lock();
        stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush()).unwrap();
    };
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let [kept, ended] = [Made::by(&host, "root"), Made::by(&host, "root")];
                    say(format!("\n@made {} {}\n@made {} {}\n", kept.id, kept.token, ended.id, ended.token));
                    say(format!("\n@ending {}\n", ended.id));
                    invalidate(&host, ended.by_id(), "it leaked").unwrap();
                    say(format!("\n@invalidated {}\n", ended.id));
                }
            });
        }
    });
}
