//! JSON Web Tokens of any content, made without the code under test: the compact serialization (RFC 7515 §7.1) by hand.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha384, Sha512};
use token_host::Clock;

/// The secret of the tests, long enough for HS512.
pub const JWT_SECRET: &str = "not so secret, but long enough for every algorithm there is: 64+";

/// The header that most tokens have.
pub const HS256: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// A token with this header and these claims, signed with HMAC-SHA-256 whatever the header says. Neither need be JSON.
pub fn jwt(header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
    jwt_encoded(&format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims)))
}

/// A token of which header and claims are already encoded, well or badly, with a full stop between them.
pub fn jwt_encoded(message: &str) -> String {
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(hmac_sha2(256, JWT_SECRET.as_bytes(), message.as_bytes())))
}

/// HMAC-SHA-256, 384 or 512.
///
/// # Panics
///
/// With another number.
pub fn hmac_sha2(bits: u16, secret: &[u8], message: &[u8]) -> Vec<u8> {
    fn mac<M: Mac + KeyInit>(secret: &[u8], message: &[u8]) -> Vec<u8> {
        let mut mac = <M as KeyInit>::new_from_slice(secret).unwrap();
        mac.update(message);
        mac.finalize().into_bytes().to_vec()
    }
    match bits {
        256 => mac::<Hmac<Sha256>>(secret, message),
        384 => mac::<Hmac<Sha384>>(secret, message),
        512 => mac::<Hmac<Sha512>>(secret, message),
        _ => panic!("there is no HS{bits}"),
    }
}

/// A clock that stands still until it is set.
#[derive(Debug, Clone)]
pub struct SetClock(Arc<AtomicU64>);

impl SetClock {
    /// A clock at a time, in Unix seconds.
    pub fn at(unix_seconds: u64) -> Self {
        Self(Arc::new(AtomicU64::new(unix_seconds)))
    }

    /// Sets it.
    pub fn set(&self, unix_seconds: u64) {
        self.0.store(unix_seconds, Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}
