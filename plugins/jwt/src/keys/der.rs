//! What kind of key a DER document holds: enough of DER to tell the kinds apart, and no more.
//!
//! aws-lc parses the keys themselves. It only says whether a key is the one that was asked for, though, and it ignores
//! what follows a key; both are settled here.

use std::fmt;

use crate::algorithm::Algorithm;

/// What a key is, as far as algorithms care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Rsa { bits: usize },
    EllipticCurve(Curve),
    Ed25519,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { bits } => write!(formatter, "an RSA key of {bits} bits"),
            Self::EllipticCurve(curve) => write!(formatter, "an EC key on {}", curve.name()),
            Self::Ed25519 => formatter.write_str("an Ed25519 key"),
        }
    }
}

/// The curves of RFC 7518 §3.4. Each belongs to one algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    /// The value of `crv`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    /// The curve of this name.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|curve| curve.name() == name)
    }

    pub(super) const fn algorithm(self) -> Algorithm {
        match self {
            Self::P256 => Algorithm::Es256,
            Self::P384 => Algorithm::Es384,
            Self::P521 => Algorithm::Es512,
        }
    }

    /// How long a coordinate and a private key are.
    pub(super) const fn field_bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    /// The curve with this object identifier (RFC 5480 §2.1.1.1).
    fn from_oid(oid: &[u8]) -> Result<Self, String> {
        match oid {
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07] => Ok(Self::P256),
            [0x2b, 0x81, 0x04, 0x00, 0x22] => Ok(Self::P384),
            [0x2b, 0x81, 0x04, 0x00, 0x23] => Ok(Self::P521),
            [0x2b, 0x81, 0x04, 0x00, 0x0a] => Err("expected P-256, P-384 or P-521, found secp256k1".to_owned()),
            _ => Err("expected P-256, P-384 or P-521, found another curve".to_owned()),
        }
    }
}

/// A SubjectPublicKeyInfo (RFC 5280 §4.1): the kind, and the key in its own encoding.
pub(super) fn subject_public_key(der: &[u8]) -> Result<(Kind, &[u8]), String> {
    let malformed = || "malformed SubjectPublicKeyInfo".to_owned();
    let mut info = whole_sequence(der).ok_or_else(malformed)?;
    let identifier = info.take(SEQUENCE).ok_or_else(malformed)?;
    // The first byte counts the unused bits of the last one. Keys are whole bytes.
    let Some([0, key @ ..]) = info.take(BIT_STRING) else { return Err(malformed()) };
    if !info.is_empty() {
        return Err(malformed());
    }
    let kind = match KeyType::from_identifier(identifier)? {
        KeyType::Rsa => rsa_public_key(key)?,
        KeyType::EllipticCurve(curve) => Kind::EllipticCurve(curve),
        KeyType::Ed25519 => Kind::Ed25519,
    };
    Ok((kind, key))
}

/// An RSAPublicKey (RFC 8017 A.1.1).
pub(super) fn rsa_public_key(der: &[u8]) -> Result<Kind, String> {
    whole_sequence(der).and_then(|mut key| key.modulus()).ok_or_else(|| "malformed RSAPublicKey".to_owned())
}

/// A PrivateKeyInfo (RFC 5208), or a OneAsymmetricKey (RFC 5958).
pub(super) fn private_key_info(der: &[u8]) -> Result<Kind, String> {
    let malformed = || "malformed PKCS#8 private key".to_owned();
    let mut info = whole_sequence(der).ok_or_else(malformed)?;
    info.take(INTEGER).ok_or_else(malformed)?;
    let identifier = info.take(SEQUENCE).ok_or_else(malformed)?;
    let key = info.take(OCTET_STRING).ok_or_else(malformed)?;
    match KeyType::from_identifier(identifier)? {
        KeyType::Rsa => rsa_private_key(key),
        KeyType::EllipticCurve(curve) => Ok(Kind::EllipticCurve(curve)),
        KeyType::Ed25519 => Ok(Kind::Ed25519),
    }
}

/// An RSAPrivateKey (RFC 8017 A.1.2).
pub(super) fn rsa_private_key(der: &[u8]) -> Result<Kind, String> {
    whole_sequence(der)
        .and_then(|mut key| {
            key.take(INTEGER)?;
            key.modulus()
        })
        .ok_or_else(|| "malformed RSAPrivateKey".to_owned())
}

/// An ECPrivateKey (RFC 5915) that says its curve.
pub(super) fn ec_private_key(der: &[u8]) -> Result<Kind, String> {
    let malformed = || "malformed ECPrivateKey".to_owned();
    let mut key = whole_sequence(der).ok_or_else(malformed)?;
    key.take(INTEGER).ok_or_else(malformed)?;
    key.take(OCTET_STRING).ok_or_else(malformed)?;
    let Some(oid) = key.take(PARAMETERS).and_then(|parameters| Reader(parameters).take(OBJECT_IDENTIFIER)) else {
        return Err("expected an EC private key that names its curve".to_owned());
    };
    Ok(Kind::EllipticCurve(Curve::from_oid(oid)?))
}

/// What an AlgorithmIdentifier names.
enum KeyType {
    Rsa,
    EllipticCurve(Curve),
    Ed25519,
}

impl KeyType {
    fn from_identifier(identifier: &[u8]) -> Result<Self, String> {
        let mut identifier = Reader(identifier);
        let other = match identifier.take(OBJECT_IDENTIFIER).unwrap_or_default() {
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01] => return Ok(Self::Rsa),
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01] => {
                let curve = identifier.take(OBJECT_IDENTIFIER).unwrap_or_default();
                return Curve::from_oid(curve).map(Self::EllipticCurve);
            }
            [0x2b, 0x65, 0x70] => return Ok(Self::Ed25519),
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a] => {
                "an RSA key that is restricted to RSASSA-PSS (make it with `-algorithm RSA`)"
            }
            [0x2b, 0x65, 0x6e] => "an X25519 key, which cannot sign",
            [0x2b, 0x65, 0x6f] => "an X448 key, which cannot sign",
            [0x2b, 0x65, 0x71] => "an Ed448 key",
            _ => "a key of another kind",
        };
        Err(format!("expected an RSA, EC or Ed25519 key, found {other}"))
    }
}

/// The elements of the one sequence that `der` is.
fn whole_sequence(der: &[u8]) -> Option<Reader<'_>> {
    let mut outer = Reader(der);
    let contents = outer.take(SEQUENCE)?;
    outer.is_empty().then_some(Reader(contents))
}

/// DER elements, one after the other.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The contents of the next element, if it has this tag.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (&found, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        // Lengths up to 127 are one byte; longer ones say first in how many bytes they come.
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length = bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte));
                // DER has one spelling for a length, the shortest.
                if bytes[0] == 0 || length < 0x80 {
                    return None;
                }
                (length, rest)
            }
            _ => return None,
        };
        let (contents, rest) = rest.split_at_checked(length)?;
        (found == tag).then(|| {
            self.0 = rest;
            contents
        })
    }

    /// The next element as an RSA key's modulus.
    fn modulus(&mut self) -> Option<Kind> {
        let modulus = self.take(INTEGER)?;
        // A positive number whose first bit is set has a zero before it.
        let modulus = modulus.strip_prefix(&[0]).unwrap_or(modulus);
        let bits = modulus.len() * 8 - modulus.first()?.leading_zeros() as usize;
        Some(Kind::Rsa { bits })
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
/// ECPrivateKey's `[0]`.
const PARAMETERS: u8 = 0xa0;
