//! [`Seal`]: how the lines of a file are hashed.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::Hash;

/// Shorter keys are refused: whoever has a line can try out short ones at leisure. As many bytes as the digest has
/// (RFC 2104 §3).
pub const MIN_KEY_BYTES: usize = 32;

/// How the lines of a file are hashed. Prints nothing of its key.
#[derive(Clone)]
pub enum Seal {
    /// SHA-256.
    Plain,
    /// HMAC-SHA-256.
    Keyed {
        /// The key, as the states that it leaves behind.
        key: Box<Hmac<Sha256>>,
        /// What tells one key from another and nothing else.
        id: String,
    },
}

/// The key is shorter than [`MIN_KEY_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShortKey;

impl fmt::Display for ShortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the key is too short, expected at least {MIN_KEY_BYTES} bytes")
    }
}

impl std::error::Error for ShortKey {}

impl Seal {
    /// HMAC-SHA-256 with this key.
    ///
    /// # Errors
    ///
    /// When it is shorter than [`MIN_KEY_BYTES`].
    pub fn keyed(key: &[u8]) -> Result<Self, ShortKey> {
        if key.len() < MIN_KEY_BYTES {
            return Err(ShortKey);
        }
        let key: Hmac<Sha256> = KeyInit::new_from_slice(key).map_err(|_| ShortKey)?;
        let id = authenticate(&key, KEY_ID).to_string()[..KEY_ID_DIGITS].to_owned();
        Ok(Self::Keyed { key: Box::new(key), id })
    }

    /// The hash of these bytes.
    pub fn hash(&self, bytes: &[u8]) -> Hash {
        match self {
            Self::Plain => Hash::new(Sha256::digest(bytes).into()),
            Self::Keyed { key, .. } => authenticate(key, bytes),
        }
    }

    /// What it is called in files.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Plain => "sha256",
            Self::Keyed { .. } => "hmac-sha256",
        }
    }

    /// The id of its key.
    pub fn key_id(&self) -> Option<&str> {
        match self {
            Self::Plain => None,
            Self::Keyed { id, .. } => Some(id),
        }
    }
}

fn authenticate(key: &Hmac<Sha256>, bytes: &[u8]) -> Hash {
    let mut mac = key.clone();
    mac.update(bytes);
    Hash::new(mac.finalize().into_bytes().into())
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No line begins like this: no line's hash is a key's id.
const KEY_ID: &[u8] = b"the id of a key of token-audit";
/// 64 bits: enough to tell one's own keys apart.
const KEY_ID_DIGITS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        // printf abc | sha256sum; printf abc | openssl mac -digest SHA256 -macopt key:kkkk... HMAC
        let plain = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Seal::Plain.hash(b"abc").to_string(), plain);
        let keyed = Seal::keyed(&[b'k'; 32]).unwrap();
        assert_eq!(keyed.hash(b"abc").to_string(), "af61b693912efc56e2e46f949719ea10a9e80d68f8dcfb84e26cac5330da3c74");
    }

    #[test]
    fn short_keys_are_refused_and_no_key_is_shown() {
        assert_eq!(Seal::keyed(&[1; 31]).unwrap_err(), ShortKey);
        let seal = Seal::keyed(&[b'k'; 32]).unwrap();
        assert_eq!(format!("{seal:?}"), "hmac-sha256");
        assert_eq!(seal.key_id().unwrap().len(), 16);
        assert_ne!(seal.key_id(), Seal::keyed(&[b'l'; 32]).unwrap().key_id());
    }
}
