//! Key sets behind a URL, as an issuer serves them: rotated, unknown, down, and back.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::{Value, json};
use token_host::{CreateToken, ErrorKind, Host, InvalidateTokens, TokenSelector};
use token_host_tests::{JWT_SECRET, Plugin, Scratch, SetClock, repository};

const NOW: u64 = 1_700_000_000;

/// An issuer's server: what it answers, and how often it was asked. Its thread ends with the test program.
struct Issuer {
    url: String,
    answer: Arc<Mutex<Option<String>>>,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = Self {
            url: format!("http://{}/keys", listener.local_addr().unwrap()),
            answer: Arc::default(),
            asked: Arc::default(),
        };
        let (answer, asked) = (Arc::clone(&issuer.answer), Arc::clone(&issuer.asked));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                asked.fetch_add(1, Ordering::SeqCst);
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                lines.map_while(Result::ok).find(String::is_empty);
                let (status, body) = match answer.lock().unwrap().clone() {
                    Some(body) => ("200 OK", body),
                    None => ("503 Service Unavailable", String::new()),
                };
                let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                // A client that has gone away is its own business.
                let _ = stream.write_all((head + &body).as_bytes());
            }
        });
        issuer
    }

    /// Serves these keys of the tests' set, by their names; nothing: it is down.
    fn serves(&self, kids: Option<&[&str]>) {
        let set: Value = serde_json::from_str(&fs::read_to_string(data("jwks.json")).unwrap()).unwrap();
        let is_served = |key: &&Value| kids.is_some_and(|kids| kids.contains(&key["kid"].as_str().unwrap()));
        let keys: Vec<&Value> = set["keys"].as_array().unwrap().iter().filter(is_served).collect();
        *self.answer.lock().unwrap() = kids.map(|_| json!({ "keys": keys }).to_string());
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn data(file: &str) -> String {
    repository().join("tests/data/jwt").join(file).display().to_string()
}

/// Whoever has the private keys.
fn token(kid: &str, file: &str) -> String {
    let algorithm = if kid == "rsa" { "algorithm = 'RS256', " } else { "" };
    let mut scratch = Scratch::new();
    let keys = format!("keys = [{{ kid = '{kid}', {algorithm}key = {{ file = '{}' }} }}]", data(file));
    scratch.plugin("jwt", Plugin::Jwt, &keys);
    let host = Host::builder().config_file(scratch.config()).clock(SetClock::at(NOW)).build().unwrap();
    host.create_token_blocking(&CreateToken::new("root").expires_after(1_000_000)).unwrap().token
}

struct Verifier {
    host: Host,
    clock: SetClock,
    #[expect(dead_code, reason = "the folder has to live as long as the host")]
    scratch: Scratch,
}

impl Verifier {
    fn new(issuer: &Issuer) -> Self {
        let mut scratch = Scratch::new();
        // Nothing of this is about how long a busy machine takes.
        let jwks = format!("jwks = {{ url = '{}', timeout_ms = 60000, wait_ms = 60000 }}", issuer.url);
        scratch.plugin_with("jwt", Plugin::Jwt, "deadline_ms = 100000", &jwks);
        let clock = SetClock::at(NOW);
        let host = Host::builder().config_file(scratch.config()).clock(clock.clone()).build().unwrap();
        Self { host, clock, scratch }
    }

    fn accepts(&self, token: &str) -> bool {
        self.host.verify_token_blocking(token).unwrap().is_some_and(|actor| actor.id() == "root")
    }
}

#[test]
fn keys_come_and_go_with_the_issuer() {
    let (ec, ed, rsa) = (token("ec", "p256.pem"), token("ed", "ed25519.pem"), token("rsa", "rsa.pem"));
    let issuer = Issuer::start();
    issuer.serves(Some(&["ec"]));
    let verifier = Verifier::new(&issuer);
    assert_eq!(issuer.asked(), 0, "a host starts whether or not its issuers are up");
    assert!(verifier.accepts(&ec), "the first token waits for the keys");
    assert!(verifier.accepts(&ec) && issuer.asked() == 1, "the next one does not");

    issuer.serves(Some(&["ec", "ed"]));
    assert!(!verifier.accepts(&ed), "the rate is bounded: its key has not been seen yet");
    assert_eq!(issuer.asked(), 1);
    verifier.clock.set(NOW + 10);
    assert!(verifier.accepts(&ed), "a token with a new key waits for it");
    assert_eq!(issuer.asked(), 2);

    verifier.clock.set(NOW + 20);
    for number in 0..100 {
        let stranger = rsa.replacen('.', &format!("{number}."), 1);
        let _ = verifier.host.verify_token_blocking(&stranger);
        assert!(!verifier.accepts(&rsa), "nobody has its key");
    }
    assert_eq!(issuer.asked(), 3, "whatever strangers send, it is asked once in ten seconds");

    issuer.serves(None);
    verifier.clock.set(NOW + 1_000);
    for _ in 0..3 {
        assert!(verifier.accepts(&ec) && verifier.accepts(&ed), "the last good set is kept");
    }
    issuer.serves(Some(&["rsa"]));
    verifier.clock.set(NOW + 2_000);
    assert!(verifier.accepts(&rsa));
    assert!(!verifier.accepts(&ec), "a key that was withdrawn is no key any more");
}

#[test]
fn without_any_set_it_cannot_tell() {
    let ec = token("ec", "p256.pem");
    let issuer = Issuer::start();
    let verifier = Verifier::new(&issuer);
    let error = verifier.host.verify_token_blocking(&ec).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Plugin, "which is no \"no\": {error}");
    assert!(error.to_string().contains("503"), "{error}");
    // What could not be its token in any case is none.
    for foreign in ["x", "dstok_a.b", "eyJhbGciOiJIUzI1NiJ9.e30.AAAA"] {
        assert_eq!(verifier.host.verify_token_blocking(foreign).unwrap(), None, "{foreign}");
    }
    issuer.serves(Some(&["ec"]));
    verifier.clock.set(NOW + 20);
    assert!(verifier.accepts(&ec), "and back");
}

