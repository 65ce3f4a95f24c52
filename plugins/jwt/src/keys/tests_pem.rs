//! Every form of PEM, right and wrong, against [`Key::from_text`].

use super::test_keys::*;
use super::{Key, looks_like_a_key};
use crate::algorithm::Algorithm;

/// Per key pair: the private forms, the public forms, and the algorithms that it is for.
const PAIRS: [(&[&str], &[&str], &[Algorithm]); 5] = [
    (&[RSA_PKCS8, RSA_PKCS1], &[RSA_SPKI, RSA_PKCS1_PUBLIC], &RSA_ALGORITHMS),
    (&[P256_PKCS8, P256_SEC1], &[P256_SPKI], &[Algorithm::Es256]),
    (&[P384_PKCS8, P384_SEC1], &[P384_SPKI, P384_SPKI_COMPRESSED], &[Algorithm::Es384]),
    (&[P521_PKCS8, P521_SEC1], &[P521_SPKI], &[Algorithm::Es512]),
    (&[ED25519_PKCS8], &[ED25519_SPKI], &[Algorithm::EdDsa, Algorithm::Ed25519]),
];

const RSA_ALGORITHMS: [Algorithm; 6] =
    [Algorithm::Rs256, Algorithm::Rs384, Algorithm::Rs512, Algorithm::Ps256, Algorithm::Ps384, Algorithm::Ps512];

#[test]
fn every_private_form_signs_for_every_form() {
    for (private, public, algorithms) in PAIRS {
        for &algorithm in algorithms {
            let read = |text: &&str| Key::from_text(text, Some(algorithm), None).unwrap();
            let verifying: Vec<Key> = private.iter().chain(public).map(read).collect();
            for signing in private.iter().map(read) {
                assert!(signing.can_sign());
                let signature = signing.sign(b"message").unwrap();
                for key in &verifying {
                    assert_eq!(key.algorithm(), algorithm);
                    assert!(key.verify(b"message", &signature), "{algorithm}");
                    assert!(!key.verify(b"another message", &signature), "{algorithm}");
                }
            }
        }
    }
}

#[test]
fn public_forms_do_not_sign() {
    for (_, public, algorithms) in PAIRS {
        for text in public {
            let key = Key::from_text(text, Some(algorithms[0]), None).unwrap();
            assert!(!key.can_sign());
            let error = key.sign(b"message").unwrap_err();
            assert!(error.starts_with("expected a key that signs, found one for verifying alone"), "{error}");
        }
    }
}

#[test]
fn a_pair_fits_its_algorithms_and_no_others() {
    for (private, public, algorithms) in PAIRS {
        for text in private.iter().chain(public) {
            for algorithm in Algorithm::ALL {
                let key = Key::from_text(text, Some(algorithm), None);
                assert_eq!(key.is_ok(), algorithms.contains(&algorithm), "{algorithm}: {key:?}");
            }
        }
    }
}

#[test]
fn the_algorithm_follows_from_the_key_but_for_rsa() {
    for (private, public, algorithms) in PAIRS {
        for text in private.iter().chain(public) {
            match Key::from_text(text, None, None) {
                Ok(key) => assert_eq!(key.algorithm(), algorithms[0]),
                Err(error) => {
                    assert_eq!(algorithms, RSA_ALGORITHMS);
                    assert!(error.starts_with("expected an algorithm for an RSA key"), "{error}");
                }
            }
        }
    }
}

