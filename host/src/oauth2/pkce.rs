//! Proof Key for Code Exchange (RFC 7636): a code is worth nothing to who cannot say from what its challenge was made.
//!
//! Only `S256`: with `plain` whoever reads the authorization request can exchange the code.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The one method.
pub(super) const S256: &str = "S256";

/// Whether this can be an S256 challenge: a SHA-256 digest in base64url, spelt in the one canonical way.
pub(super) fn is_challenge(challenge: &str) -> bool {
    URL_SAFE_NO_PAD.decode(challenge).is_ok_and(|digest| digest.len() == 32)
}

/// Whether this can be a verifier (RFC 7636 §4.1).
fn is_verifier(verifier: &str) -> bool {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    (43..=128).contains(&verifier.len()) && verifier.bytes().all(is_unreserved)
}

/// Whether the challenge was made from this verifier.
pub(super) fn fits(challenge: &str, verifier: &str) -> bool {
    let made = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    is_verifier(verifier) && bool::from(made.as_bytes().ct_eq(challenge.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn the_rfc_s_example_fits() {
        assert!(is_challenge(CHALLENGE) && fits(CHALLENGE, VERIFIER));
        assert!(!fits(CHALLENGE, &VERIFIER.replace('d', "e")));
        assert!(!fits(VERIFIER, VERIFIER), "plain is not a method");
    }

    #[test]
    fn verifiers_have_a_form() {
        for (verifier, is_good) in [
            ("a".repeat(42), false),
            ("a".repeat(43), true),
            ("~".repeat(128), true),
            ("a".repeat(129), false),
            (format!("{}+", "a".repeat(43)), false),
            (format!("{}é", "a".repeat(43)), false),
        ] {
            let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
            assert_eq!(fits(&challenge, &verifier), is_good, "{verifier}");
        }
    }

    #[test]
    fn challenges_have_a_form() {
        for challenge in ["", "abc", &CHALLENGE[1..], &format!("{CHALLENGE}="), &CHALLENGE.replace("cM", "cN")] {
            assert!(!is_challenge(challenge), "{challenge}");
        }
    }
}
