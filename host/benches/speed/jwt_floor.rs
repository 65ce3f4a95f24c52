//! [`JwtFloor`]: the least that verifying a JSON Web Token costs when it is written by hand of well-known crates, without
//! any strictness: no `typ`, no duplicate members, no issuer.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;

/// An HMAC-SHA-256 key whose blocks were hashed once: copied for each token.
pub(crate) struct JwtFloor(Hmac<Sha256>);

#[derive(Deserialize)]
struct Header<'a> {
    alg: &'a str,
}

#[derive(Deserialize)]
struct Claims<'a> {
    sub: &'a str,
    exp: u64,
}

/// Where parts are decoded to.
pub(crate) struct Buffer {
    header: [u8; 256],
    claims: [u8; 1024],
}

impl Buffer {
    pub(crate) fn new() -> Self {
        Self { header: [0; 256], claims: [0; 1024] }
    }
}

impl JwtFloor {
    pub(crate) fn new(secret: &str) -> Self {
        Self(Hmac::new_from_slice(secret.as_bytes()).unwrap())
    }

    /// Whether a token is good at a time, and whose.
    pub(crate) fn verify<'b>(&self, token: &str, now: u64, buffer: &'b mut Buffer) -> Option<&'b str> {
        let (message, header, payload) = self.signed(token)?;
        let length = URL_SAFE_NO_PAD.decode_slice(header, &mut buffer.header).ok()?;
        let header: Header<'_> = serde_json::from_slice(&buffer.header[..length]).ok()?;
        let length = URL_SAFE_NO_PAD.decode_slice(payload, &mut buffer.claims).ok()?;
        let claims: Claims<'_> = serde_json::from_slice(&buffer.claims[..length]).ok()?;
        (header.alg == "HS256" && now < claims.exp && !message.is_empty()).then_some(claims.sub)
    }

    /// The signature check alone: the signed part, the header and the payload, if it is good.
    pub(crate) fn signed<'t>(&self, token: &'t str) -> Option<(&'t str, &'t str, &'t str)> {
        let (message, signature) = token.rsplit_once('.')?;
        let (header, payload) = message.split_once('.')?;
        let mut tag = [0; 32];
        URL_SAFE_NO_PAD.decode_slice(signature, &mut tag).ok()?;
        self.0.clone().chain_update(message).verify_slice(&tag).ok()?;
        Some((message, header, payload))
    }

    /// A token with these claims, as PyJWT makes it.
    pub(crate) fn token(&self, claims: &str) -> String {
        let (header, claims) =
            (URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#), URL_SAFE_NO_PAD.encode(claims));
        let message = format!("{header}.{claims}");
        let signature = self.0.clone().chain_update(&message).finalize().into_bytes();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
