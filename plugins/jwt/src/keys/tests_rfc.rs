//! The examples of RFC 7515 appendix A, RFC 7520 section 4 and RFC 8037 appendix A, as they stand there.

use super::{Key, KeySet};
use crate::algorithm::Algorithm;

#[test]
fn rfc_7515_a_1_to_a_4() {
    for (jwk, algorithm, example) in [
        (RFC7515_A1_KEY, Algorithm::Hs256, RFC7515_A1),
        (RFC7515_A2_KEY, Algorithm::Rs256, RFC7515_A2),
        (RFC7515_A3_KEY, Algorithm::Es256, RFC7515_A3),
        (RFC7515_A4_KEY, Algorithm::Es512, RFC7515_A4),
    ] {
        check(jwk, algorithm, example);
    }
}

#[test]
fn rfc_7520_4_1_to_4_4() {
    for (jwk, algorithm, example) in [
        (RFC7520_RSA_KEY, Algorithm::Rs256, RFC7520_4_1),
        (RFC7520_RSA_KEY, Algorithm::Ps384, RFC7520_4_2),
        (RFC7520_EC_KEY, Algorithm::Es512, RFC7520_4_3),
        (RFC7520_SECRET, Algorithm::Hs256, RFC7520_4_4),
    ] {
        check(jwk, algorithm, example);
    }
}

#[test]
fn rfc_8037_a_4() {
    check(RFC8037_KEY, Algorithm::EdDsa, RFC8037_A4);
}

/// The example verifies, with the private key and with its public part alone; where signing leaves nothing to chance,
/// it gives the example's bytes. Neither the message nor the signature can be changed, nor is another algorithm as good.
fn check(jwk: &str, algorithm: Algorithm, example: &str) {
    let (message, signature) = parts(example);
    let key = Key::from_text(jwk, Some(algorithm), None).unwrap();
    assert_eq!(key.algorithm(), algorithm);
    assert!(key.verify(message.as_bytes(), &signature), "{algorithm}");
    let made = key.sign(message.as_bytes()).unwrap();
    assert!(key.verify(message.as_bytes(), &made), "{algorithm}");
    let random = matches!(algorithm, Algorithm::Ps384 | Algorithm::Es256 | Algorithm::Es512);
    assert_eq!(*made == *signature, !random, "{algorithm}");

    let mut keys = vec![key];
    if !jwk.contains("\"oct\"") {
        let set = KeySet::parse(format!("{{\"keys\": [{jwk}]}}").as_bytes(), algorithm_of_rsa(algorithm)).unwrap();
        assert_eq!(set.skipped(), <[String; 0]>::default());
        assert!(set.find(algorithm, None).all(|key| !key.can_sign()));
        keys.extend(set.into_keys());
        assert_eq!(keys.len(), 2);
    }
    for key in keys {
        assert!(key.verify(message.as_bytes(), &signature));
        assert!(!key.verify(message.replace('.', "..").as_bytes(), &signature));
        for index in 0..signature.len() {
            let mut changed = signature.clone();
            changed[index] ^= 1;
            assert!(!key.verify(message.as_bytes(), &changed), "{algorithm}, byte {index}");
        }
        assert!(!key.verify(message.as_bytes(), &[]));
        assert!(!key.verify(message.as_bytes(), &signature[1..]));
        assert!(!key.verify(message.as_bytes(), &[&signature[..], &[0]].concat()));
    }
}

#[test]
fn a_key_for_one_algorithm_does_not_verify_another() {
    let (message, signature) = parts(RFC7520_4_1);
    for algorithm in [Algorithm::Rs384, Algorithm::Rs512, Algorithm::Ps256, Algorithm::Ps384, Algorithm::Ps512] {
        let key = Key::from_text(RFC7520_RSA_KEY, Some(algorithm), None).unwrap();
        assert!(!key.verify(message.as_bytes(), &signature), "{algorithm}");
    }
}

#[test]
fn names_and_purposes_are_respected() {
    let key = Key::from_text(RFC7520_EC_KEY, None, None).unwrap();
    assert_eq!(key.kid(), Some("bilbo.baggins@hobbiton.example"));
    assert_eq!(key.algorithm(), Algorithm::Es512);
    // Made for A256GCM, and for encryption.
    let error = Key::from_text(RFC7520_ENCRYPTION_SECRET, None, None).unwrap_err();
    assert_eq!(error, "expected a signature algorithm as alg, found \"A256GCM\"");
}

fn algorithm_of_rsa(algorithm: Algorithm) -> Algorithm {
    if algorithm.name().ends_with("384") { Algorithm::Ps384 } else { Algorithm::Rs256 }
}

/// A JWS's signing input and signature.
fn parts(jws: &str) -> (&str, Vec<u8>) {
    let (message, signature) = jws.rsplit_once('.').unwrap();
    (message, base64_simd::URL_SAFE_NO_PAD.decode_to_vec(signature).unwrap())
}