#[test]
fn keys_that_cannot_be_had_switch_nothing_off() {
    let issuer = Issuer::start();
    let mut scratch = Scratch::new();
    let jwks =
        format!("secret = '{JWT_SECRET}'\njwks = {{ url = '{}', timeout_ms = 60000, wait_ms = 60000 }}", issuer.url);
    scratch.plugin_with("jwt", Plugin::Jwt, "deadline_ms = 100000", &jwks);
    let host = Host::from_file(scratch.config()).unwrap();
    let good = host.create_token_blocking(&CreateToken::new("root")).unwrap().token;
    for _ in 0..30 {
        // What anybody can send: {"alg":"RS256"}.
        let error = host.verify_token_blocking("eyJhbGciOiJSUzI1NiJ9.e30.AA").unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Plugin, "{error}");
    }
    assert!(host.verify_token_blocking(&good).unwrap().is_some(), "our own secret is as good as before");
}

/// More calls than can be answered in time are no fault of the plugin: whoever sends them must not keep others out.
#[test]
fn a_flood_of_forgeries_switches_nothing_off() {
    let good = token("ec", "p256.pem");
    // A signature that has to be looked at: nonsense is told by its range.
    let (message, signature) = good.rsplit_once('.').unwrap();
    let forged = format!("{message}.{}", signature.chars().rev().collect::<String>().replace(['Q', 'g', 'w'], "A"));
    let forged = forged[..forged.len() - 1].to_owned() + "A";
    let mut scratch = Scratch::new();
    let jwks = format!("jwks = {{ path = '{}' }}", data("jwks.json"));
    scratch.plugin_with("jwt", Plugin::Jwt, "deadline_ms = 20", &jwks);
    let host = Host::builder().config_file(scratch.config()).clock(SetClock::at(NOW)).build().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let flood: Vec<_> = (0..5_000)
        .map(|_| {
            let (host, forged) = (host.clone(), forged.clone());
            runtime.spawn(async move { host.verify_token(&forged).await })
        })
        .collect();
    for answer in flood {
        let error = runtime.block_on(answer).unwrap().unwrap_err();
        // Its key is known: it is judged where it is asked about, and waits behind no other.
        assert!(matches!(error.kind(), ErrorKind::TokenInvalid(_)), "{error}");
    }
    let accepted = (0..100).any(|_| matches!(host.verify_token_blocking(&good), Ok(Some(_))));
    assert!(accepted, "{:?}", host.verify_token_blocking(&good));
}

#[test]
fn the_first_thing_that_a_process_does_may_be_a_revocation() {
    let ec = token("ec", "p256.pem");
    let issuer = Issuer::start();
    let verifier = Verifier::new(&issuer);
    let request = InvalidateTokens::new(TokenSelector::Token(ec.clone()), "");
    let error = verifier.host.invalidate_tokens_blocking(None, &request).unwrap_err();
    assert!(!matches!(error.kind(), ErrorKind::NotFound(_)), "without a set it cannot tell: {error}");
    issuer.serves(Some(&["ec"]));
    verifier.clock.set(NOW + 20);
    let invalidated = verifier.host.invalidate_tokens_blocking(None, &request).unwrap();
    assert_eq!(invalidated.tokens[0].actor_id, "root");
    let error = verifier.host.verify_token_blocking(&ec).unwrap_err();
    assert!(error.to_string().contains("revoked"), "{error}");
}