#[test]
fn messages_say_what_was_expected_and_found() {
    let two = [P256_SPKI, P384_SPKI].concat();
    let unfinished = P256_SPKI.replace("-----END PUBLIC KEY-----", "");
    let mixed = P256_SPKI.replace("END PUBLIC", "END PRIVATE");
    let unknown = P256_SPKI.replace(" PUBLIC KEY", " DH PARAMETERS");
    let bad_base64 = P256_SPKI.replace('M', "*");
    let other_contents = P256_SPKI.replace(" PUBLIC", " RSA PUBLIC");
    let no_contents = "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----";
    let cases: [(&str, Option<Algorithm>, &str); 25] = [
        (P384_SPKI, Some(Algorithm::Es256), "expected an EC key on P-256 for ES256, found an EC key on P-384"),
        (RSA_SPKI, Some(Algorithm::Es256), "expected an EC key on P-256 for ES256, found an RSA key of 2048 bits"),
        (P256_SPKI, Some(Algorithm::EdDsa), "expected an Ed25519 key for EdDSA, found an EC key on P-256"),
        (P256_SEC1, Some(Algorithm::Es512), "expected an EC key on P-521 for ES512, found an EC key on P-256"),
        (RSA_SPKI, Some(Algorithm::Hs256), "expected a secret for HS256, found PEM"),
        (
            RSA_1024_SPKI,
            Some(Algorithm::Rs256),
            "expected an RSA key of 2048 to 8192 bits for RS256, found an RSA key of 1024 bits",
        ),
        (SECP256K1_SPKI, None, "expected P-256, P-384 or P-521, found secp256k1"),
        (P384_SEC1_EXPLICIT, None, "expected an EC private key that names its curve"),
        (X25519_SPKI, None, "expected an RSA, EC or Ed25519 key, found an X25519 key, which cannot sign"),
        (ED448_SPKI, None, "expected an RSA, EC or Ed25519 key, found an Ed448 key"),
        (
            RSA_PSS_SPKI,
            Some(Algorithm::Ps256),
            "expected an RSA, EC or Ed25519 key, found an RSA key that is restricted to RSASSA-PSS \
             (make it with `-algorithm RSA`)",
        ),
        (ENCRYPTED_PKCS8, None, "expected a private key without a passphrase, found an encrypted one"),
        (ENCRYPTED_SEC1, None, "expected a private key without a passphrase, found an encrypted one"),
        (
            CERTIFICATE,
            None,
            "expected a key, found a certificate: extract its public key (`openssl x509 -in FILE -noout -pubkey`)",
        ),
        (OPENSSH, None, "expected PEM of PKCS#8, found an OpenSSH key (`ssh-keygen -p -m PKCS8 -f FILE` converts it)"),
        (OPENSSH_PUBLIC, None, "expected PEM or a JWK, found an ssh key (`ssh-keygen -e -m PKCS8` makes PEM of it)"),
        (&two, None, "expected one key in PEM, found 2 blocks"),
        (&unfinished, None, "expected an END of \"PUBLIC KEY\", found none"),
        (&mixed, None, "expected a BEGIN before the END of \"PRIVATE KEY\""),
        (&unknown, None, "expected a public or a private key, found \"DH PARAMETERS\""),
        (&bad_base64, None, "malformed base64 in PUBLIC KEY"),
        (&other_contents, Some(Algorithm::Rs256), "malformed RSAPublicKey"),
        (no_contents, None, "malformed SubjectPublicKeyInfo"),
        ("-----BEGIN", None, "expected one key in PEM, found 0 blocks"),
        ("secret", None, "expected a key as PEM, or as a JWK in JSON"),
    ];
    for (text, algorithm, expected) in cases {
        assert_eq!(Key::from_text(text, algorithm, None).unwrap_err(), expected);
    }
}

#[test]
fn texts_around_a_key_and_other_line_ends_do_not_matter() {
    for text in [
        format!("made by hand\n\n{P256_SPKI}\nbye\n"),
        P256_SPKI.replace('\n', "\r\n"),
        format!("  {}", P256_SPKI.replace('\n', "  \n  ")),
        P256_SPKI.trim().to_owned(),
    ] {
        assert_eq!(Key::from_text(&text, None, None).unwrap().algorithm(), Algorithm::Es256);
    }
}

#[test]
fn nothing_may_follow_a_key_inside_its_block() {
    for (text, algorithm) in [
        (RSA_SPKI, Algorithm::Rs256),
        (RSA_PKCS1_PUBLIC, Algorithm::Rs256),
        (RSA_PKCS8, Algorithm::Rs256),
        (RSA_PKCS1, Algorithm::Rs256),
        (P256_SPKI, Algorithm::Es256),
        (P256_PKCS8, Algorithm::Es256),
        (P384_PKCS8, Algorithm::Es384),
        (ED25519_SPKI, Algorithm::EdDsa),
        (ED25519_PKCS8, Algorithm::EdDsa),
    ] {
        assert!(Key::from_text(&with_contents(text, |_| ()), Some(algorithm), None).is_ok());
        let longer = with_contents(text, |der| der.push(0));
        assert!(Key::from_text(&longer, Some(algorithm), None).is_err(), "{text}");
        let shorter = with_contents(text, |der| der.truncate(der.len() - 1));
        assert!(Key::from_text(&shorter, Some(algorithm), None).is_err(), "{text}");
    }
}

