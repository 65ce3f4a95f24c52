//! JSON Web Keys: RFC 7517, with the members of RFC 7518 §6 and RFC 8037.
//!
//! Nothing but the key itself is read: members that point to certificates or elsewhere (`x5c`, `x5u`) are not used.

use zeroize::Zeroizing;

use super::asymmetric::{PrivateKey, PublicKey, RsaNumbers, wanted};
use super::der::Curve;
use super::members::Members;
use super::{Key, looks_like_a_key, min_secret_bytes, quoted};
use crate::algorithm::{Algorithm, Family};

/// The key of one JWK, secret, public or private. What the configuration says and what the JWK says must agree.
pub(super) fn key(text: &str, algorithm: Option<Algorithm>, kid: Option<String>) -> Result<Key, String> {
    let jwk = Jwk::parse(text)?;
    if jwk.0.has("keys") && !jwk.0.has("kty") {
        return Err("expected one JWK, found a set of them".to_owned());
    }
    let kid = agreed("kid", kid, jwk.kid()?)?;
    let algorithm = agreed("alg", algorithm, jwk.algorithm()?)?;
    jwk.check_use()?;
    let operations = jwk.operations()?;

    let kty = jwk.0.required_text("kty")?;
    if *kty == "oct" {
        operations.expect("verify")?;
        let mut key = jwk.secret(algorithm, kid)?;
        key.can_sign = operations.allow("sign");
        return Ok(key);
    }
    if let Some(algorithm) = algorithm.filter(|algorithm| algorithm.family() == Family::Hmac) {
        return Err(format!("expected {} for {algorithm}, found a JWK with kty {}", wanted(algorithm), quoted(&kty)));
    }
    if jwk.is_private() {
        operations.expect("sign")?;
        Ok(Key::private(kid, jwk.private_key(&kty, algorithm)?))
    } else {
        operations.expect("verify")?;
        Ok(Key::public(kid, jwk.public_key(&kty, algorithm)?))
    }
}

/// A JWK that is read, but not looked into.
pub(super) struct Jwk<'a>(Members<'a>);

/// RFC 7517 §4.3 has eight.
const MAX_OPERATIONS: usize = 16;