/// RFC 7515 A.1.1.
pub(super) const RFC7515_A1_KEY: &str = "{\"kty\": \"oct\", \"k\": \"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1\
    Z9CAow\"}";
pub(super) const RFC7515_A1: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGx\
    lLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// RFC 7515 A.2.1.
pub(super) const RFC7515_A2_KEY: &str = "{\"kty\": \"RSA\", \"n\": \"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJ\
    PMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdb\
    BYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_\
    h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\", \"e\": \"AQAB\", \"d\": \"Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulw\
    e2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaY\
    LU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juU\
    O1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ\", \"p\": \"4\
    BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_Py5PJdTJNPY8cQn7ouZ2K\
    KDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc\", \"q\": \"uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7ce\
    pKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_YwD66t62wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTlt\
    RJ11BKBBypeeF6689rjcJIDEz9RWdc\", \"dp\": \"BwKfV3Akq5_MFZDFZCnW-wzl-CCo83WoZvnLQwCTeDv8uzluRSnm71I3QCLdhrqE\
    2e9YkxvuxdBfpT_PI7Yz-FOKnu1R6HsJeDCjn12Sk3vmAktV2zb34MCdy7cpdTh_YVr7tss2u6vneTwrA86rZtu5Mbr1C1XsmvkxHQAdYo0\
    \", \"dq\": \"h_96-mK1R_7glhsum81dZxjTnYynPbZpHziZjeeHcXYsXaaMwkOlODsWa7I9xXDoRwbKgB719rrmI2oKr6N3Do9U0ajaHF\
    -NKJnwgjMd2w9cjz3_-kyNlxAr2v4IKhGNpmM5iIgOS1VZnOZ68m6_pbLBSp3nssTdlqvd0tIiTHU\", \"qi\": \"IYd7DHOhrWvxkwPQs\
    RM2tOgrjbcrfvtQJipd-DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd_QJQ3ydy5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOg\
    o1cq9SbsxYawBgfp_gh6A5603k2-ZQwVK0JKSHuLFkuQ3U\"}";
pub(super) const RFC7515_A2: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp\
    0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9\
    uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383\
    LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVm\
    tVrBp0igcN_IoypGlUPQGe77Rw";
/// RFC 7515 A.3.1.
pub(super) const RFC7515_A3_KEY: &str = "{\"kty\": \"EC\", \"crv\": \"P-256\", \"x\": \"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\", \"y\": \"x_FEz\
    Ru9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\", \"d\": \"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI\"}";
pub(super) const RFC7515_A3: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp\
    0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
/// RFC 7515 A.4.1.
pub(super) const RFC7515_A4_KEY: &str = "{\"kty\": \"EC\", \"crv\": \"P-521\", \"x\": \"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6\
    OvLFV1jSfS9tsz4qUxcWceqwQGk\", \"y\": \"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0A\
    ZMaZmh9ubmf63e3kyMj2\", \"d\": \"AY5pb7A0UFiB3RELSD64fTLOSV_jazdF7fLYyuTw8lOfRhWg6Y6rUrPAxerEzgdRhajnu0ferB0\
    d53vM9mE15j2C\"}";
pub(super) const RFC7515_A4: &str = "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB\
    34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn";
/// RFC 7520 3.2.
pub(super) const RFC7520_EC_KEY: &str = "{\"kty\": \"EC\", \"kid\": \"bilbo.baggins@hobbiton.example\", \"use\": \"sig\", \"crv\": \"P-521\", \"x\": \
    \"AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt\", \"y\": \"Adyml\
    HvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1\", \"d\": \"AAhRON2r9cqX\
    X1hg-RoI6R1tX5p2rUAYdmpHZoC1XNM56KtscrX6zbKipQrCW9CGZH3T4ubpnoTKLDYJ_fF3_rJt\"}";