/// No damage to a key makes it panic, and none to an EC key gives another one.
#[test]
fn damaged_keys_are_refused_or_read() {
    for (text, algorithm) in [
        (P256_SPKI, Algorithm::Es256),
        (P256_PKCS8, Algorithm::Es256),
        (ED25519_PKCS8, Algorithm::EdDsa),
        (RSA_PKCS1_PUBLIC, Algorithm::Rs256),
    ] {
        let length = decode(text).len();
        let mut refused = 0;
        for index in 0..length {
            let damaged = with_contents(text, |der| der[index] ^= 0x41);
            let key = Key::from_text(&damaged, Some(algorithm), None);
            refused += usize::from(key.is_err());
        }
        assert!(refused > 10, "{refused} of {length}");
    }
    let refused = (0..decode(P256_SPKI).len())
        .filter(|&index| Key::from_text(&with_contents(P256_SPKI, |der| der[index] ^= 1), None, None).is_err());
    assert_eq!(refused.count(), decode(P256_SPKI).len());
}

/// The text with other contents in its (last) block.
fn with_contents(text: &str, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut der = decode(text);
    change(&mut der);
    let label = text.lines().last().unwrap().replace("END", "BEGIN");
    format!("{label}\n{}\n{}\n", base64_simd::STANDARD.encode_to_string(der), text.lines().last().unwrap())
}

fn decode(text: &str) -> Vec<u8> {
    let lines: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    base64_simd::STANDARD.decode_to_vec(lines).unwrap()
}

#[test]
fn a_name_is_kept() {
    let key = Key::from_text(P256_SPKI, None, Some("2024".to_owned())).unwrap();
    assert_eq!(key.kid(), Some("2024"));
    assert_eq!(Key::from_text(P256_SPKI, None, None).unwrap().kid(), None);
}

#[test]
fn keys_are_recognized_where_a_secret_should_be() {
    for text in [RSA_SPKI, RSA_PKCS8, P256_SEC1, ED25519_SPKI, CERTIFICATE, OPENSSH, OPENSSH_PUBLIC, ENCRYPTED_PKCS8] {
        assert!(looks_like_a_key(text), "{text}");
        assert!(looks_like_a_key(&format!("  {text}")), "{text}");
    }
    for text in [RSA_SPKI, RSA_PKCS1_PUBLIC, RSA_PKCS1, P256_SPKI, P256_PKCS8, ED25519_SPKI] {
        let bare: String = text.lines().filter(|line| !line.starts_with('-')).collect();
        assert!(looks_like_a_key(&bare), "{bare}");
    }
    for text in [
        "---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----",
        "ecdsa-sha2-nistp256 AAAA",
        r#"{"kty": "RSA"}"#,
        r#"{"keys": [{"kty":"RSA"}]}"#,
        r#"[{"kty":"RSA"}]"#,
    ] {
        assert!(looks_like_a_key(text), "{text}");
    }
    for text in [
        "",
        "secret",
        "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A",
        "ssh-is-what-I-use",
        r#"{"json": "may be a secret"}"#,
        "a kty of sorts",
        "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg",
    ] {
        assert!(!looks_like_a_key(text), "{text}");
    }
}

#[test]
fn debug_shows_no_key() {
    let key = Key::from_text(P256_PKCS8, None, Some("2024".to_owned())).unwrap();
    assert_eq!(format!("{key:?}"), "Key { kid: Some(\"2024\"), algorithm: Es256, can_sign: true, .. }");
    let key = super::PublicKey::from_spki(&decode(P256_SPKI), None).unwrap();
    assert_eq!(format!("{key:?}"), "PublicKey { algorithm: Es256, .. }");
    let key = super::PrivateKey::from_pkcs8(&decode(P256_PKCS8), None).unwrap();
    assert_eq!(format!("{key:?}"), "PrivateKey { algorithm: Es256, .. }");
}

#[test]
fn keys_are_shared_between_threads() {
    fn assert_shareable<T: Send + Sync>() {}
    assert_shareable::<Key>();
    assert_shareable::<super::KeySet>();
}
