//! What a JSON Web Token costs through the host, against a floor written by hand, and against the `jsonwebtoken` crate.

use std::hint::black_box;

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    error::KeyRejected,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
        ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use token_host::{CreateToken, Error, ErrorKind, Host, InvalidateTokens, TokenSelector};

use crate::{
    floor::now,
    jwt_floor::{Buffer, JwtFloor},
    libraries::host_of,
    machine,
    sampler::{Effort, Variant, interleave},
    table::{self, Target},
};

/// Long enough for HS512.
const SECRET: &str = "a fixed secret for benches, of sixty-four bytes, as HS512 wants it";
const ISSUER: &str = "https://issuer.example.com";
const AUDIENCE: &str = "https://api.example.com";

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    iss: String,
    aud: String,
    exp: u64,
    iat: u64,
    jti: String,
}

pub(crate) fn measure(effort: Effort) {
    hmac(effort);
    key_pairs(effort);
    revoked(effort);
}

fn claims() -> Claims {
    Claims {
        sub: "user-1234567890".to_owned(),
        iss: ISSUER.to_owned(),
        aud: AUDIENCE.to_owned(),
        exp: now() + 86_400,
        iat: now(),
        jti: "Yx1Jw8hG2k3mN4pQ5rS6tA".to_owned(),
    }
}

fn hmac(effort: Effort) {
    let floor = &JwtFloor::new(SECRET);
    let token = &floor.token(&serde_json::to_string(&claims()).unwrap());
    let bad = &with_another_signature(token);
    let (token_384, token_512) = (&made_by_others(Algorithm::HS384), &made_by_others(Algorithm::HS512));
    let host = &host_with("HS256");
    let (host_384, host_512) = (&host_with("HS384"), &host_with("HS512"));
    for (host, token) in [(host, token), (host_384, token_384), (host_512, token_512)] {
        assert_eq!(host.verify_token_blocking(token).unwrap().unwrap().id(), "user-1234567890");
    }
    assert!(is_rejected(&host.verify_token_blocking(bad)));
    assert!(floor.verify(token, now(), &mut Buffer::new()) == Some("user-1234567890") && floor.signed(bad).is_none());
    let key = &DecodingKey::from_secret(SECRET.as_bytes());
    let (rules, rules_384, rules_512) = (&rules(Algorithm::HS256), &rules(Algorithm::HS384), &rules(Algorithm::HS512));
    let signing = &EncodingKey::from_secret(SECRET.as_bytes());
    let request = &CreateToken::new("user-1234567890");
    let mut buffer = Buffer::new();
    let theirs = |token, rules| black_box(jsonwebtoken::decode::<Claims>(black_box(token), key, rules)).is_ok();
    let ours = |host: &'static str| format!("{host}, through the host");
    let variants = vec![
        Variant::new("floor: HMAC, base64, JSON, clock, exp", || {
            black_box(floor.verify(black_box(token), now(), &mut buffer)).is_some()
        }),
        Variant::new("jsonwebtoken, HS256", || theirs(token, rules)),
        Variant::new(ours("verify HS256"), || black_box(host.verify_token_blocking(black_box(token)))),
        Variant::new("jsonwebtoken, HS384", || theirs(token_384, rules_384)),
        Variant::new(ours("verify HS384"), || black_box(host_384.verify_token_blocking(black_box(token_384)))),
        Variant::new("jsonwebtoken, HS512", || theirs(token_512, rules_512)),
        Variant::new(ours("verify HS512"), || black_box(host_512.verify_token_blocking(black_box(token_512)))),
        Variant::new("floor: the signature check alone", || black_box(floor.signed(black_box(bad))).is_some()),
        Variant::new(ours("bad signature"), || black_box(host.verify_token_blocking(black_box(bad)))),
        Variant::new("jsonwebtoken, create", || {
            black_box(jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims(), signing))
        }),
        Variant::new(ours("create HS256"), || black_box(host.create_token_blocking(black_box(request)))),
    ];
    let series = interleave(effort, variants);
    let [floor, crate_256, host_256, crate_384, host_384, crate_512, host_512, check, bad, crate_create, create] =
        &series[..]
    else {
        unreachable!("a line for each variant")
    };
    table::section(&format!("jwt, from its library; a token of {} bytes: sub, iss, aud, exp, iat, jti", token.len()));
    table::line(floor, Target::None);
    table::line(crate_256, Target::None);
    let target = [("floor", floor, Target::Ratio(1.15)), ("jsonwebtoken", crate_256, Target::Ratio(1.0 / 2.8))];
    table::compared(host_256, &target);
    table::line(host_256, Target::Nanoseconds(800.0));
    for (theirs, ours) in [(crate_384, host_384), (crate_512, host_512)] {
        table::line(theirs, Target::None);
        table::compared(ours, &[("jsonwebtoken", theirs, Target::None)]);
        table::line(ours, Target::Nanoseconds(1_400.0));
    }
    table::line(check, Target::None);
    table::compared(bad, &[("the check", check, Target::Ratio(1.1))]);
    table::line(crate_create, Target::None);
    table::compared(create, &[("jsonwebtoken", crate_create, Target::None)]);
    table::line(create, Target::Nanoseconds(700.0));
}

