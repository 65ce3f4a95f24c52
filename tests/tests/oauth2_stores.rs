//! The stores of the `oauth2` plugin through a host: found by name, shared by processes, and what they answer when their
//! server is not there. What each of them promises is for the plugin's conformance tests to show, on every backend.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
};

use serde_json::json;
use token_host::{
    AccessToken, AuthorizationCode, Consumption, CreateToken, Error, ErrorKind, Host, InvalidateTokens,
    RotateRefreshToken, Rotation, TokenSelector, block_on,
};
use token_host_tests::{Memcached, Plugin, Postgres, Redis, RedisCluster, Scratch, skipped, wait_until};

fn scratch(settings: &str) -> Scratch {
    let mut scratch = Scratch::new();
    scratch.plugin("oauth2", Plugin::OAuth2, settings);
    scratch
}

fn host(scratch: &Scratch) -> Host {
    Host::from_file(scratch.config()).unwrap()
}

/// A token that a user gave to a client, good for an hour.
fn token(host: &Host, value: &str) -> AccessToken {
    let mut token = AccessToken::new("web", "authorization_code", value);
    token.user_id = Some("ann".to_owned());
    token.scopes = vec!["read".to_owned()];
    token.expires_at = Some(now() + 3_600);
    token.refresh_token = Some(format!("refresh-{value}"));
    token.refresh_expires_at = Some(now() + 7_200);
    block_on(host.stores().access_tokens("oauth2").unwrap().save_token(&token)).unwrap();
    token
}

fn now() -> u64 {
    token_host_tests::now()
}

fn opaque(letter: char) -> String {
    format!("tho_{}", letter.to_string().repeat(43))
}

#[test]
fn stores_are_found_by_name() {
    let mut scratch = scratch("url = 'memory:'");
    scratch.plugin("other", Plugin::OAuth2, "name = 'other'\nprefix = 'oth'");
    let host = host(&scratch);
    let stores = host.stores();
    let kept = token(&host, "a-token");
    let found = block_on(stores.access_tokens("oauth2").unwrap().fetch_by_token("a-token")).unwrap();
    assert_eq!((found.user_id, found.scopes, found.token), (kept.user_id, kept.scopes, Some("a-token".to_owned())));
    let error = block_on(stores.access_tokens("other").unwrap().fetch_by_token("a-token")).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::NotFound("access token".to_owned()), "{error}");
    let error = block_on(stores.auth_codes("oauth2").unwrap().fetch_by_code("a-token")).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::NotFound("authorization code".to_owned()), "{error}");
    let error = block_on(stores.clients("oauth2").unwrap().fetch_by_client_id("web")).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::NotFound("client".to_owned()), "{error}");
    let error = stores.clients("nobody").unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().contains("\"oauth2\", \"other\"") || error.to_string().contains("\"other\", \"oauth2\""));
    let listed = scratch.run(["plugins"]).stdout;
    for store in ["oauth2 (access_tokens)", "oauth2 (auth_codes)", "other (clients)"] {
        assert!(listed.contains(store), "{listed}");
    }
}

#[test]
fn the_handler_makes_verifies_and_invalidates_tokens() {
    let scratch = scratch("url = 'sqlite:tokens.db'");
    let created = scratch.run(["create", "ann", "--extra", "client_id=web", "--extra", "scope=read write"]);
    let token = created.stdout.trim().to_owned();
    assert!(created.code() == 0 && token.starts_with("tho_"), "{created}");
    let verified = scratch.run(["verify", &token, "--json"]);
    let actor: serde_json::Value = serde_json::from_str(&verified.stdout).unwrap();
    let actor = if actor["actor"].is_object() { &actor["actor"] } else { &actor };
    assert_eq!(
        (&actor["id"], &actor["client_id"], &actor["scope"]),
        (&json!("ann"), &json!("web"), &json!("read write"))
    );
    let host = host(&scratch);
    assert_eq!(block_on(host.verify_token(&token)).unwrap().unwrap().id(), "ann");
    let changed = format!("{}x", &token[..token.len() - 1]);
    assert_eq!(block_on(host.verify_token(&changed)).unwrap(), None, "an opaque token that nobody made is unknown");
    let request = InvalidateTokens::new(TokenSelector::Token(token.clone()), "");
    assert_eq!(block_on(host.invalidate_tokens(None, &request)).unwrap().tokens.len(), 1);
    assert_eq!(scratch.run(["verify", &token]).code(), 1);
    assert_eq!(block_on(host.verify_token(&token)).unwrap(), None);
    let restricted = block_on(host.create_token(
        &CreateToken::new("ann").restricted_to(token_host::TokenRestrictions::nothing().allow_all("view-table")),
    ));
    let actor = block_on(host.verify_token(&restricted.unwrap().token)).unwrap().unwrap();
    assert!(actor.allows("view-table", None, None) && !actor.allows("insert-row", None, None));
}

