//! [`Key`]: what one issuer's tokens are signed or verified with, under one algorithm.

mod asymmetric;
mod der;
mod fetch;
mod jwk;
pub(crate) mod known;
mod members;
mod pem;
mod set;
pub(crate) mod settings;
pub(crate) mod source;
#[cfg(test)]
pub(crate) mod test_server;

use std::{fmt, ops::Deref};

use self::asymmetric::{PrivateKey, PublicKey};
pub(crate) use self::set::KeySet;
use crate::algorithm::Algorithm;
use crate::hmac::{HmacKey, Tag};

/// A key with its name and its algorithm.
pub(crate) struct Key {
    kid: Option<Box<str>>,
    algorithm: Algorithm,
    material: Material,
    /// Whether it may sign, too. Keys in JWK form can say that a secret is for verifying alone.
    can_sign: bool,
}

enum Material {
    Hmac(HmacKey),
    Public(PublicKey),
    Private(Box<PrivateKey>),
}

impl Key {
    /// A secret. The configuration has seen to it that it is long enough, and no key ([`looks_like_a_key`]).
    ///
    /// # Panics
    ///
    /// When the algorithm is none of HS256, HS384 and HS512.
    pub(crate) fn hmac(kid: Option<String>, algorithm: Algorithm, secret: &[u8]) -> Self {
        let material = Material::Hmac(HmacKey::new(algorithm, secret));
        Self { kid: kid.map(String::into_boxed_str), algorithm, material, can_sign: true }
    }

    fn public(kid: Option<String>, key: PublicKey) -> Self {
        let algorithm = key.algorithm();
        Self { kid: kid.map(String::into_boxed_str), algorithm, material: Material::Public(key), can_sign: false }
    }

    fn private(kid: Option<String>, key: PrivateKey) -> Self {
        let algorithm = key.public_key().algorithm();
        let material = Material::Private(Box::new(key));
        Self { kid: kid.map(String::into_boxed_str), algorithm, material, can_sign: true }
    }

    /// The one key in a text: PEM, or a JWK.
    ///
    /// A secret or an RSA key needs an algorithm, from here or from the JWK; for other keys it follows from the key.
    /// What is said here and what the JWK says must agree.
    ///
    /// # Errors
    ///
    /// When the text is no key, several keys, or a key that does not fit. The message holds nothing of the key.
    pub(crate) fn from_text(text: &str, algorithm: Option<Algorithm>, kid: Option<String>) -> Result<Self, String> {
        let text = text.trim();
        if text.starts_with('{') {
            jwk::key(text, algorithm, kid)
        } else if text.contains(pem::BEGIN) {
            pem::key(text, algorithm, kid)
        } else if is_ssh_public_key(text) {
            Err("expected PEM or a JWK, found an ssh key (`ssh-keygen -e -m PKCS8` makes PEM of it)".to_owned())
        } else {
            Err("expected a key as PEM, or as a JWK in JSON".to_owned())
        }
    }

    /// What tokens call it.
    pub(crate) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The only algorithm that it is used with.
    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether [`sign`](Self::sign) works.
    pub(crate) fn can_sign(&self) -> bool {
        self.can_sign
    }

    /// Signs.
    ///
    /// # Errors
    ///
    /// When the key is for verifying alone, or aws-lc fails.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Signature, String> {
        match &self.material {
            Material::Hmac(key) if self.can_sign => Ok(Signature::Tag(key.sign(message))),
            Material::Private(key) => key.sign(message).map(Signature::Bytes),
            Material::Hmac(_) | Material::Public(_) => {
                Err(format!("expected a key that signs, found one for verifying alone ({})", self.algorithm))
            }
        }
    }

    /// Whether this key, or the private key of it, made this signature of this message.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Hmac(key) => key.verify(message, signature),
            Material::Public(key) => key.verify(message, signature),
            Material::Private(key) => key.public_key().verify(message, signature),
        }
    }
}

/// A signature: those of HMAC need no allocation. A part of a token, and not printed.
pub(crate) enum Signature {
    Tag(Tag),
    Bytes(Vec<u8>),
}

impl Deref for Signature {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Tag(tag) => tag,
            Self::Bytes(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Signature").finish_non_exhaustive()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Key")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .field("can_sign", &self.can_sign)
            .finish_non_exhaustive()
    }
}

/// How long a secret is at least: as long as the digest (RFC 7518 §3.2).
///
/// # Panics
///
/// When the algorithm is none of HS256, HS384 and HS512.
pub(crate) fn min_secret_bytes(algorithm: Algorithm) -> usize {
    match algorithm {
        Algorithm::Hs256 => 32,
        Algorithm::Hs384 => 48,
        Algorithm::Hs512 => 64,
        other => unreachable!("{other} is not made with a secret"),
    }
}

/// Whether a text is a key in one of its usual forms. Such a text must never be a secret: public keys are public, and
/// who takes one for a secret accepts tokens that anybody can sign.
pub(crate) fn looks_like_a_key(secret: &str) -> bool {
    let text =
        secret.trim_matches(|edge: char| edge.is_whitespace() || edge == '\u{feff}' || edge == '"' || edge == '\'');
    // The second is RFC 4716's, `ssh-keygen -e`; the third what is left when a first line was lost.
    text.contains(pem::BEGIN)
        || text.contains("---- BEGIN ")
        || text.contains("-----END ")
        || is_ssh_public_key(text)
        || is_jwk(text)
        || pem::is_bare_der(text)
}

/// Also behind options, as in `authorized_keys`.
fn is_ssh_public_key(text: &str) -> bool {
    let is_kind =
        |word: &str| ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"].iter().any(|prefix| word.starts_with(prefix));
    let words: Vec<&str> = text.split_whitespace().collect();
    words.windows(2).any(|pair| is_kind(pair[0]) && pair[1].starts_with("AAAA"))
}

fn is_jwk(text: &str) -> bool {
    let is_key = |value: &serde_json::Value| value.get("kty").is_some() || value.get("keys").is_some();
    serde_json::from_str(text).is_ok_and(|value| is_key(&value))
        || (text.starts_with(['{', '[']) && text.contains("\"kty\""))
}

/// A text from outside for a message: quoted, with its control characters escaped, and not longer than a line.
fn quoted(text: &str) -> String {
    match text.char_indices().nth(64) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod test_keys;
#[cfg(test)]
mod tests_jwk;
#[cfg(test)]
mod tests_pem;
#[cfg(test)]
mod tests_rfc;
#[cfg(test)]
mod tests_set;
#[cfg(test)]
mod tests_wycheproof;
