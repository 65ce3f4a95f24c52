//! Real libraries of JSON Web Tokens: each algorithm, in both directions.

use std::{fs, thread};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use token_host::{CreateToken, ErrorKind, Host, TokenDetails, TokenKind, TokenRestrictions};
use token_host_tests::{JwtKey, JwtLibraries, JwtUse, Plugin, Scratch, now, repository, skipped};

const ALGORITHMS: [&str; 14] = [
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512",
    "EdDSA", "Ed25519",
];

/// A library, and those of [`ALGORITHMS`] that it does not know.
type Library = (&'static str, &'static [&'static str]);

const OF_PYTHON: [Library; 4] = [
    ("pyjwt", &["Ed25519"]),
    ("python-jose", &["PS256", "PS384", "PS512", "EdDSA", "Ed25519"]),
    ("authlib", &["Ed25519"]),
    ("joserfc", &[]),
];
const OF_NODE: [Library; 2] = [("jose", &[]), ("jsonwebtoken", &["EdDSA", "Ed25519"])];
const OF_RUST: [Library; 1] = [("jsonwebtoken", &["ES512", "Ed25519"])];

#[test]
fn python_libraries_in_both_directions() {
    let Some(mut libraries) = skipped("python_libraries_in_both_directions", JwtLibraries::of_python()) else { return };
    assert_eq!(both_directions(&mut libraries, &OF_PYTHON), Pairs { they_made: 49, we_made: 49, unsupported: 7 });
}

#[test]
fn npm_libraries_in_both_directions() {
    let Some(mut libraries) = skipped("npm_libraries_in_both_directions", JwtLibraries::of_node()) else { return };
    assert_eq!(both_directions(&mut libraries, &OF_NODE), Pairs { they_made: 26, we_made: 26, unsupported: 2 });
}

#[test]
fn the_crate_in_both_directions() {
    let pairs = both_directions(&mut JwtLibraries::of_rust(), &OF_RUST);
    assert_eq!(pairs, Pairs { they_made: 12, we_made: 12, unsupported: 2 });
}

#[test]
fn key_sets_of_python_libraries() {
    let Some(mut libraries) = skipped("key_sets_of_python_libraries", JwtLibraries::of_python()) else { return };
    assert_eq!(key_sets(&mut libraries, &OF_PYTHON), 37);
}

#[test]
fn key_sets_of_the_npm_library_that_writes_them() {
    let Some(mut libraries) = skipped("key_sets_of_the_npm_library", JwtLibraries::of_node()) else { return };
    assert_eq!(key_sets(&mut libraries, &OF_NODE[..1]), 11);
}

#[test]
fn key_sets_of_the_crate() {
    assert_eq!(key_sets(&mut JwtLibraries::of_rust(), &OF_RUST), 9);
}

#[test]
fn private_jwks_of_libraries_sign() {
    let Some(mut python) = skipped("private_jwks_of_libraries_sign", JwtLibraries::of_python()) else { return };
    let Some(mut node) = skipped("private_jwks_of_libraries_sign", JwtLibraries::of_node()) else { return };
    let (mut signed, mut ours) = (0, Ours::new());
    // The crate writes public ones alone.
    let writers = OF_PYTHON.iter().map(|library| (library, true)).chain([(&OF_NODE[0], false)]);
    for ((library, unsupported), is_python) in writers {
        let libraries = if is_python { &mut python } else { &mut node };
        for algorithm in key_pairs(unsupported) {
            let (private, public) = keys(algorithm);
            let jwk = libraries.export(JwtUse { library, algorithm, key: &private });
            assert!(jwk["d"].is_string(), "{library} {algorithm}: it is private");
            let ours = ours.with(&key_settings(algorithm, &JwtKey::Jwk(jwk)));
            let token = ours.create_token_blocking(&request(library)).unwrap().token;
            let with = JwtUse { library, algorithm, key: &public };
            let theirs = libraries.decode(with, &token, Some(ISSUER), Some(AUDIENCE));
            assert_eq!(theirs.unwrap().claims, payload(&token), "{library} {algorithm}");
            signed += 1;
        }
    }
    assert_eq!(signed, 48);
}

/// How many pairs of a library and an algorithm were tried.
#[derive(Debug, Default, PartialEq)]
struct Pairs {
    they_made: usize,
    we_made: usize,
    unsupported: usize,
}

fn both_directions(libraries: &mut JwtLibraries, which: &[Library]) -> Pairs {
    let mut pairs = Pairs::default();
    let (mut maker, mut verifier) = (Ours::new(), Ours::new());
    for algorithm in ALGORITHMS {
        let (private, public) = keys(algorithm);
        let maker = maker.with(&key_settings(algorithm, &private));
        let verifier = verifier.with(&key_settings(algorithm, &public));
        for (library, unsupported) in which {
            let [private, public] = [&private, &public].map(|key| JwtUse { library, algorithm, key });
            if unsupported.contains(&algorithm) {
                let refusal = libraries.encode(private, &claims(), &json!({}));
                assert!(refusal.is_err(), "{library} knows {algorithm} by now");
                pairs.unsupported += 1;
                continue;
            }
            they_make(libraries, private, verifier);
            pairs.they_made += 1;
            we_make(libraries, public, maker);
            pairs.we_made += 1;
        }
    }
    pairs
}

fn they_make(libraries: &mut JwtLibraries, with: JwtUse<'_>, verifier: &Host) {
    let claims = claims();
    let token = libraries.encode(with, &claims, &Value::Object(headers_for(with.library))).unwrap();
    assert_eq!(judged(verifier, &token), Ok(actor_of(&claims)), "{with:?}");
    for (what, changed) in changed(&token) {
        assert_eq!(judged(verifier, &changed), Err(Refused), "{with:?}: {what}");
    }
}

fn we_make(libraries: &mut JwtLibraries, with: JwtUse<'_>, maker: &Host) {
    let before = now();
    let created = maker.create_token_blocking(&request(with.library)).unwrap();
    let mut decode = |token: &str| libraries.decode(with, token, Some(ISSUER), Some(AUDIENCE));
    let theirs = decode(&created.token).unwrap_or_else(|refusal| panic!("{with:?}: {refusal}"));
    assert_eq!(theirs.claims, payload(&created.token), "{with:?}");
    let (expires, issued) = (created.expires_at.unwrap(), theirs.claims["iat"].as_u64().unwrap());
    assert!((before..=now()).contains(&issued) && expires == issued + 600, "{with:?}: {theirs:?}");
    let expected = json!({
        "sub": "rööt", "iss": ISSUER, "aud": AUDIENCE, "exp": expires, "iat": issued, "nbf": issued, "jti": created.id,
        "type": "access", "fresh": true, "_r": { "a": ["vi"] },
        "role": "editor", "nested": { "list": [1, -2.5, true, null, "\"\\/\n"], "名前": {} },
    });
    assert_eq!(theirs.claims, expected, "{with:?}");
    let mut headers = headers_for(with.library);
    headers.extend([("alg".to_owned(), with.algorithm.into()), ("typ".to_owned(), "JWT".into())]);
    assert_eq!(theirs.headers, Value::Object(headers), "{with:?}");
    for (what, changed) in changed(&created.token) {
        assert!(decode(&changed).is_err(), "{with:?}: {what}");
    }
}

/// Has libraries write public keys as JWKs, and gives us these in a set, and one by one. How many there were.
fn key_sets(libraries: &mut JwtLibraries, which: &[Library]) -> usize {
    let mut count = 0;
    let (mut of_set, mut of_pem, mut of_jwk) = (Ours::new(), Ours::new(), Ours::new());
    for (library, unsupported) in which {
        let written = key_pairs(unsupported).map(|algorithm| {
            let (_, public) = keys(algorithm);
            let mut jwk = libraries.export(JwtUse { library, algorithm, key: &public });
            // Libraries name keys as they like, and the same key is here for several algorithms.
            jwk["kid"] = algorithm.into();
            jwk["alg"] = algorithm.into();
            (algorithm, jwk)
        });
        let written: Vec<(&str, Value)> = written.collect();
        let set = json!({ "keys": written.iter().map(|(_, jwk)| jwk).collect::<Vec<_>>() });
        let of_set = of_set.with_set(library, &set);
        for (algorithm, jwk) in written {
            let (private, public) = keys(algorithm);
            let settings = |key| format!("{}kid = '{algorithm}'", key_settings(algorithm, &key));
            let (of_pem, of_jwk) = (of_pem.with(&settings(public)), of_jwk.with(&settings(JwtKey::Jwk(jwk))));
            let with = JwtUse { library, algorithm, key: &private };
            let token = libraries.encode(with, &claims(), &json!({ "kid": algorithm })).unwrap();
            let mut expected = Ok(actor_of(&payload(&token)));
            for (what, token) in [("the token", token.clone())].into_iter().chain(changed(&token)) {
                for (form, host) in [("PEM", of_pem), ("JWK", of_jwk), ("set", of_set)] {
                    assert_eq!(judged(host, &token), expected, "{library} {algorithm}, {form}: {what}");
                }
                expected = Err(Refused);
            }
            count += 1;
        }
    }
    count
}

#[test]
fn a_set_as_a_library_writes_it_needs_neither_names_nor_algorithms() {
    let test = "a_set_as_a_library_writes_it_needs_neither_names_nor_algorithms";
    let Some(mut libraries) = skipped(test, JwtLibraries::of_python()) else { return };
    let mut ours = Ours::new();
    for library in ["pyjwt", "joserfc"] {
        let algorithms = ["RS256", "ES256", "ES384", "ES512", "EdDSA"];
        let written = algorithms.map(|algorithm| {
            let (_, public) = keys(algorithm);
            libraries.export(JwtUse { library, algorithm, key: &public })
        });
        assert!(written.iter().all(|jwk| jwk.get("alg").is_none() && jwk.get("kid").is_none()), "{written:?}");
        let ours = ours.with_set(library, &json!({ "keys": written }));
        for algorithm in algorithms {
            let (private, _) = keys(algorithm);
            let with = JwtUse { library, algorithm, key: &private };
            let token = libraries.encode(with, &claims(), &json!({})).unwrap();
            assert_eq!(judged(ours, &token), Ok(actor_of(&payload(&token))), "{library} {algorithm}");
        }
    }
}

#[test]
fn a_token_is_good_from_the_moment_it_is_made() {
    let (key, _) = keys("HS256");
    let mut ours = Ours::new();
    let ours = ours.with(&key_settings("HS256", &key));
    let with = JwtUse { library: "jsonwebtoken", algorithm: "HS256", key: &key };
    for _ in 0..3 {
        // At the turn of a second, where it shows when our clock is behind the others'.
        let second = now();
        while now() == second {
            thread::yield_now();
        }
        let token = JwtLibraries::of_rust().encode(with, &claims(), &json!({})).unwrap();
        assert_eq!(judged(ours, &token), Ok(actor_of(&payload(&token))));
    }
}

const ISSUER: &str = "https://issuer.example/ä";
const AUDIENCE: &str = "token-host";
/// Long enough for HS512.
pub(crate) const LONG_SECRET: &str = "a secret of the tests, known to everybody, in 64 bytes or a few more";

/// A host with the jwt plugin, whose keys change: a process keeps the libraries of each host that it had.
struct Ours {
    host: Host,
    scratch: Scratch,
}

impl Ours {
    fn new() -> Self {
        let mut scratch = Scratch::new();
        configure(&mut scratch, &format!("secret = '{LONG_SECRET}'"));
        Self { host: Host::from_file(scratch.config()).unwrap(), scratch }
    }

    /// The host with these keys.
    fn with(&mut self, settings: &str) -> &Host {
        configure(self.scratch.no_entries(), settings);
        self.host.reload().unwrap();
        &self.host
    }

    /// The host with a set of keys, in a file that no other has: what is kept at a reload reads its own in its own time.
    fn with_set(&mut self, library: &str, set: &Value) -> &Host {
        let file = format!("{library}.json");
        self.scratch.file(&file, set.to_string());
        self.with(&format!("jwks = {{ path = '{file}' }}"))
    }
}

fn configure(scratch: &mut Scratch, settings: &str) {
    scratch.plugin("jwt", Plugin::Jwt, &format!("issuer = '{ISSUER}'\naudience = '{AUDIENCE}'\n{settings}"));
}

fn key_settings(algorithm: &str, key: &JwtKey) -> String {
    let key = match key {
        JwtKey::Secret(secret) => format!("secret = '{secret}'"),
        JwtKey::Pem(pem) => format!("key = '''\n{pem}'''"),
        JwtKey::Jwk(jwk) => format!("key = '{jwk}'"),
    };
    format!("[[plugin.config.keys]]\nalgorithm = '{algorithm}'\n{key}\n")
}

/// The private and the public key for an algorithm.
fn keys(algorithm: &str) -> (JwtKey, JwtKey) {
    let name = match algorithm {
        "HS256" | "HS384" | "HS512" => {
            let secret = JwtKey::Secret(LONG_SECRET.to_owned());
            return (secret.clone(), secret);
        }
        "ES256" => "p256",
        "ES384" => "p384",
        "ES512" => "p521",
        "EdDSA" | "Ed25519" => "ed25519",
        _ => "rsa",
    };
    let [private, public] = ["pem", "pub.pem"].map(|ending| JwtKey::Pem(pem(&format!("{name}.{ending}"))));
    (private, public)
}

/// A test key.
pub(crate) fn pem(file: &str) -> String {
    fs::read_to_string(repository().join("tests/data/jwt").join(file)).unwrap()
}

/// The algorithms with a public key that a library knows.
fn key_pairs(unsupported: &[&'static str]) -> impl Iterator<Item = &'static str> {
    ALGORITHMS.into_iter().filter(move |algorithm| !algorithm.starts_with("HS") && !unsupported.contains(algorithm))
}

/// Of each kind of claim one, and text in which JSON and UTF-8 could go wrong.
fn claims() -> Value {
    let now = now();
    json!({
        "sub": "rööt", "iss": ISSUER, "aud": ["somebody else", AUDIENCE], "exp": now + 600, "iat": now, "nbf": now,
        "jti": "4b44b744-3b07-4ae8-ab7f-27d9b8d37106", "type": "access", "fresh": true, "_r": { "a": ["vi"] },
        "role": "editor", "nested": { "list": [1, -2.5, true, null, "\"\\/\u{8}\n\u{1f}\u{2028}😀"], "名前": {} },
    })
}

/// Header parameters besides the usual ones. joserfc refuses those that it does not know.
fn headers_for(library: &str) -> Map<String, Value> {
    let tenant = (library != "joserfc").then(|| ("x-tenant".to_owned(), "t1".into()));
    tenant.into_iter().collect()
}

/// The same claims, asked of us.
fn request(library: &str) -> CreateToken {
    let mut details = TokenDetails::default();
    details.kind = Some(TokenKind::FreshAccess);
    details.claims.insert("role".to_owned(), "editor".into());
    details.claims.insert("nested".to_owned(), json!({ "list": [1, -2.5, true, null, "\"\\/\n"], "名前": {} }));
    details.headers = headers_for(library);
    let restrictions = TokenRestrictions::nothing().allow_all("view-instance");
    CreateToken::new("rööt").expires_after(600).restricted_to(restrictions).with_details(details)
}

/// The actor that a token with these claims stands for.
fn actor_of(claims: &Value) -> Value {
    let mut actor = claims.clone();
    actor["id"] = claims["sub"].clone();
    actor["token"] = "jwt".into();
    actor["token_expires"] = claims["exp"].clone();
    actor
}

#[derive(Debug, PartialEq)]
pub(crate) struct Refused;

/// The actor as JSON, or that the token was found bad, and not that it was nobody's.
pub(crate) fn judged(host: &Host, token: &str) -> Result<Value, Refused> {
    match host.verify_token_blocking(token) {
        Ok(actor) => Ok(serde_json::to_value(actor).unwrap()),
        Err(error) if matches!(error.kind(), ErrorKind::TokenInvalid(_)) => Err(Refused),
        Err(error) => panic!("{error}"),
    }
}

/// The claims of a token, whoever signed it.
pub(crate) fn payload(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// The token with this and that changed in it.
fn changed(token: &str) -> impl Iterator<Item = (&'static str, String)> + use<> {
    let [header, body, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("{token} has three parts") };
    let encoded = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let mut other_claims = payload(token);
    other_claims["sub"] = "root".into();
    let other_body = encoded(other_claims);
    let unsigned = encoded(json!({ "alg": "none", "typ": "JWT" }));
    // Not at the end, where a bit may mean nothing.
    let (start, rest) = signature.split_at(signature.len() / 2);
    let other = if rest.starts_with('A') { 'B' } else { 'A' };
    [
        ("other claims", format!("{header}.{other_body}.{signature}")),
        ("another signature", format!("{header}.{body}.{start}{other}{}", &rest[1..])),
        ("half a signature", format!("{header}.{body}.{start}")),
        ("no signature", format!("{header}.{body}.")),
        ("the algorithm none", format!("{unsigned}.{body}.")),
        ("the algorithm none, signed", format!("{unsigned}.{body}.{signature}")),
    ]
    .into_iter()
}