impl<'a> Jwk<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, String> {
        Members::parse(text).map(Self)
    }

    /// What tokens call the key.
    pub(super) fn kid(&self) -> Result<Option<String>, String> {
        Ok(self.0.text("kid")?.map(|kid| kid.as_str().to_owned()))
    }

    /// The key for verifying, which the private part of a private key is not needed for.
    pub(super) fn verification_key(&self, rsa_algorithm: Algorithm) -> Result<Key, String> {
        let kty = self.0.required_text("kty")?;
        if *kty == "oct" {
            return Err("expected a public key, found a secret".to_owned());
        }
        self.check_use()?;
        let operations = self.operations()?;
        // A private key is for signing, and whoever signs wants it verified.
        if !(self.is_private() && operations.allow("sign")) {
            operations.expect("verify")?;
        }
        let algorithm = self.algorithm()?.or((*kty == "RSA").then_some(rsa_algorithm));
        Ok(Key::public(self.kid()?, self.public_key(&kty, algorithm)?))
    }

    fn algorithm(&self) -> Result<Option<Algorithm>, String> {
        let Some(name) = self.0.text("alg")? else { return Ok(None) };
        match Algorithm::from_name(&name) {
            Some(algorithm) => Ok(Some(algorithm)),
            None => Err(format!("expected a signature algorithm as alg, found {}", quoted(&name))),
        }
    }

    fn check_use(&self) -> Result<(), String> {
        match self.0.text("use")? {
            Some(purpose) if *purpose != "sig" => Err(format!("expected \"sig\" as use, found {}", quoted(&purpose))),
            _ => Ok(()),
        }
    }

    fn operations(&self) -> Result<Operations, String> {
        let Some(value) = self.0.raw("key_ops") else { return Ok(Operations(None)) };
        let operations: Vec<String> =
            serde_json::from_str(value).map_err(|_| "expected an array of strings as key_ops")?;
        if operations.len() > MAX_OPERATIONS {
            return Err(format!("expected at most {MAX_OPERATIONS} values in key_ops"));
        }
        if (1..operations.len()).any(|index| operations[..index].contains(&operations[index])) {
            return Err("expected different values in key_ops".to_owned());
        }
        Ok(Operations(Some(operations)))
    }

    /// Whether it has the private part of a key pair, or a piece of it.
    fn is_private(&self) -> bool {
        ["d", "p", "q", "dp", "dq", "qi", "oth"].iter().any(|name| self.0.has(name))
    }

    fn secret(&self, algorithm: Option<Algorithm>, kid: Option<String>) -> Result<Key, String> {
        let Some(algorithm) = algorithm else {
            return Err("expected an algorithm for a secret: HS256, HS384 or HS512".to_owned());
        };
        if algorithm.family() != Family::Hmac {
            return Err(format!("expected {} for {algorithm}, found a secret", wanted(algorithm)));
        }
        let secret = self.0.bytes("k")?;
        let (least, found) = (min_secret_bytes(algorithm), secret.len());
        if found < least {
            return Err(format!("expected at least {least} bytes as k for {algorithm}, found {found}"));
        }
        if std::str::from_utf8(&secret).is_ok_and(looks_like_a_key) {
            return Err("expected a secret as k, found a key in text form".to_owned());
        }
        Ok(Key::hmac(kid, algorithm, &secret))
    }

    fn public_key(&self, kty: &str, algorithm: Option<Algorithm>) -> Result<PublicKey, String> {
        match kty {
            "RSA" => PublicKey::from_rsa_numbers(&self.0.number("n")?, &self.0.number("e")?, algorithm),
            "EC" => {
                let (curve, point) = self.point()?;
                PublicKey::from_point(curve, &point, algorithm)
            }
            "OKP" => PublicKey::from_ed25519(&self.ed25519()?, algorithm),
            other => Err(unknown_type(other)),
        }
    }

    fn private_key(&self, kty: &str, algorithm: Option<Algorithm>) -> Result<PrivateKey, String> {
        match kty {
            "RSA" => self.rsa_private_key(algorithm),
            "EC" => {
                let (curve, point) = self.point()?;
                PrivateKey::from_point(curve, &point, &self.0.exactly("d", curve.field_bytes())?, algorithm)
            }
            "OKP" => PrivateKey::from_ed25519(&self.ed25519()?, &self.0.exactly("d", 32)?, algorithm),
            other => Err(unknown_type(other)),
        }
    }

    fn rsa_private_key(&self, algorithm: Option<Algorithm>) -> Result<PrivateKey, String> {
        if self.0.has("oth") {
            return Err("expected a private RSA key of two primes, found more (oth)".to_owned());
        }
        // RFC 7518 §6.3.2 lets producers leave these out. aws-lc cannot do without them.
        if !["p", "q", "dp", "dq", "qi"].iter().all(|name| self.0.has(name)) {
            return Err("expected a private RSA key with all of p, q, dp, dq and qi".to_owned());
        }
        let [n, e, d, p, q, dp, dq, qi] = ["n", "e", "d", "p", "q", "dp", "dq", "qi"].map(|name| self.0.number(name));
        let (n, e, d, p, q, dp, dq, qi) = (n?, e?, d?, p?, q?, dp?, dq?, qi?);
        let numbers = RsaNumbers {
            public_key: aws_lc_rs::rsa::PublicKeyComponents { n: &n, e: &e },
            d: &d,
            p: &p,
            q: &q,
            dP: &dp,
            dQ: &dq,
            qInv: &qi,
        };
        PrivateKey::from_rsa_numbers(&numbers, algorithm)
    }

    /// The point of an EC key, uncompressed (SEC 1 §2.3.3).
    fn point(&self) -> Result<(Curve, Vec<u8>), String> {
        let name = self.0.required_text("crv")?;
        let Some(curve) = Curve::from_name(&name) else {
            return Err(format!("expected P-256, P-384 or P-521 as crv of an EC key, found {}", quoted(&name)));
        };
        let length = curve.field_bytes();
        let point = [&[0x04], &self.0.exactly("x", length)?[..], &self.0.exactly("y", length)?[..]].concat();
        Ok((curve, point))
    }

    fn ed25519(&self) -> Result<Zeroizing<Vec<u8>>, String> {
        let name = self.0.required_text("crv")?;
        if *name != "Ed25519" {
            return Err(format!("expected Ed25519 as crv of an OKP key, found {}", quoted(&name)));
        }
        self.0.exactly("x", 32)
    }
}

/// What `key_ops` lists. Without it, everything goes.
struct Operations(Option<Vec<String>>);

impl Operations {
    fn allow(&self, operation: &str) -> bool {
        self.0.as_ref().is_none_or(|operations| operations.iter().any(|listed| listed == operation))
    }

    fn expect(&self, operation: &str) -> Result<(), String> {
        if self.allow(operation) { Ok(()) } else { Err(format!("expected {operation:?} among key_ops")) }
    }
}

fn unknown_type(kty: &str) -> String {
    format!("expected RSA, EC or OKP as kty, found {}", quoted(kty))
}

/// What two places say, if they do not contradict each other.
fn agreed<T: PartialEq + ToString>(name: &str, given: Option<T>, found: Option<T>) -> Result<Option<T>, String> {
    match (given, found) {
        (Some(given), Some(found)) if given != found => {
            let (given, found) = (quoted(&given.to_string()), quoted(&found.to_string()));
            Err(format!("expected {given} as {name} of the JWK, as configured, found {found}"))
        }
        (given, found) => Ok(given.or(found)),
    }
}