#[test]
fn nothing_that_could_be_used_is_written_down() {
    let scratch = scratch("url = 'sqlite:tokens.db'");
    let host = host(&scratch);
    let value = "a-token-that-nobody-should-find";
    token(&host, value);
    let code = AuthorizationCode::new("web", "a-code-that-nobody-should-find", now() + 60, "https://a.example/", "f");
    block_on(host.stores().auth_codes("oauth2").unwrap().save_code(&code)).unwrap();
    drop(host);
    let mut looked = 0;
    for file in fs::read_dir(scratch.path()).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap_or_default();
        looked += usize::from(bytes.windows(15).any(|window| window == b"SQLite format 3"));
        for secret in [value, "refresh-a-token", "a-code-that"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
        }
    }
    assert_eq!(looked, 1, "there is a file, and it was looked at");
}

fn is_plugin_error<T: std::fmt::Debug>(answer: Result<T, Error>) -> bool {
    match answer {
        Err(error) if *error.kind() == ErrorKind::Plugin => true,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound(_)) => false,
        Ok(_) => false,
        other => panic!("{other:?}"),
    }
}

/// A server that is gone is an error, and never "there is none"; one that came back empty is the other way round.
fn a_server_goes_and_comes_back(url: &str, stop: impl FnOnce(), start: impl FnOnce()) {
    // Failures are to be seen one by one.
    let mut scratch = Scratch::new();
    scratch.plugin_with("oauth2", Plugin::OAuth2, "breaker_failures = 0", &format!("url = '{url}'"));
    let host = host(&scratch);
    let (value, stores) = (opaque('a'), host.stores());
    token(&host, &value);
    let tokens = stores.access_tokens("oauth2").unwrap();
    assert_eq!(block_on(host.verify_token(&value)).unwrap().unwrap().id(), "ann");
    stop();
    assert!(is_plugin_error(block_on(tokens.fetch_by_token(&value))));
    assert!(is_plugin_error(block_on(host.verify_token(&value))), "it fails closed");
    assert!(is_plugin_error(block_on(tokens.save_token(&AccessToken::new("web", "password", "b")))));
    start();
    wait_until("the server is asked again", || {
        (!is_plugin_error(block_on(tokens.fetch_by_token(&value)))).then_some(())
    });
    let error = block_on(tokens.fetch_by_token(&value)).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::NotFound("access token".to_owned()), "what it forgot is not there: {error}");
    assert_eq!(block_on(host.verify_token(&value)).unwrap(), None);
    token(&host, &value);
    assert_eq!(block_on(host.verify_token(&value)).unwrap().unwrap().id(), "ann");
}

#[test]
fn a_memcached_goes_and_comes_back() {
    let Some(server) = skipped("a_memcached_goes_and_comes_back", Memcached::start()) else { return };
    a_server_goes_and_comes_back(
        &format!("memcached://127.0.0.1:{}", server.port()),
        || server.kill(),
        || server.restart(),
    );
}

#[test]
fn a_redis_goes_and_comes_back() {
    let Some(server) = skipped("a_redis_goes_and_comes_back", Redis::start()) else { return };
    a_server_goes_and_comes_back(&server.url(), || server.kill(), || server.restart());
}

/// How many codes, and refresh tokens, two processes race for.
const RACES: usize = 10_000;
const CONFIG: &str = "TOKEN_HOST_TEST_RACE";

/// Two processes use the same codes and refresh tokens, in the same order, at once.
fn each_has_one_user(url: &str) {
    // What a busy machine takes its time for is no failure here.
    let mut scratch = Scratch::new();
    scratch.plugin_with("oauth2", Plugin::OAuth2, "deadline_ms = 60000", &format!("url = '{url}'"));
    let host = host(&scratch);
    // Many at once: each waits for its server, or its disk.
    thread::scope(|scope| {
        for first in 0..64 {
            let host = &host;
            scope.spawn(move || {
                let codes = host.stores().auth_codes("oauth2").unwrap();
                for race in (first..RACES).step_by(64) {
                    let code = format!("code-{race}");
                    let code = AuthorizationCode::new("web", code, now() + 3_600, "https://a.example/", "f");
                    block_on(codes.save_code(&code)).unwrap();
                    token(host, &format!("token-{race}"));
                }
            });
        }
    });
    let mut racers = [Racer::start(&scratch), Racer::start(&scratch)];
    racers.iter_mut().for_each(Racer::ready);
    racers.iter_mut().for_each(Racer::go);
    let mut winners: BTreeMap<String, usize> = BTreeMap::new();
    for racer in racers {
        let won = racer.won();
        println!("{url}: one process had {} of {}", won.len(), 2 * RACES);
        won.into_iter().for_each(|what| *winners.entry(what).or_default() += 1);
    }
    let twice: Vec<_> = winners.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "{url}: {twice:?}");
    assert_eq!(winners.len(), 2 * RACES, "{url}: each had a user");
}

