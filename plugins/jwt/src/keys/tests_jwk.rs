//! JSON Web Keys, right and wrong, against [`Key::from_text`]. The keys are those of RFC 7517, RFC 7520 and RFC 8037.

use super::tests_rfc::{RFC7515_A2_KEY, RFC7515_A3_KEY, RFC8037_KEY};
use super::{Key, min_secret_bytes};
use crate::algorithm::Algorithm;

const EC: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
const OKP: &str = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
const SECRET: &str = r#"{"kty":"oct","k":"hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg"}"#;

fn read(text: &str) -> Result<Key, String> {
    Key::from_text(text, None, None)
}

/// The JWK with another member.
fn with(jwk: &str, member: &str) -> String {
    format!("{}, {member}}}", jwk.strip_suffix('}').unwrap())
}

#[test]
fn the_algorithm_comes_from_the_curve_the_jwk_or_the_configuration() {
    assert_eq!(read(EC).unwrap().algorithm(), Algorithm::Es256);
    assert_eq!(read(OKP).unwrap().algorithm(), Algorithm::EdDsa);
    assert_eq!(read(&with(OKP, r#""alg": "Ed25519""#)).unwrap().algorithm(), Algorithm::Ed25519);
    assert_eq!(read(&with(SECRET, r#""alg": "HS256""#)).unwrap().algorithm(), Algorithm::Hs256);
    assert_eq!(read(&with(RFC7515_A2_KEY, r#""alg": "PS512""#)).unwrap().algorithm(), Algorithm::Ps512);
    let given = Key::from_text(RFC7515_A2_KEY, Some(Algorithm::Rs384), None).unwrap();
    assert_eq!(given.algorithm(), Algorithm::Rs384);

    assert!(read(RFC7515_A2_KEY).unwrap_err().starts_with("expected an algorithm for an RSA key"));
    assert!(read(SECRET).unwrap_err().starts_with("expected an algorithm for a secret"));
}

#[test]
fn a_jwk_and_the_configuration_must_agree() {
    let named = with(EC, r#""kid": "a", "alg": "ES256""#);
    for (algorithm, kid) in [(None, None), (Some(Algorithm::Es256), Some("a"))] {
        let key = Key::from_text(&named, algorithm, kid.map(str::to_owned)).unwrap();
        assert_eq!((key.kid(), key.algorithm()), (Some("a"), Algorithm::Es256));
    }
    assert_eq!(Key::from_text(EC, None, Some("b".to_owned())).unwrap().kid(), Some("b"));

    let error = Key::from_text(&named, None, Some("b".to_owned())).unwrap_err();
    assert_eq!(error, "expected \"b\" as kid of the JWK, as configured, found \"a\"");
    let error = Key::from_text(&named, Some(Algorithm::Es384), None).unwrap_err();
    assert_eq!(error, "expected \"ES384\" as alg of the JWK, as configured, found \"ES256\"");
    let error = Key::from_text(EC, Some(Algorithm::Es384), None).unwrap_err();
    assert_eq!(error, "expected an EC key on P-384 for ES384, found an EC key on P-256");
    let error = read(&with(EC, r#""alg": "ES384""#)).unwrap_err();
    assert_eq!(error, "expected an EC key on P-384 for ES384, found an EC key on P-256");
}

#[test]
fn no_public_key_becomes_a_secret_and_no_secret_a_key() {
    let error = Key::from_text(EC, Some(Algorithm::Hs256), None).unwrap_err();
    assert_eq!(error, "expected a secret for HS256, found a JWK with kty \"EC\"");
    let error = Key::from_text(SECRET, Some(Algorithm::Es256), None).unwrap_err();
    assert_eq!(error, "expected an EC key on P-256 for ES256, found a secret");

    let disguised = base64_simd::URL_SAFE_NO_PAD.encode_to_string(super::test_keys::P256_SPKI);
    let jwk = format!(r#"{{"kty": "oct", "alg": "HS256", "k": "{disguised}"}}"#);
    assert_eq!(read(&jwk).unwrap_err(), "expected a secret as k, found a key in text form");
}

#[test]
fn purposes_are_respected() {
    for member in [r#""use": "sig""#, r#""key_ops": ["verify"]"#, r#""use": "sig", "key_ops": ["sign", "verify"]"#] {
        assert!(read(&with(EC, member)).is_ok(), "{member}");
    }
    for (jwk, member, expected) in [
        (EC, r#""use": "enc""#, "expected \"sig\" as use, found \"enc\""),
        (EC, r#""use": 1"#, "expected a string as use"),
        (EC, r#""key_ops": []"#, "expected \"verify\" among key_ops"),
        (EC, r#""key_ops": ["sign"]"#, "expected \"verify\" among key_ops"),
        (EC, r#""key_ops": ["verify", "verify"]"#, "expected different values in key_ops"),
        (EC, r#""key_ops": "verify""#, "expected an array of strings as key_ops"),
        (RFC7515_A3_KEY, r#""key_ops": ["verify"]"#, "expected \"sign\" among key_ops"),
        (SECRET, r#""alg": "HS256", "key_ops": ["sign"]"#, "expected \"verify\" among key_ops"),
    ] {
        assert_eq!(read(&with(jwk, member)).unwrap_err(), expected);
    }
    assert!(read(&with(RFC7515_A3_KEY, r#""key_ops": ["sign"]"#)).unwrap().can_sign());
}

#[test]
fn a_secret_may_be_for_verifying_alone() {
    let both = read(&with(SECRET, r#""alg": "HS256""#)).unwrap();
    assert!(both.can_sign());
    let signature = both.sign(b"message").unwrap();
    let verifying = read(&with(SECRET, r#""alg": "HS256", "key_ops": ["verify"]"#)).unwrap();
    assert!(verifying.verify(b"message", &signature));
    assert!(!verifying.can_sign());
    let error = verifying.sign(b"message").unwrap_err();
    assert_eq!(error, "expected a key that signs, found one for verifying alone (HS256)");
}

#[test]
fn short_secrets_are_refused() {
    for algorithm in [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512] {
        let least = min_secret_bytes(algorithm);
        let jwk = |length: usize| {
            let k = base64_simd::URL_SAFE_NO_PAD.encode_to_string(vec![b'k'; length]);
            format!(r#"{{"kty": "oct", "alg": "{algorithm}", "k": "{k}"}}"#)
        };
        assert!(read(&jwk(least)).is_ok());
        assert_eq!(
            read(&jwk(least - 1)).unwrap_err(),
            format!("expected at least {least} bytes as k for {algorithm}, found {}", least - 1)
        );
        assert!(read(&jwk(0)).is_err());
    }
}

#[test]
fn base64url_has_one_spelling() {
    assert!(EC.contains("VEU\""));
    for (from, to) in
        [("VEU\"", "VEV\""), ("VEU\"", "VEU=\""), ("VEU\"", "VEU\\n\""), ("VEU\"", " VEU\""), ("x_FE", "x/FE")]
    {
        let error = read(&EC.replace(from, to)).unwrap_err();
        assert!(error.starts_with("expected base64url without padding as "), "{error}");
    }
    // JSON may spell it as it likes, though.
    assert!(read(&EC.replace("VEU\"", "V\\u0045U\"")).is_ok());
}

#[test]
fn lengths_are_exact() {
    let zero_first = EC.replace("\"f83O", "\"AAf83O");
    let error = read(&zero_first).unwrap_err();
    assert!(error == "expected 32 bytes as x, found 33" || error.contains("base64url"), "{error}");
    let jwk = |n: &str, e: &str| format!(r#"{{"kty": "RSA", "alg": "RS256", "n": "{n}", "e": "{e}"}}"#);
    let modulus = |bytes: usize| base64_simd::URL_SAFE_NO_PAD.encode_to_string(vec![0xff; bytes]);
    for (n, e, expected) in [
        (modulus(256), "AAEAAQ", "expected a number without leading zeros as e"),
        (modulus(256), "", "expected a number without leading zeros as e"),
        (String::new(), "AQAB", "expected a number without leading zeros as n"),
        (format!("AAAA{}", modulus(256)), "AQAB", "expected a number without leading zeros as n"),
        (modulus(128), "AQAB", "expected an RSA key of 2048 to 8192 bits for RS256, found an RSA key of 1024 bits"),
        (modulus(255), "AQAB", "expected an RSA key of 2048 to 8192 bits for RS256, found an RSA key of 2040 bits"),
        (modulus(1025), "AQAB", "expected an RSA key of 2048 to 8192 bits for RS256, found an RSA key of 8200 bits"),
        (modulus(4096), "AQAB", "expected an RSA key of 2048 to 8192 bits for RS256, found an RSA key of 32768 bits"),
    ] {
        assert_eq!(read(&jwk(&n, e)).unwrap_err(), expected);
    }
    assert!(read(&jwk(&modulus(256), "AQAB")).is_ok());
    assert!(read(&jwk(&modulus(1024), "AQAB")).is_ok());
    // Even exponents, one, and more than 33 bits.
    for e in ["AQ", "Ag", "AQAA", "////".replace('/', "_").repeat(4).as_str()] {
        let error = read(&jwk(&modulus(256), e)).unwrap_err();
        assert!(error.starts_with("expected an RSA key"), "{error}");
    }
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    // x and y swapped: not on the curve.
    let swapped = EC.replace("\"x\"", "\"z\"").replace("\"y\"", "\"x\"").replace("\"z\"", "\"y\"");
    for jwk in [
        swapped,
        // Somebody else's d.
        RFC7515_A3_KEY.replace("jpsQ", "jpsR"),
        RFC8037_KEY.replace("nWGx", "nWGy"),
        with(RFC7515_A2_KEY, r#""alg": "RS256""#).replace("Eq5x", "Eq5y"),
        with(RFC7515_A2_KEY, r#""alg": "RS256""#).replace("4BzE", "4BzF"),
        with(RFC7515_A2_KEY, r#""alg": "RS256""#).replace("BwKf", "BwKg"),
        with(RFC7515_A2_KEY, r#""alg": "RS256""#).replace("IYd7", "IYd8"),
        with(RFC7515_A2_KEY, r#""alg": "RS256""#).replace("\"AQAB\"", "\"Aw\""),
    ] {
        let error = read(&jwk).unwrap_err();
        assert!(error.contains("that is valid ("), "{error}");
    }
}

#[test]
fn private_rsa_keys_need_all_their_numbers() {
    let rsa = with(RFC7515_A2_KEY, r#""alg": "RS256""#);
    for name in ["p", "q", "dp", "dq", "qi"] {
        let error = read(&rsa.replace(&format!("\"{name}\""), "\"other\"")).unwrap_err();
        assert_eq!(error, "expected a private RSA key with all of p, q, dp, dq and qi");
    }
    assert_eq!(read(&rsa.replace("\"d\"", "\"other\"")).unwrap_err(), "expected a member d");
    let error = read(&with(&rsa, r#""oth": []"#)).unwrap_err();
    assert_eq!(error, "expected a private RSA key of two primes, found more (oth)");
}

#[test]
fn members_have_one_meaning() {
    for (jwk, expected) in [
        (with(EC, r#""kty": "EC""#), "two members \"kty\""),
        // The same name in another spelling, and names that nobody reads.
        (with(EC, r#""\u006bty": "EC""#), "two members \"kty\""),
        (with(EC, r#""a": 1, "a": 1"#), "two members \"a\""),
    ] {
        let error = read(&jwk).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    for (from, to, expected) in [
        ("\"EC\"", "\"ec\"", "expected RSA, EC or OKP as kty, found \"ec\""),
        ("\"EC\"", "5", "expected a string as kty"),
        ("\"kty\"", "\"type\"", "expected a member kty"),
        ("P-256", "secp256k1", "expected P-256, P-384 or P-521 as crv of an EC key, found \"secp256k1\""),
        ("P-256", "P-384", "expected 48 bytes as x, found 32"),
        ("\"crv\"", "\"curve\"", "expected a member crv"),
        ("\"x\"", "\"X\"", "expected a member x"),
    ] {
        assert_eq!(read(&EC.replace(from, to)).unwrap_err(), expected);
    }
    let error = read(&OKP.replace("Ed25519", "X25519")).unwrap_err();
    assert_eq!(error, "expected Ed25519 as crv of an OKP key, found \"X25519\"");
    assert_eq!(read(&with(EC, r#""kid": 7"#)).unwrap_err(), "expected a string as kid");
    assert_eq!(read(&with(EC, r#""kid": null"#)).unwrap_err(), "expected a string as kid");
    assert_eq!(
        read(&with(EC, r#""alg": "none""#)).unwrap_err(),
        "expected a signature algorithm as alg, found \"none\""
    );
    assert_eq!(
        read(&with(EC, r#""alg": "es256""#)).unwrap_err(),
        "expected a signature algorithm as alg, found \"es256\""
    );
    assert_eq!(read(&format!("{{\"keys\": [{EC}]}}")).unwrap_err(), "expected one JWK, found a set of them");
}

#[test]
fn other_members_are_ignored() {
    let member = r#""x5u": "https://example.com/", "x5c": 5, "x5t": null, "jku": [], "exp": 1, "ext": true"#;
    assert!(read(&with(EC, member)).is_ok());
}

#[test]
fn what_is_no_json_is_refused() {
    for text in ["{", "{}", "{]", "{\"kty\"", "{\"kty\": \"EC\"} {}", "{'kty': 'EC'}", "{\"kty\": \"\\ud800\"}"] {
        assert!(read(text).is_err(), "{text}");
    }
    assert!(read(&format!("\u{feff}{EC}")).is_err());
}

#[test]
fn messages_and_debug_hold_nothing_of_a_key() {
    let rsa = with(RFC7515_A2_KEY, r#""alg": "RS256""#);
    let secrets = ["AQABsecret", "\"super-secret\"", "5551234"];
    for jwk in [RFC7515_A3_KEY, RFC8037_KEY, &rsa, &with(SECRET, r#""alg": "HS256""#)] {
        for name in ["k", "d", "p", "q", "dp", "dq", "qi", "x", "n"] {
            for secret in secrets {
                let member = format!("\"{name}\": ");
                let Some((before, after)) = jwk
                    .replace("\":\"", "\": \"")
                    .split_once(&member)
                    .map(|(before, after)| (before.to_owned(), after.to_owned()))
                else {
                    continue;
                };
                let (_, after) = after[1..].split_once('"').unwrap();
                let value = if secret == "AQABsecret" { format!("\"{secret}\"") } else { secret.to_owned() };
                let error = read(&format!("{before}{member}{value}{after}")).unwrap_err();
                assert!(!error.contains(secret.trim_matches('"')), "{error}");
                // Broken JSON right behind it.
                let error = read(&format!("{before}{member}{value} ! {after}")).unwrap_err();
                assert!(!error.contains(secret.trim_matches('"')), "{error}");
            }
        }
    }
    let debug = format!("{:?}", read(RFC7515_A3_KEY).unwrap());
    assert_eq!(debug, "Key { kid: None, algorithm: Es256, can_sign: true, .. }");
}
