//! [`Digest`]: what is kept of a token. [`Digester`]: makes it.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256, Sha512};
use zeroize::Zeroizing;

/// What is kept of a token: a SHA-256, an HMAC-SHA-256 under a pepper, or what another system kept. It prints as nothing:
/// whoever has a digest that is not peppered can try tokens against it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Digest {
    bytes: [u8; Self::MAX_BYTES],
    length: u8,
}

impl Digest {
    /// SHA-512's.
    pub(crate) const MAX_BYTES: usize = 64;

    /// A digest of these bytes; `None`: there are too many, or too few to tell tokens apart.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        const MIN_BYTES: usize = 20;
        let length = u8::try_from(bytes.len()).ok().filter(|_| bytes.len() >= MIN_BYTES)?;
        let mut digest = Self { bytes: [0; Self::MAX_BYTES], length };
        digest.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(digest)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    fn short(bytes: [u8; 32]) -> Self {
        let mut digest = Self { bytes: [0; Self::MAX_BYTES], length: 32 };
        digest.bytes[..32].copy_from_slice(&bytes);
        digest
    }

    /// SHA-512, as django-rest-knox keeps it.
    pub(crate) fn sha512(token: &str) -> Self {
        Self { bytes: Sha512::digest(token).into(), length: 64 }
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest([digest])")
    }
}

/// Makes digests: under the first pepper, or plain ones.
pub(crate) struct Digester {
    /// HMAC states that have the pepper in them already.
    peppers: Vec<Hmac<Sha256>>,
}

impl Digester {
    /// With these peppers: the first is for new tokens, all are for old ones, and so is none at all.
    pub(crate) fn new<'p>(peppers: impl IntoIterator<Item = &'p str>) -> Self {
        let keyed = |pepper: &str| {
            let key = Zeroizing::new(pepper.as_bytes().to_vec());
            // HMAC takes keys of any length.
            Hmac::<Sha256>::new_from_slice(&key).ok()
        };
        Self { peppers: peppers.into_iter().filter_map(keyed).collect() }
    }

    /// The one under which a token is kept, or is going to be from its next use on.
    pub(crate) fn digest(&self, token: &str) -> Digest {
        self.peppers.first().map_or_else(|| plain(token), |pepper| peppered(pepper, token))
    }

    /// The others under which it may be kept still.
    pub(crate) fn older(&self, token: &str) -> impl Iterator<Item = Digest> {
        let plain = (!self.peppers.is_empty()).then(|| plain(token));
        self.peppers.iter().skip(1).map(move |pepper| peppered(pepper, token)).chain(plain)
    }
}

impl fmt::Debug for Digester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Digester").field("peppers", &self.peppers.len()).finish()
    }
}

fn plain(token: &str) -> Digest {
    Digest::short(Sha256::digest(token).into())
}

fn peppered(pepper: &Hmac<Sha256>, token: &str) -> Digest {
    Digest::short(pepper.clone().chain_update(token).finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(digest: &Digest) -> String {
        digest.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn plain_and_peppered_digests_are_those_of_the_standards() {
        // FIPS 180-2, B.1; RFC 4231 §4.3.
        let plain = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex(&Digester::new([]).digest("abc")), plain);
        let peppered = Digester::new(["Jefe"]).digest("what do ya want for nothing?");
        assert_eq!(hex(&peppered), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert!(hex(&Digest::sha512("abc")).starts_with("ddaf35a193617abacc417349ae20413112e6fa4e89a97ea2"));
    }

    #[test]
    fn what_was_kept_under_another_pepper_or_none_is_still_found() {
        let old = Digester::new(["old"]).digest("t");
        let (rotated, first) = (Digester::new(["new", "old"]), Digester::new([]).digest("t"));
        assert_eq!(rotated.older("t").collect::<Vec<_>>(), [old, first]);
        assert_eq!(Digester::new([]).older("t").count(), 0);
        assert!(Digest::of_bytes(&[1; 19]).is_none() && Digest::of_bytes(&[1; 65]).is_none());
        assert_eq!(Digest::of_bytes(old.as_bytes()), Some(old));
        assert_eq!(format!("{old:?}"), "Digest([digest])");
    }
}