/// A host whose `jwt` has the secret.
fn host_with(algorithm: &str) -> Host {
    host_of(
        "token_jwt",
        &format!("secret = '{SECRET}'\nalgorithm = '{algorithm}'\nissuer = '{ISSUER}'\naudience = '{AUDIENCE}'\n"),
    )
}

fn rules(algorithm: Algorithm) -> Validation {
    let mut rules = Validation::new(algorithm);
    rules.set_audience(&[AUDIENCE]);
    rules.set_issuer(&[ISSUER]);
    rules
}

fn made_by_others(algorithm: Algorithm) -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&Header::new(algorithm), &claims(), &key).unwrap()
}

fn with_another_signature(token: &str) -> String {
    let (message, signature) = token.rsplit_once('.').unwrap();
    let mut tag = URL_SAFE_NO_PAD.decode(signature).unwrap();
    tag[0] ^= 1;
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
}

fn is_rejected<T>(verified: &Result<T, Error>) -> bool {
    verified.as_ref().is_err_and(|error| matches!(error.kind(), ErrorKind::TokenInvalid(_)))
}

/// Many revoked tokens, against none.
fn revoked(effort: Effort) {
    let count = effort.choose(1_000_000, 1_000);
    let folder = tempfile::tempdir().unwrap();
    let of_file = |name: &str| {
        let url = format!("sqlite:{}", folder.path().join(name).display());
        host_of("token_jwt", &format!("secret = '{SECRET}'\nrevocation = {{ url = '{url}' }}"))
    };
    // One by one, as they come, they are safe on a disk each; here the file is filled behind the handler's back.
    let one = InvalidateTokens::new(TokenSelector::Id("the first".to_owned()), "");
    of_file("many.db").invalidate_tokens_blocking(None, &one).unwrap();
    let mut file = rusqlite::Connection::open(folder.path().join("many.db")).unwrap();
    let rows = file.transaction().unwrap();
    let insert = "INSERT INTO revoked_tokens (jti, expires_at, revoked_at, reason) VALUES (?1, ?2, ?2, '')";
    let mut insertion = rows.prepare(insert).unwrap();
    let expires = i64::try_from(now()).unwrap() + 86_400;
    for number in 1..count {
        insertion.execute((format!("{number:022}"), expires)).unwrap();
    }
    drop(insertion);
    rows.commit().unwrap();
    let none = of_file("none.db");
    let before = machine::resident_bytes();
    let many = of_file("many.db");
    let each = (machine::resident_bytes() - before) / f64::from(count);
    let token = none.create_token_blocking(&CreateToken::new("root").expires_after(86_400)).unwrap().token;
    assert!(many.verify_token_blocking(&token).unwrap().is_some(), "the benches' token is good");
    // A token for each call, so that none is found in the cache for having just been asked about.
    let tokens: Vec<String> = (0..effort.choose(20_000, 10))
        .map(|_| many.create_token_blocking(&CreateToken::new("root").expires_after(86_400)).unwrap().token)
        .collect();
    let (mut next_none, mut next_many) = (tokens.iter().cycle(), tokens.iter().cycle());
    let variants = vec![
        Variant::new("verify, none revoked", || black_box(none.verify_token_blocking(next_none.next().unwrap()))),
        Variant::new(format!("verify, {count} revoked"), || {
            black_box(many.verify_token_blocking(next_many.next().unwrap()))
        }),
    ];
    let series = interleave(effort, variants);
    table::section("jwt with revoked tokens; another token each time");
    table::line(&series[0], Target::None);
    table::compared(&series[1], &[("none revoked", &series[0], Target::Ratio(1.15))]);
    table::note(&format!("memory that the process has more after loading them: {each:.1} bytes each (at most 40)"));
}

