//! The fuzz targets' checks on bytes that are changed at random, the same in every run: a short campaign for every
//! day. The long ones are run as `tests/fuzz/Cargo.toml` says.

use std::{cell::Cell, path::Path};

use fastrand::Rng;
use token_host::{
    Clock, Host, RequestContext, Verdict,
    admit::inspect_bytes,
    config::{Config, MakeSecrets, Origin},
};
use token_host_tests::{JWT_SECRET, Plugin, Scratch, fuzz};

#[test]
fn configurations() {
    for bytes in mutants(fuzz::configs(), 10_000) {
        fuzz::config(&bytes);
    }
}

#[test]
fn libraries() {
    for bytes in mutants(fuzz::libraries(), 150_000) {
        fuzz::library(&bytes);
    }
}

#[test]
fn signed_tokens() {
    let mut scratch = Scratch::new();
    // So that what is behind the host's own bound is reached.
    scratch.host("max_token_bytes = 1048576").signed("");
    judged(&scratch, fuzz::tokens(), |judge, bytes| fuzz::signed(judge, bytes));
}

#[test]
fn json_web_tokens() {
    let mut scratch = Scratch::new();
    let settings = format!("secret = '{JWT_SECRET}'\nkind = 'any'\nrevocation = {{ url = 'none' }}");
    scratch.host("max_token_bytes = 1048576").plugin("jwt", Plugin::Jwt, &settings);
    judged(&scratch, fuzz::jwts(), |judge, bytes| fuzz::jwt(judge, bytes));
}

#[test]
fn what_is_changed_was_good() {
    let config = String::from_utf8(fuzz::configs().remove(0)).unwrap();
    Config::parse(&config, Origin::Text, Path::new("no-such-folder"), MakeSecrets::Ephemeral).unwrap();
    let inspected = inspect_bytes(Path::new("library"), &fuzz::libraries()[0]).unwrap();
    assert!(inspected.objection.is_none(), "{inspected:?}");
}

/// Has a host judge what mutants of these are made into.
fn judged(scratch: &Scratch, seeds: Vec<Vec<u8>>, check: impl Fn(&dyn Fn(&str) -> Verdict, &[u8])) {
    let host = Host::builder().config_file(scratch.config()).clock(Stopped).build().unwrap();
    let accepted = Cell::new(0);
    let judge = |token: &str| {
        let verdict = host.verify_blocking(token, &RequestContext::default()).verdict.unwrap();
        accepted.set(accepted.get() + u32::from(matches!(verdict, Verdict::Accepted(_))));
        verdict
    };
    for bytes in mutants(seeds, 100_000) {
        check(&judge, &bytes);
    }
    assert!(accepted.get() > 100, "what stayed good is still accepted: {} times", accepted.get());
}

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> u64 {
        fuzz::NOW
    }
}

/// What there is to begin with, and then so many changed ones of it.
pub(crate) fn mutants(seeds: Vec<Vec<u8>>, count: usize) -> impl Iterator<Item = Vec<u8>> {
    let mut random = Rng::with_seed(0);
    let untouched = seeds.clone();
    let mutants = (0..count).map(move |_| {
        let mut bytes = random.choice(&seeds).unwrap().clone();
        for _ in 0..random.usize(1..=4) {
            mutate(&mut bytes, random.choice(&seeds).unwrap(), &mut random);
        }
        bytes
    });
    untouched.into_iter().chain(mutants)
}

/// One change, of the kinds that fuzzers make.
fn mutate(bytes: &mut Vec<u8>, other: &[u8], random: &mut Rng) {
    /// Values on the edge of something, in numbers and in texts.
    const TELLING: [u8; 14] = [0, 1, 0x7f, 0x80, 0xff, b'\n', b' ', b'.', b'"', b'\'', b'[', b'{', b'\\', b'9'];
    let start = random.usize(..=bytes.len());
    let end = random.usize(start..=bytes.len().min(start + 16));
    let from = random.usize(..other.len());
    let piece = &other[from..other.len().min(from + random.usize(1..=16))];
    match random.u8(..7) {
        0 => drop(bytes.drain(start..end)),
        1 => drop(bytes.splice(start..start, piece.iter().copied())),
        2 => drop(bytes.splice(start..end, piece.iter().copied())),
        3 => bytes[start..end].fill(*random.choice(&TELLING).unwrap()),
        4 => bytes.insert(start, *random.choice(&TELLING).unwrap()),
        5 => bytes[start..end].iter_mut().for_each(|byte| *byte ^= 1 << random.u8(..8)),
        _ => bytes.truncate(start),
    }
}
