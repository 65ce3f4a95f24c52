//! [`PublicKey`] and [`PrivateKey`]: key pairs that are parsed once, each for one algorithm.

use std::fmt;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, ParsedPublicKey, RsaEncoding, RsaKeyPair,
    VerificationAlgorithm,
};

use super::der::{self, Curve, Kind};
use crate::algorithm::{Algorithm, Family};

/// A key that verifies.
#[derive(Clone)]
pub(crate) struct PublicKey {
    algorithm: Algorithm,
    parsed: ParsedPublicKey,
}

impl PublicKey {
    /// From a SubjectPublicKeyInfo. Which algorithm an RSA key is for has to be said; for the others it follows.
    pub(super) fn from_spki(der: &[u8], algorithm: Option<Algorithm>) -> Result<Self, String> {
        let (kind, key) = der::subject_public_key(der)?;
        Self::from_bytes(kind, key, algorithm)
    }

    /// From an RSAPublicKey.
    pub(super) fn from_pkcs1(der: &[u8], algorithm: Option<Algorithm>) -> Result<Self, String> {
        Self::from_bytes(der::rsa_public_key(der)?, der, algorithm)
    }

    /// From a modulus and an exponent: big-endian, without leading zeros.
    pub(super) fn from_rsa_numbers(n: &[u8], e: &[u8], algorithm: Option<Algorithm>) -> Result<Self, String> {
        // By way of DER: aws-lc checks keys that it decodes, and not those that it is given in parts.
        let encoded = PublicKeyComponents { n, e }.as_der().map_err(|_| "expected an RSA key's numbers")?;
        Self::from_spki(encoded.as_ref(), algorithm)
    }

    /// From a point on a curve, in SEC 1's encoding.
    pub(super) fn from_point(curve: Curve, point: &[u8], algorithm: Option<Algorithm>) -> Result<Self, String> {
        Self::from_bytes(Kind::EllipticCurve(curve), point, algorithm)
    }

    /// From the 32 bytes of an Ed25519 key.
    pub(super) fn from_ed25519(key: &[u8], algorithm: Option<Algorithm>) -> Result<Self, String> {
        Self::from_bytes(Kind::Ed25519, key, algorithm)
    }

