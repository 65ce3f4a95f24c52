//! What the fuzz targets in `tests/fuzz` and the test suite do with bytes of unknown origin.
//!
//! Each of [`config`], [`library`], [`signed`] and [`jwt`] panics when the code under test does, and when its answer cannot be
//! right; the functions beside them give bytes to begin with.

use std::{fmt::Display, fs, path::Path, process::Command};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use token_host::{
    Actor, TokenRestrictions, Verdict,
    admit::inspect_bytes,
    config::{Config, MakeSecrets, Origin, order_entries},
    token_plugin_api::abi::manifest::{MAGIC, Manifest, SECTION_ELF},
};
use zlib_rs::{InflateConfig, ReturnCode, decompress_slice};

pub use crate::fuzz_jwt::{jwt, jwts};
use crate::{Plugin, SECRET, compressed, forge, forge_encoded, plain, repository, stripped};

/// The time at which tokens are judged, in Unix seconds.
pub const NOW: u64 = 1_700_000_000;

/// Reads a text as `plugins.toml`, twice, and as a list of names in an order.
///
/// # Panics
///
/// When the answers differ, a finding is no line of its own, or settings are not JSON.
pub fn config(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let read = || Config::parse(text, Origin::Text, Path::new("no-such-folder"), MakeSecrets::Ephemeral);
    let order = order_entries(text, Origin::Text);
    order.as_ref().err().into_iter().flatten().for_each(assert_is_a_line);
    match (read(), read()) {
        (Ok(config), Ok(again)) => {
            assert_eq!(config.warnings, again.warnings);
            config.warnings.iter().for_each(assert_is_a_line);
            let order = order.expect("a configuration has an order");
            assert!(config.plugins.iter().map(|plugin| &plugin.name).eq(order.iter().map(|entry| &entry.name)));
            for plugin in &config.plugins {
                serde_json::from_str::<Map<String, Value>>(plugin.settings.json()).expect("settings are an object");
            }
        }
        (Err(findings), Err(again)) => {
            assert_eq!(findings, again);
            assert!(findings.iter().next().is_some(), "an error without a finding");
            findings.iter().for_each(assert_is_a_line);
        }
        (first, second) => panic!("first {first:?}, then {second:?}"),
    }
}

/// Texts for [`config`]: the one that documents every key, and what else there is.
pub fn configs() -> Vec<Vec<u8>> {
    let documented = fs::read(repository().join("plugins.toml")).unwrap();
    let faulty = "\u{feff}[host]\ndrop_in = 'd'\nsearch = ['a', 1]\nmax_token_bytes = 0x7fffffffffffffffff\n\
                  event_queue = -1\nunknown.key = 1979-05-27T07:32:00Z\n[[plugin]]\nname = 'a/b'\nfile = './x.so'\n\
                  sha256 = 'abc'\non_error = \"contin\\u0075e\"\ndeadline_ms = 1e3\nconfig = 7\n[[plugin]]\nname = 'a'\n\
                  [[plugin]]\nname = 'a'\nfile = ''";
    let settings = "[[plugin]]\nname = 'a'\n[plugin.config]\nsecret = { env = 'PATH' }\n\
                    keys = [{ file = 'k', generate = true }, { file = \"no\\nne\" }, 'inline']\nodd.\"a\\nb\" = [nan, 1.5e3]\n\
                    [[plugin.config.deep]]\na = [[[[{ b = [{}] }]]]]\nc = '''\nx'''\nd = \"\"\"\ny\"\"\"";
    vec![documented, faulty.into(), settings.into()]
}

/// Reads bytes as a library and, with and without what has to stand before one, as a manifest.
///
/// # Panics
///
/// When a refusal is no line.
pub fn library(bytes: &[u8]) {
    match inspect_bytes(Path::new("library"), bytes) {
        Ok(inspected) => {
            assert_eq!(inspected.size_bytes, bytes.len() as u64);
            inspected.objection.iter().for_each(assert_is_a_line);
        }
        Err(refusal) => assert_is_a_line(&refusal),
    }
    let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
    for manifest in [bytes, &[MAGIC.as_slice(), &length, bytes].concat()] {
        Manifest::parse(manifest).err().iter().for_each(assert_is_a_line);
    }
}

