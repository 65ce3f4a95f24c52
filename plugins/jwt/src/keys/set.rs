//! [`KeySet`]: a JWK Set (RFC 7517 §5) of the keys that an issuer's tokens are verified with.

use serde_json::value::RawValue;

use super::jwk::Jwk;
use super::members::Members;
use super::{Key, quoted};
use crate::algorithm::Algorithm;

/// The keys of a set that can be used, and why the others cannot.
#[derive(Debug)]
pub(crate) struct KeySet {
    keys: Vec<Key>,
    skipped: Vec<String>,
}

impl KeySet {
    /// Reads a set. RSA keys that do not say their algorithm get `rsa_algorithm`.
    ///
    /// Keys that cannot be used are skipped, as §5 has it: an issuer may have keys for other purposes.
    ///
    /// # Errors
    ///
    /// When it is no set, or one of more than 256 keys.
    pub(crate) fn parse(json: &[u8], rsa_algorithm: Algorithm) -> Result<Self, String> {
        let text = std::str::from_utf8(json).map_err(|_| "expected a JWK Set in UTF-8")?;
        let members = Members::parse(text)?;
        let value = members.raw("keys").ok_or("expected a JWK Set, found no member keys")?;
        let values: Vec<&RawValue> =
            serde_json::from_str(value).map_err(|_| "expected an array as keys of the JWK Set")?;
        if values.len() > MAX_KEYS {
            return Err(format!("expected at most {MAX_KEYS} keys in a JWK Set, found {}", values.len()));
        }

        let mut set = Self { keys: Vec::with_capacity(values.len()), skipped: Vec::new() };
        for (index, value) in values.into_iter().enumerate() {
            match Jwk::parse(value.get()) {
                Ok(jwk) => match jwk.verification_key(rsa_algorithm) {
                    Ok(key) => set.keys.push(key),
                    Err(reason) => set.skipped.push(match jwk.kid() {
                        Ok(Some(kid)) => format!("keys[{index}], kid {}: {reason}", quoted(&kid)),
                        _ => format!("keys[{index}]: {reason}"),
                    }),
                },
                Err(reason) => set.skipped.push(format!("keys[{index}]: {reason}")),
            }
        }
        Ok(set)
    }

    /// The keys that a token with this header may be signed with: those of the algorithm, and if it names one, of the
    /// name.
    pub(crate) fn find(&self, algorithm: Algorithm, kid: Option<&str>) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(move |key| key.algorithm().verifies(algorithm) && (kid.is_none() || key.kid() == kid))
    }

    /// Whether a key has this name. If none has, the issuer may have a newer set.
    pub(crate) fn knows_kid(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid() == Some(kid))
    }

    #[cfg(test)]
    pub(super) fn into_keys(self) -> Vec<Key> {
        self.keys
    }

    /// The keys that can be used.
    #[cfg(test)]
    pub(crate) fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Which keys cannot be used, and why. Nothing of the keys themselves is in here.
    pub(crate) fn skipped(&self) -> &[String] {
        &self.skipped
    }
}

/// Known issuers have fewer than twenty. Every one costs time when it is read, and when a token names none of them.
const MAX_KEYS: usize = 256;