#[test]
fn a_token_that_names_no_key_is_tried_with_a_few() {
    let of = |file: &str| {
        let mut scratch = Scratch::new();
        scratch.plugin("jwt", Plugin::Jwt, &format!("keys = [{{ key = {{ file = '{}' }} }}]", data(file)));
        let host = Host::builder().config_file(scratch.config()).clock(SetClock::at(NOW)).build().unwrap();
        host.create_token_blocking(&CreateToken::new("root")).unwrap().token
    };
    let (ec, forged) = (of("p256.pem"), of("p256.pem").rsplit_once('.').unwrap().0.to_owned() + "." + &"A".repeat(86));
    let set: Value = serde_json::from_str(&fs::read_to_string(data("jwks.json")).unwrap()).unwrap();
    for (others, outcome) in [(0, true), (3, true), (4, false), (20, false)] {
        // Each with a name of its own; which of them it is nobody says.
        let mut keys = vec![set["keys"][0].clone()];
        for number in 0..others {
            let mut other = set["keys"][0].clone();
            other["kid"] = json!(format!("other-{number}"));
            // Another point of the curve: RFC 7515's, appendix A.3.
            other["x"] = json!("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU");
            other["y"] = json!("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
            keys.insert(0, other);
        }
        let mut scratch = Scratch::new();
        scratch.file("keys.json", json!({ "keys": keys }).to_string());
        scratch.plugin("jwt", Plugin::Jwt, "jwks = { path = 'keys.json' }");
        let host = Host::builder().config_file(scratch.config()).clock(SetClock::at(NOW)).build().unwrap();
        assert_eq!(matches!(host.verify_token_blocking(&ec), Ok(Some(_))), outcome, "{others} others");
        let error = host.verify_token_blocking(&forged).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::TokenInvalid(_)), "ours, and bad: {error}");
    }
}

#[test]
fn a_key_of_the_set_cannot_be_had_with_another_algorithm() {
    let issuer = Issuer::start();
    issuer.serves(Some(&["ec", "ed", "rsa"]));
    let verifier = Verifier::new(&issuer);
    assert!(verifier.accepts(&token("rsa", "rsa.pem")));
    let ec = token("ec", "p256.pem");
    let (_, rest) = ec.split_once('.').unwrap();
    for header in [
        r#"{"alg":"ES256","kid":"rsa"}"#,
        r#"{"alg":"RS512","kid":"rsa"}"#,
        r#"{"alg":"HS256","kid":"rsa"}"#,
        r#"{"alg":"PS256","kid":"rsa"}"#,
        r#"{"alg":"ES384","kid":"ec"}"#,
    ] {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
        let error =
            verifier.host.verify_token_blocking(&format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header))).unwrap_err();
        let ErrorKind::TokenInvalid(reason) = error.kind() else { panic!("{header}: {error}") };
        assert_eq!(reason.message(), "`alg` does not fit the key that `kid` names", "{header}");
    }
    assert_eq!(issuer.asked(), 1, "the key is known: nobody need be asked");
}

#[test]
fn a_set_in_a_file_is_read_again() {
    let (ec, ed) = (token("ec", "p256.pem"), token("ed", "ed25519.pem"));
    let mut scratch = Scratch::new();
    let set: Value = serde_json::from_str(&fs::read_to_string(data("jwks.json")).unwrap()).unwrap();
    let write = |scratch: &Scratch, index: usize| {
        scratch.file("keys/jwks.json", json!({ "keys": [set["keys"][index]] }).to_string());
    };
    write(&scratch, 0);
    scratch.plugin("jwt", Plugin::Jwt, "jwks = { path = 'keys/jwks.json' }");
    let clock = SetClock::at(NOW);
    let host = Host::builder().config_file(scratch.config()).clock(clock.clone()).build().unwrap();
    let accepts = |token: &str| host.verify_token_blocking(token).unwrap().is_some();
    assert!(accepts(&ec) && !accepts(&ed));
    write(&scratch, 1);
    clock.set(NOW + 60);
    assert!(accepts(&ed) && !accepts(&ec));
    scratch.file("keys/jwks.json", "no set");
    clock.set(NOW + 1_000);
    assert!(accepts(&ed), "the last good one is kept");
}