    /// From the encoding that aws-lc knows the kind by: RSAPublicKey, the point, or the 32 bytes.
    fn from_bytes(kind: Kind, key: &[u8], algorithm: Option<Algorithm>) -> Result<Self, String> {
        let algorithm = settle(kind, algorithm)?;
        let parsed = ParsedPublicKey::new(verification(algorithm), key).map_err(|error| rejected(kind, error))?;
        Ok(Self { algorithm, parsed })
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether the private key made this signature of this message.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.parsed.verify_sig(message, signature).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PublicKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// A key that signs, with the one that verifies. aws-lc wipes it.
pub(crate) struct PrivateKey {
    pair: Pair,
    public: PublicKey,
}

enum Pair {
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    EllipticCurve(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl PrivateKey {
    /// From a PKCS#8 document. As with public keys, the algorithm of an RSA key has to be said.
    pub(super) fn from_pkcs8(der: &[u8], algorithm: Option<Algorithm>) -> Result<Self, String> {
        let kind = der::private_key_info(der)?;
        let algorithm = settle(kind, algorithm)?;
        let pair = match kind {
            Kind::Rsa { .. } => RsaKeyPair::from_pkcs8(der).map(|pair| Pair::Rsa(pair, rsa_signing(algorithm))),
            Kind::EllipticCurve(curve) => EcdsaKeyPair::from_pkcs8(ec_signing(curve), der).map(Pair::EllipticCurve),
            Kind::Ed25519 => Ed25519KeyPair::from_pkcs8(der).map(Pair::Ed25519),
        };
        Self::new(algorithm, kind, pair.map_err(|error| rejected(kind, error))?)
    }

    /// From an RSAPrivateKey.
    pub(super) fn from_pkcs1(der: &[u8], algorithm: Option<Algorithm>) -> Result<Self, String> {
        let kind = der::rsa_private_key(der)?;
        let algorithm = settle(kind, algorithm)?;
        let pair = RsaKeyPair::from_der(der).map_err(|error| rejected(kind, error))?;
        Self::new(algorithm, kind, Pair::Rsa(pair, rsa_signing(algorithm)))
    }

    /// From an ECPrivateKey that says its curve.
    pub(super) fn from_sec1(der: &[u8], algorithm: Option<Algorithm>) -> Result<Self, String> {
        let kind = der::ec_private_key(der)?;
        let algorithm = settle(kind, algorithm)?;
        let Kind::EllipticCurve(curve) = kind else { unreachable!("an EC private key is on a curve") };
        let pair = EcdsaKeyPair::from_private_key_der(ec_signing(curve), der).map_err(|error| rejected(kind, error))?;
        Self::new(algorithm, kind, Pair::EllipticCurve(pair))
    }

    /// From all of an RSA key's numbers: big-endian, without leading zeros. That they fit each other is checked.
    pub(super) fn from_rsa_numbers(numbers: &RsaNumbers<'_>, algorithm: Option<Algorithm>) -> Result<Self, String> {
        let bits = numbers
            .public_key
            .n
            .first()
            .map_or(0, |first| numbers.public_key.n.len() * 8 - first.leading_zeros() as usize);
        let kind = Kind::Rsa { bits };
        let algorithm = settle(kind, algorithm)?;
        let pair = RsaKeyPair::from_components(numbers).map_err(|error| rejected(kind, error))?;
        Self::new(algorithm, kind, Pair::Rsa(pair, rsa_signing(algorithm)))
    }

    /// From a point on a curve, in SEC 1's encoding, and the private key of it, of the curve's length. That they belong
    /// together is checked.
    pub(super) fn from_point(
        curve: Curve,
        point: &[u8],
        d: &[u8],
        algorithm: Option<Algorithm>,
    ) -> Result<Self, String> {
        let kind = Kind::EllipticCurve(curve);
        let algorithm = settle(kind, algorithm)?;
        let pair = EcdsaKeyPair::from_private_key_and_public_key(ec_signing(curve), d, point)
            .map_err(|error| rejected(kind, error))?;
        Self::new(algorithm, kind, Pair::EllipticCurve(pair))
    }

    /// From the 32 bytes each of an Ed25519 key `x` and its seed `d`. That they belong together is checked.
    pub(super) fn from_ed25519(x: &[u8], d: &[u8], algorithm: Option<Algorithm>) -> Result<Self, String> {
        let algorithm = settle(Kind::Ed25519, algorithm)?;
        let pair = Ed25519KeyPair::from_seed_and_public_key(d, x).map_err(|error| rejected(Kind::Ed25519, error))?;
        Self::new(algorithm, Kind::Ed25519, Pair::Ed25519(pair))
    }

    fn new(algorithm: Algorithm, kind: Kind, pair: Pair) -> Result<Self, String> {
        let public_key = match &pair {
            Pair::Rsa(pair, _) => pair.public_key().as_ref(),
            Pair::EllipticCurve(pair) => pair.public_key().as_ref(),
            Pair::Ed25519(pair) => pair.public_key().as_ref(),
        };
        let public = PublicKey::from_bytes(kind, public_key, Some(algorithm))?;
        Ok(Self { pair, public })
    }

    /// Signs.
    ///
    /// # Errors
    ///
    /// When aws-lc fails, which it does for want of memory and not for what the message is.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        let failed = |_| format!("signing with {} failed", self.public.algorithm);
        match &self.pair {
            Pair::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &SystemRandom::new(), message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
            Pair::EllipticCurve(pair) => {
                pair.sign(&SystemRandom::new(), message).map(|signature| signature.as_ref().to_vec()).map_err(failed)
            }
            Pair::Ed25519(pair) => pair.try_sign(message).map(|signature| signature.as_ref().to_vec()).map_err(failed),
        }
    }

    pub(crate) fn public_key(&self) -> &PublicKey {
        &self.public
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PrivateKey").field("algorithm", &self.public.algorithm).finish_non_exhaustive()
    }
}

/// An RSA key's numbers, public and private.
pub(super) type RsaNumbers<'a> = aws_lc_rs::rsa::KeyPairComponents<&'a [u8]>;

/// What kind of key an algorithm wants, for messages.
pub(super) fn wanted(algorithm: Algorithm) -> &'static str {
    match algorithm.family() {
        Family::Hmac => "a secret",
        Family::Rsa => "an RSA key of 2048 to 8192 bits",
        Family::EllipticCurve => match algorithm {
            Algorithm::Es256 => "an EC key on P-256",
            Algorithm::Es384 => "an EC key on P-384",
            _ => "an EC key on P-521",
        },
        Family::Edwards => "an Ed25519 key",
    }
}

/// The algorithm that a key of this kind is for: the wanted one if it fits, or the one that follows from the kind.
fn settle(kind: Kind, algorithm: Option<Algorithm>) -> Result<Algorithm, String> {
    let follows = match kind {
        Kind::Rsa { .. } => None,
        Kind::EllipticCurve(curve) => Some(curve.algorithm()),
        Kind::Ed25519 => Some(Algorithm::EdDsa),
    };
    let Some(algorithm) = algorithm.or(follows) else {
        return Err("expected an algorithm for an RSA key: RS256, RS384, RS512, PS256, PS384 or PS512".to_owned());
    };
    let fits = match kind {
        // Less than 2048 bits is not allowed (RFC 7518 §3.3), more than 8192 takes aws-lc's verification too long.
        Kind::Rsa { bits } => algorithm.family() == Family::Rsa && (2048..=8192).contains(&bits),
        Kind::EllipticCurve(curve) => algorithm == curve.algorithm(),
        Kind::Ed25519 => algorithm.family() == Family::Edwards,
    };
    if fits { Ok(algorithm) } else { Err(format!("expected {} for {algorithm}, found {kind}", wanted(algorithm))) }
}

fn rejected(kind: Kind, error: aws_lc_rs::error::KeyRejected) -> String {
    format!("expected {kind} that is valid ({error})")
}

fn verification(algorithm: Algorithm) -> &'static dyn VerificationAlgorithm {
    match algorithm {
        Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        Algorithm::Es256 => &signature::ECDSA_P256_SHA256_FIXED,
        Algorithm::Es384 => &signature::ECDSA_P384_SHA384_FIXED,
        Algorithm::Es512 => &signature::ECDSA_P521_SHA512_FIXED,
        Algorithm::EdDsa | Algorithm::Ed25519 => &signature::ED25519,
        Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => unreachable!("no key pair fits {algorithm}"),
    }
}

fn rsa_signing(algorithm: Algorithm) -> &'static dyn RsaEncoding {
    match algorithm {
        Algorithm::Rs256 => &signature::RSA_PKCS1_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_SHA512,
        other => unreachable!("no RSA key fits {other}"),
    }
}

fn ec_signing(curve: Curve) -> &'static EcdsaSigningAlgorithm {
    match curve {
        Curve::P256 => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
        Curve::P384 => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
        Curve::P521 => &signature::ECDSA_P521_SHA512_FIXED_SIGNING,
    }
}