/// A process that uses what there is.
struct Racer {
    child: Child,
    stdin: ChildStdin,
    lines: BufReader<ChildStdout>,
}

impl Racer {
    fn start(scratch: &Scratch) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        let this = "oauth2_stores::a_process_that_races";
        command.args(["--exact", this, "--ignored", "--nocapture", "--test-threads=1"]);
        command.env(CONFIG, scratch.config()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, stdin, lines: BufReader::new(stdout) }
    }

    /// What it says next, behind an `@`.
    fn said(&mut self) -> Option<String> {
        let mut line = String::new();
        while self.lines.read_line(&mut line).unwrap() > 0 {
            if let Some((_, said)) = line.trim_end().split_once('@') {
                return Some(said.to_owned());
            }
            line.clear();
        }
        None
    }

    fn ready(&mut self) {
        assert_eq!(self.said().as_deref(), Some("ready"));
    }

    fn go(&mut self) {
        self.stdin.write_all(b"go\n").unwrap();
    }

    fn won(mut self) -> Vec<String> {
        let won = std::iter::from_fn(|| self.said()).collect();
        assert!(self.child.wait().unwrap().success());
        won
    }
}

#[test]
#[ignore = "run by the tests of races, as a process of its own"]
fn a_process_that_races() {
    let config = env::var_os(CONFIG).expect("expected to be run by the other tests");
    let host = Host::from_file(config).unwrap();
    let (codes, tokens) = (host.stores().auth_codes("oauth2").unwrap(), host.stores().access_tokens("oauth2").unwrap());
    println!("@ready");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    let me = std::process::id();
    let consume = |race: usize| {
        let answer = block_on(codes.consume_code(&format!("code-{race}"), "web", "https://a.example/"));
        matches!(answer.unwrap(), Consumption::Done(_)).then(|| format!("code {race}"))
    };
    let rotate = |race: usize| {
        let new = format!("new-{me}-{race}");
        let mut request =
            RotateRefreshToken::new(format!("refresh-token-{race}"), "web", new.clone(), format!("refresh-{new}"));
        request.expires_at = Some(now() + 3_600);
        request.refresh_expires_at = Some(now() + 7_200);
        match block_on(tokens.rotate_refresh_token(&request)) {
            Ok(Rotation::Done(_)) => Some(format!("refresh token {race}")),
            Ok(Rotation::Reused) => None,
            Err(error) if *error.kind() == ErrorKind::NotFound("access token".to_owned()) => None,
            Err(error) => panic!("{error}"),
        }
    };
    // A few at once, so that a slow server or disk does not take all day.
    thread::scope(|scope| {
        for first in 0..16 {
            let (consume, rotate) = (&consume, &rotate);
            scope.spawn(move || {
                for race in (first..RACES).step_by(16) {
                    for won in [consume(race), rotate(race)].into_iter().flatten() {
                        println!("@{won}");
                    }
                }
            });
        }
    });
}

#[test]
fn each_has_one_user_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    each_has_one_user(&format!("sqlite:{}", folder.path().join("tokens.db").display()));
}

#[test]
fn each_has_one_user_in_postgresql() {
    let Some(server) = skipped("each_has_one_user_in_postgresql", Postgres::shared()) else { return };
    each_has_one_user(&server.fresh_database().url());
}

#[test]
fn each_has_one_user_on_memcached() {
    let Some(server) = skipped("each_has_one_user_on_memcached", Memcached::start()) else { return };
    each_has_one_user(&format!("memcached://127.0.0.1:{}", server.port()));
}

#[test]
fn each_has_one_user_on_redis() {
    let Some(server) = skipped("each_has_one_user_on_redis", Redis::start()) else { return };
    each_has_one_user(&server.url());
}

#[test]
fn each_has_one_user_on_a_redis_cluster() {
    let Some(cluster) = skipped("each_has_one_user_on_a_redis_cluster", RedisCluster::start()) else { return };
    each_has_one_user(&cluster.url());
}