/// Libraries for [`library`]: a small one, where there is a C compiler for ELF, so that most of it matters.
pub fn libraries() -> Vec<Vec<u8>> {
    let manifest = "name=small\0version=1.2.3\0abi=1\0api=1.0.0\0rustc=none\0panic=unwind\0hook=handler\0";
    let length = u32::try_from(manifest.len()).unwrap().to_le_bytes();
    let manifest = [MAGIC.as_slice(), &length, manifest.as_bytes()].concat();
    let numbers: Vec<String> = manifest.iter().map(u8::to_string).collect();
    let source = format!(
        "__attribute__((section(\"{SECTION_ELF}\"), used)) static const unsigned char manifest[] = {{ {} }};
         const char *const _1as_0lib_1header_0root_bmodule_bloader[8] = {{ \"root\" }};
         extern int elsewhere(int); __thread int counter = 3;
         __attribute__((constructor)) static void start(void) {{ elsewhere(counter); }}",
        numbers.join(",")
    );
    let folder = tempfile::tempdir().unwrap();
    let (written, built) = (folder.path().join("small.c"), folder.path().join("small.so"));
    fs::write(&written, source).unwrap();
    let arguments = ["-shared", "-fPIC", "-nostdlib", "-s", "-Wl,-z,noseparate-code", "-o"];
    let done = Command::new("cc").args(arguments).arg(&built).arg(&written).output();
    let small = done.is_ok_and(|output| output.status.success()).then(|| fs::read(&built).unwrap());
    vec![small.unwrap_or_else(|| stripped(Plugin::Signed.path())), manifest]
}

/// Has a verifier judge what the bytes behind the first are made into; the first says what that is: a token as it
/// stands, or something within a token that is signed. The verifier's secret is [`SECRET`], its time [`NOW`].
///
/// # Panics
///
/// When a token is accepted that the harness would have made otherwise, or that says something else than the verdict;
/// when a rejection gives no reason.
pub fn signed(judge: impl Fn(&str) -> Verdict, bytes: &[u8]) {
    let Some((kind, content)) = bytes.split_first() else { return };
    let token = match (kind % 5, str::from_utf8(content)) {
        (AS_IT_STANDS, Ok(text)) => text.to_owned(),
        (ENCODED, Ok(text)) => forge_encoded(SECRET, text),
        (PAYLOAD, _) => forge(SECRET, content),
        (TO_COMPRESS, _) => forge_encoded(SECRET, &compressed(content)),
        (STREAM, _) => forge_encoded(SECRET, &format!(".{}", plain(content))),
        _ => return,
    };
    match judge(&token) {
        Verdict::NotRecognized => assert!(!token.starts_with(PREFIX), "nobody else would judge it"),
        Verdict::Rejected(reason) => assert_is_a_line(&reason),
        Verdict::Accepted(actor) => assert_says(&token, &actor),
    }
}

/// Bytes for [`signed`]: every kind, with payloads that are accepted and such that are not.
pub fn tokens() -> Vec<Vec<u8>> {
    let restrictions = json!({ "a": ["vi"], "d": { "docs": ["vd"] }, "r": { "docs": { "t": ["ir", "own"] } } });
    let payloads = [
        json!({ "a": "root", "t": NOW }),
        json!({ "a": "Zo\u{eb} \u{1f600}\n", "t": NOW - 5, "d": 3600, "_r": restrictions, "x": [{}, null, -1.5e3, true] }),
        json!({ "a": "root", "t": NOW - 100, "d": 100 }),
        json!({ "t": NOW + 3600, "a": ["root"] }),
    ];
    let kinds = |payload: &Value| {
        let payload = payload.to_string();
        let stream = URL_SAFE_NO_PAD.decode(&compressed(&payload)[1..]).unwrap();
        [
            (AS_IT_STANDS, forge(SECRET, &payload).into_bytes()),
            (ENCODED, plain(&payload).into_bytes()),
            (ENCODED, compressed(&payload).into_bytes()),
            (STREAM, stream),
            (TO_COMPRESS, payload.clone().into_bytes()),
            (PAYLOAD, payload.into_bytes()),
        ]
    };
    let with_kind = |(kind, content): (u8, Vec<u8>)| [vec![kind], content].concat();
    payloads.iter().flat_map(kinds).map(with_kind).collect()
}

/// The token is spelt as the harness spells it, and says of the actor what the verdict says.
fn assert_says(token: &str, actor: &Actor) {
    let encoded = token.strip_prefix(PREFIX).and_then(|rest| Some(rest.rsplit_once('.')?.0));
    let encoded = encoded.unwrap_or_else(|| panic!("{token} was accepted"));
    assert_eq!(token, forge_encoded(SECRET, encoded), "another signature was accepted");
    let payload: Value = serde_json::from_slice(&decoded(encoded)).unwrap();
    assert_eq!(Some(actor.id()), payload["a"].as_str(), "{payload}");
    let created = payload["t"].as_u64().filter(|created| *created <= NOW + LEEWAY_SECONDS);
    let created = created.unwrap_or_else(|| panic!("{payload} is of no time or the future"));
    let expires = payload.get("d").map(|life| created + life.as_u64().unwrap());
    assert!(actor.token_expires() == expires && expires.is_none_or(|expires| expires > NOW), "{payload}");
    let restrictions = payload.get("_r").map(|restrictions| TokenRestrictions::deserialize(restrictions).unwrap());
    assert_eq!(actor.restrictions(), restrictions.as_ref(), "{payload}");
}

fn decoded(encoded: &str) -> Vec<u8> {
    let Some(compressed) = encoded.strip_prefix('.') else { return URL_SAFE_NO_PAD.decode(encoded).unwrap() };
    let stream = URL_SAFE_NO_PAD.decode(compressed).unwrap();
    let mut payload = vec![0; 64 * 1024];
    let (payload, code) = decompress_slice(&mut payload, &stream, InflateConfig::default());
    assert_eq!(code, ReturnCode::Ok, "{encoded}");
    payload.to_vec()
}

/// For people it is one line with something on it, and their terminal is not told anything.
fn assert_is_a_line(message: &impl Display) {
    let message = message.to_string();
    assert!(!message.trim().is_empty() && !message.contains(char::is_control), "{message:?}");
}

const PREFIX: &str = "dstok_";

/// The signed plugin's default.
const LEEWAY_SECONDS: u64 = 5;

/// The first byte of what [`signed`] takes.
const AS_IT_STANDS: u8 = 0;
const ENCODED: u8 = 1;
const PAYLOAD: u8 = 2;
const TO_COMPRESS: u8 = 3;
const STREAM: u8 = 4;