/// RFC 7520 3.4.
pub(super) const RFC7520_RSA_KEY: &str = "{\"kty\": \"RSA\", \"kid\": \"bilbo.baggins@hobbiton.example\", \"use\": \"sig\", \"n\": \"n4EPtAOCc9AlkeQHP\
    zHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiW\
    N2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuE\
    Hg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5z\
    w\", \"e\": \"AQAB\", \"d\": \"bWUC9B-EFRIo8kpGfh0ZuyGPvMNKvYWNtB_ikiH9k20eT-O1q_I78eiZkpXxXQ0UTEs2LsNRS-8uJ\
    bvQ-A1irkwMSMkK1J3XTGgdrhCku9gRldY7sNA_AKZGh-Q661_42rINLRCe8W-nZ34ui_qOfkLnK9QWDDqpaIsA-bMwWWSDFu2MUBYwkHTME\
    zLYGqOe04noqeq1hExBTHBOBdkMXiuFhUq1BU6l-DqEiWxqg82sXt2h-LMnT3046AOYJoRioz75tSUQfGCshWTBnP5uDjd18kKhyv07lhfSJ\
    drPdM5Plyl21hsFf4L_mHCuoFau7gdsPfHPxxjVOcOpBrQzwQ\", \"p\": \"3Slxg_DwTXJcb6095RoXygQCAZ5RnAvZlno1yhHtnUex_f\
    p7AZ_9nRaO7HX_-SFfGQeutao2TDjDAWU4Vupk8rw9JR0AzZ0N2fvuIAmr_WCsmGpeNqQnev1T7IyEsnh8UMt-n5CafhkikzhEsrmndH6LxO\
    rvRJlsPp6Zv8bUq0k\", \"q\": \"uKE2dh-cTf6ERF4k4e_jy78GfPYUIaUyoSSJuBzp3Cubk3OCqs6grT8bR_cu0Dm1MZwWmtdqDyI95H\
    rUeq3MP15vMMON8lHTeZu2lmKvwqW7anV5UzhM1iZ7z4yMkuUwFWoBvyY898EXvRD-hdqRxHlSqAZ192zB3pVFJ0s7pFc\", \"dp\": \"B\
    8PVvXkvJrj2L-GYQ7v3y9r6Kw5g9SahXBwsWUzp19TVlgI-YV85q1NIb1rxQtD-IsXXR3-TanevuRPRt5OBOdiMGQp8pbt26gljYfKU_E9xn\
    -RULHz0-ed9E9gXLKD4VGngpz-PfQ_q29pk5xWHoJp009Qf1HvChixRX59ehik\", \"dq\": \"CLDmDGduhylc9o7r84rEUVn7pzQ6PF83\
    Y-iBZx5NT-TpnOZKF1pErAMVeKzFEl41DlHHqqBLSM0W1sOFbwTxYWZDm6sI6og5iTbwQGIC3gnJKbi_7k_vJgGHwHxgPaX2PnvP-zyEkDER\
    uf-ry4c_Z11Cq9AqC2yeL6kdKT1cYF8\", \"qi\": \"3PiqvXQN0zwMeE-sBvZgi289XP9XCQF3VWqPzMKnIgQp7_Tugo6-NZBKCQsMf3H\
    aEGBjTVJs_jcK8-TRXvaKe-7ZMaQj8VfBdYkssbu0NKDDhjJ-GtiseaDVWt7dcH0cfwxgFUHpQh7FoCrjFJ6h6ZEpMF6xmujs4qMpPz8aaI4\
    \"}";
/// RFC 7520 3.5.
pub(super) const RFC7520_SECRET: &str = "{\"kty\": \"oct\", \"kid\": \"018c0ae5-4d9b-471b-bfd6-eef314bc7037\", \"use\": \"sig\", \"alg\": \"HS256\", \
    \"k\": \"hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg\"}";
/// RFC 7520 3.6.
pub(super) const RFC7520_ENCRYPTION_SECRET: &str = "{\"kty\": \"oct\", \"kid\": \"1e571774-2e08-40da-8308-e8d68773842d\", \"use\": \"enc\", \"alg\": \"A256GCM\"\
    , \"k\": \"AAPapAv4LbFbiVawEjagUBluYqN5rhna-8nuldDvOx8\"}";
pub(super) const RFC7520_4_1: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXN\
    zLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXI\
    gZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4.MRjdkly7_-oTPTS3AXP41iQIGKa\
    80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfW\
    Ra-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLG\
    djluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg";
pub(super) const RFC7520_4_2: &str = "eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXN\
    zLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXI\
    gZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4.cu22eBqkYDKgIlTpzDXGvaFfz6W\
    Goz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8\
    biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp8cBE5\
    awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw";
pub(super) const RFC7520_4_3: &str = "eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXN\
    zLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXI\
    gZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4.AE_R_YZCChjn4791jSQCrdPZCNY\
    qHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJAQy3mtPBu_u_sDDyYjnAMDxXPn7XrT0lw-kvAD890jl8e2p\
    uQens_IEKBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2";
pub(super) const RFC7520_4_4: &str = "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9.SXTigJlzIGEgZGFuZ2Vyb3VzIGJ\
    1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWV\
    wIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4.s0h6KThzkfBBBkLspW1\
    h84VsJZFTsPPqMDA7g1Md7p0";
/// RFC 8037 A.1.
pub(super) const RFC8037_KEY: &str = "{\"kty\": \"OKP\", \"crv\": \"Ed25519\", \"d\": \"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\", \
    \"x\": \"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}";
/// RFC 8037 A.4.
pub(super) const RFC8037_A4: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
    hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
