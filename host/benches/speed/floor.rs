//! [`Floor`]: the least that verifying a signed token can cost, built of the same crates and of nothing of ours.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha1::{Digest, Sha1};

/// An HMAC-SHA1 key whose blocks were hashed once: copied for each token.
#[derive(Clone)]
pub(crate) struct Floor(Hmac<Sha1>);

#[derive(Deserialize)]
struct Payload<'a> {
    a: &'a str,
    t: u64,
    d: u64,
}

impl Floor {
    /// The key that itsdangerous derives from a secret for the salt `token`.
    pub(crate) fn new(secret: &str) -> Self {
        let key = Sha1::digest(format!("tokensigner{secret}"));
        Self(Hmac::new_from_slice(&key).unwrap())
    }

    /// Whether a token is good at a time, and whose: signature, base64, JSON that borrows, duration.
    pub(crate) fn verify<'b>(&self, token: &str, now: u64, buffer: &'b mut [u8; 256]) -> Option<&'b str> {
        let (message, signature) = token.strip_prefix("dstok_")?.rsplit_once('.')?;
        let mut tag = [0; 20];
        URL_SAFE_NO_PAD.decode_slice(signature, &mut tag).ok()?;
        self.0.clone().chain_update(message).verify_slice(&tag).ok()?;
        let length = URL_SAFE_NO_PAD.decode_slice(message, buffer).ok()?;
        let payload: Payload<'_> = serde_json::from_slice(&buffer[..length]).ok()?;
        (payload.t <= now && now < payload.t + payload.d).then_some(payload.a)
    }

    /// A token for this payload, as itsdangerous makes it: plain, or compressed if asked for.
    pub(crate) fn token(&self, json: &str, form: Form) -> String {
        let message = match form {
            Form::Plain => URL_SAFE_NO_PAD.encode(json),
            Form::Compressed => format!(".{}", URL_SAFE_NO_PAD.encode(compress(json.as_bytes()))),
        };
        let signature = self.0.clone().chain_update(&message).finalize().into_bytes();
        format!("dstok_{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// How a payload stands in a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Plain,
    Compressed,
}

/// Unix seconds, from the system.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut output = vec![0; zlib_rs::compress_bound(bytes.len())];
    // Python's level.
    zlib_rs::compress_slice(&mut output, bytes, zlib_rs::DeflateConfig::new(6)).0.to_vec()
}