/// Key pairs, against the library underneath, with a key that it has parsed already.
fn key_pairs(effort: Effort) {
    let random = SystemRandom::new();
    let ecdsa = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let edwards = Ed25519KeyPair::generate().unwrap();
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let rsa_signature = |message: &[u8]| {
        let mut signature = vec![0; rsa.public_modulus_len()];
        rsa.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
        signature
    };
    let pairs = [
        Pair::new(
            "ES256",
            |der| ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, der),
            ecdsa.public_key(),
            |message| ecdsa.sign(&random, message).unwrap().as_ref().to_vec(),
        ),
        Pair::new(
            "EdDSA",
            |der| ParsedPublicKey::new(&ED25519, der),
            edwards.public_key(),
            |message| edwards.sign(message).as_ref().to_vec(),
        ),
        Pair::new(
            "RS256",
            |der| ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der),
            rsa.public_key(),
            rsa_signature,
        ),
    ];
    table::section("jwt with key pairs, against aws-lc-rs with a parsed key");
    for pair in &pairs {
        let variants = vec![
            Variant::new(format!("aws-lc-rs, {}", pair.algorithm), || {
                black_box(pair.key.verify_sig(black_box(pair.message.as_bytes()), black_box(&pair.signature))).is_ok()
            }),
            Variant::new(format!("verify {}, through the host", pair.algorithm), || {
                black_box(pair.host.verify_token_blocking(black_box(&pair.token)))
            }),
        ];
        let series = interleave(effort, variants);
        table::line(&series[0], Target::None);
        table::compared(&series[1], &[("aws-lc-rs", &series[0], Target::Ratio(1.05))]);
    }
}

/// A token of a key pair, and what it takes to verify it.
struct Pair {
    algorithm: &'static str,
    key: ParsedPublicKey,
    host: Host,
    token: String,
    message: String,
    signature: Vec<u8>,
}

impl Pair {
    fn new<K: AsDer<PublicKeyX509Der<'static>>>(
        algorithm: &'static str,
        parse: impl Fn(&[u8]) -> Result<ParsedPublicKey, KeyRejected>,
        public_key: &K,
        sign: impl Fn(&[u8]) -> Vec<u8>,
    ) -> Self {
        let der = AsDer::<PublicKeyX509Der<'static>>::as_der(public_key).unwrap();
        let header = format!(r#"{{"alg":"{algorithm}","typ":"JWT"}}"#);
        let claims = serde_json::to_string(&claims()).unwrap();
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = sign(message.as_bytes());
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der.as_ref()));
        let host = host_of(
            "token_jwt",
            &format!(
                "issuer = '{ISSUER}'\naudience = '{AUDIENCE}'\nkeys = [{{ algorithm = '{algorithm}', key = \"\"\"{pem}\"\"\" }}]"
            ),
        );
        let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(&signature));
        assert!(host.verify_token_blocking(&token).unwrap().is_some(), "the benches' token is good");
        Self { algorithm, key: parse(der.as_ref()).unwrap(), host, token, message, signature }
    }
}
