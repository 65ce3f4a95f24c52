//! JWK Sets, right and wrong, against [`KeySet`].

use super::tests_rfc::{RFC7515_A2_KEY, RFC7515_A3_KEY, RFC7515_A4_KEY, RFC8037_KEY};
use super::{Key, KeySet};
use crate::algorithm::Algorithm;

fn parse(keys: &[&str]) -> Result<KeySet, String> {
    KeySet::parse(format!("{{\"keys\": [{}]}}", keys.join(", ")).as_bytes(), Algorithm::Rs256)
}

/// The JWK with another member.
fn with(jwk: &str, member: &str) -> String {
    format!("{}, {member}}}", jwk.strip_suffix('}').unwrap())
}

#[test]
fn keys_are_found_by_algorithm_and_name() {
    let rsa = with(RFC7515_A2_KEY, r#""kid": "rsa""#);
    let ec = with(RFC7515_A3_KEY, r#""kid": "ec""#);
    let pss = with(RFC7515_A2_KEY, r#""kid": "rsa", "alg": "PS256""#);
    let set = parse(&[&rsa, &ec, &rsa, &pss, RFC8037_KEY]).unwrap();
    assert_eq!(set.skipped(), <[String; 0]>::default());
    assert_eq!(set.keys().len(), 5);
    assert!(set.keys().iter().all(|key| !key.can_sign()));

    // Two of the same name and algorithm are two keys.
    assert_eq!(set.find(Algorithm::Rs256, Some("rsa")).count(), 2);
    assert_eq!(set.find(Algorithm::Rs256, None).count(), 2);
    assert_eq!(set.find(Algorithm::Ps256, Some("rsa")).count(), 1);
    assert_eq!(set.find(Algorithm::Es256, Some("ec")).count(), 1);
    assert_eq!(set.find(Algorithm::Es256, Some("rsa")).count(), 0);
    assert_eq!(set.find(Algorithm::Es256, Some("")).count(), 0);
    assert_eq!(set.find(Algorithm::EdDsa, None).count(), 1);
    assert_eq!(set.find(Algorithm::EdDsa, Some("ec")).count(), 0);
    assert_eq!(set.find(Algorithm::Rs512, None).count(), 0);

    assert!(set.knows_kid("rsa") && set.knows_kid("ec"));
    assert!(!set.knows_kid("") && !set.knows_kid("RSA"));
    assert_eq!(set.find(Algorithm::Ed25519, None).count(), 1, "another name for the same");
}

#[test]
fn rsa_keys_get_the_algorithm_that_is_given() {
    let json = format!("{{\"keys\": [{RFC7515_A2_KEY}]}}");
    let set = KeySet::parse(json.as_bytes(), Algorithm::Ps384).unwrap();
    assert_eq!(set.keys()[0].algorithm(), Algorithm::Ps384);
}

#[test]
fn a_private_key_gives_its_public_part() {
    let set = parse(&[RFC7515_A3_KEY]).unwrap();
    let key = Key::from_text(RFC7515_A3_KEY, None, None).unwrap();
    let signature = key.sign(b"message").unwrap();
    let [public] = set.keys() else { panic!("{set:?}") };
    assert!(public.verify(b"message", &signature));
    assert!(!public.can_sign());
    assert!(public.sign(b"message").is_err());
    // It says that it is for signing, and does not even have to be right.
    for member in [r#""key_ops": ["sign"]"#, r#""key_ops": ["verify"]"#] {
        assert_eq!(parse(&[&with(RFC7515_A3_KEY, member)]).unwrap().keys().len(), 1);
    }
}

#[test]
fn keys_that_cannot_be_used_are_skipped() {
    let good = RFC8037_KEY;
    let short = base64_simd::URL_SAFE_NO_PAD.encode_to_string([0xff; 128]);
    let short = format!(r#"{{"kty": "RSA", "kid": "short", "n": "{short}", "e": "AQAB"}}"#);
    let encryption = with(RFC7515_A3_KEY, r#""kid": "e", "use": "enc""#);
    let wrapping = with(RFC7515_A3_KEY, r#""key_ops": ["deriveKey"]"#);
    let other_algorithm = with(RFC7515_A3_KEY, r#""alg": "ECDH-ES""#);
    let other_curve = with(RFC7515_A3_KEY, r#""alg": "ES384""#);
    let symmetric_algorithm = with(RFC7515_A3_KEY, r#""alg": "HS256""#);
    let twice = with(RFC7515_A3_KEY, r#""kid": "a", "kid": "b""#);
    let long_name = with(r#"{"kty": "other"}"#, &format!("\"kid\": \"{}\"", "x\\n".repeat(100)));
    let cases = [
        (r#"{"kty": "AKP"}"#, "keys[1]: expected RSA, EC or OKP as kty, found \"AKP\"".to_owned()),
        (r#"{"kty": "oct", "k": "c2VjcmV0LXNlY3JldA"}"#, "keys[1]: expected a public key, found a secret".to_owned()),
        (&short, {
            let reason = "expected an RSA key of 2048 to 8192 bits for RS256, found an RSA key of 1024 bits";
            format!("keys[1], kid \"short\": {reason}")
        }),
        (&encryption, "keys[1], kid \"e\": expected \"sig\" as use, found \"enc\"".to_owned()),
        (&wrapping, "keys[1]: expected \"verify\" among key_ops".to_owned()),
        (&other_algorithm, "keys[1]: expected a signature algorithm as alg, found \"ECDH-ES\"".to_owned()),
        (&other_curve, "keys[1]: expected an EC key on P-384 for ES384, found an EC key on P-256".to_owned()),
        (&symmetric_algorithm, "keys[1]: expected a secret for HS256, found an EC key on P-256".to_owned()),
        (r#""c2VjcmV0""#, "keys[1]: expected a JSON object".to_owned()),
        ("null", "keys[1]: expected a JSON object".to_owned()),
        ("[]", "keys[1]: expected a JSON object".to_owned()),
        ("{}", "keys[1]: expected a member kty".to_owned()),
        (r#"{"kty": 1, "kid": 2}"#, "keys[1]: expected a string as kty".to_owned()),
        (&long_name, {
            let name = "x\\n".repeat(32);
            format!("keys[1], kid \"{name}\"...: expected RSA, EC or OKP as kty, found \"other\"")
        }),
    ];
    for (key, reason) in cases {
        let set = parse(&[good, key, good]).unwrap();
        assert_eq!(set.keys().len(), 2);
        assert_eq!(set.skipped(), [reason]);
    }
    let set = parse(&[good, &twice]).unwrap();
    assert_eq!(set.keys().len(), 1);
    assert!(set.skipped()[0].contains("two members \"kid\""), "{set:?}");
}

#[test]
fn what_is_no_set_is_refused() {
    for (json, expected) in [
        ("", "expected a JSON object"),
        ("[]", "expected a JSON object"),
        ("\"secret\"", "expected a JSON object"),
        ("{}", "expected a JWK Set, found no member keys"),
        (RFC7515_A4_KEY, "expected a JWK Set, found no member keys"),
        (r#"{"keys": {}}"#, "expected an array as keys of the JWK Set"),
        (r#"{"keys": null}"#, "expected an array as keys of the JWK Set"),
    ] {
        assert_eq!(KeySet::parse(json.as_bytes(), Algorithm::Rs256).unwrap_err(), expected);
    }
    for json in [r#"{"keys": [], "keys": []}"#, r#"{"keys": []"#, r#"{"keys": []} x"#, r#"{"keys": [}"#] {
        assert!(KeySet::parse(json.as_bytes(), Algorithm::Rs256).is_err(), "{json}");
    }
    let error = KeySet::parse(b"{\"keys\": [\"\xff\"]}", Algorithm::Rs256).unwrap_err();
    assert_eq!(error, "expected a JWK Set in UTF-8");
}

#[test]
fn a_set_may_be_empty_and_have_other_members() {
    assert_eq!(parse(&[]).unwrap().keys().len(), 0);
    let set = KeySet::parse(br#" {"more": {"a": 1}, "keys": [] } "#, Algorithm::Rs256).unwrap();
    assert!(set.keys().is_empty() && set.skipped().is_empty());
}

#[test]
fn a_set_has_at_most_256_keys() {
    let keys = [RFC8037_KEY; 257];
    assert_eq!(parse(&keys[..256]).unwrap().keys().len(), 256);
    assert_eq!(parse(&keys).unwrap_err(), "expected at most 256 keys in a JWK Set, found 257");
}

#[test]
fn deep_and_wide_texts_are_no_trouble() {
    let deep = format!("{{\"keys\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(KeySet::parse(deep.as_bytes(), Algorithm::Rs256).is_ok_and(|set| set.keys().is_empty()));
    let members: Vec<String> = (0..100_000).map(|index| format!("\"a{index}\": 0")).collect();
    let wide = format!("{{{}, \"keys\": []}}", members.join(", "));
    assert!(KeySet::parse(wide.as_bytes(), Algorithm::Rs256).is_ok());
}
