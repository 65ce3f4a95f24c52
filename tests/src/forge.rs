//! Signed tokens of any content, made without the code under test: itsdangerous' `URLSafeSerializer(secret, "token")`.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha1::{Digest, Sha1};
use zlib_rs::{DeflateConfig, ReturnCode, compress_bound, compress_slice};

/// The secret of the tests.
pub const SECRET: &str = "not so secret";

/// The time, in Unix seconds.
///
/// # Panics
///
/// Before 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A token that says just this, signed with this secret. The payload need not be JSON.
pub fn forge(secret: &str, payload: impl AsRef<[u8]>) -> String {
    forge_encoded(secret, &plain(payload))
}

/// A token whose payload is already encoded, well or badly.
///
/// # Panics
///
/// Never: HMAC takes keys of any length.
pub fn forge_encoded(secret: &str, encoded: &str) -> String {
    let key = Sha1::new().chain_update(b"token").chain_update(b"signer").chain_update(secret).finalize();
    let mac = Hmac::<Sha1>::new_from_slice(&key).unwrap().chain_update(encoded);
    format!("dstok_{encoded}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

/// The payload as it stands in a token.
pub fn plain(payload: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(payload)
}

/// The payload as it stands in a token when it is compressed.
///
/// # Panics
///
/// Never: the buffer is as long as zlib may need.
pub fn compressed(payload: impl AsRef<[u8]>) -> String {
    let payload = payload.as_ref();
    let mut buffer = vec![0; compress_bound(payload.len())];
    let (deflated, code) = compress_slice(&mut buffer, payload, DeflateConfig::best_compression());
    assert_eq!(code, ReturnCode::Ok);
    format!(".{}", URL_SAFE_NO_PAD.encode(deflated))
}
