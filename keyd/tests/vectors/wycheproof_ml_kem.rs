//! Wycheproof, ML-KEM-768: hostile lengths, public keys with coefficients that are not below q, ciphertexts
//! that must decapsulate to the secret of implicit rejection.

use crate::report::{Outcome, run};
use aws_lc_rs::kem::{DecapsulationKey, ML_KEM_768};
use chancel_domain::Algorithm::MlKem768;
use chancel_keyd::crypto::{CryptoError, Seed, decapsulate, expand};
use chancel_pqc::{EncapsulateError, encapsulate};
use wycheproof::TestResult;
use wycheproof::mlkem::{Test, TestName, TestSet};

fn cases(name: TestName) -> Vec<Test> {
    let set = TestSet::load(name).expect("the vectors parse");
    set.test_groups
        .into_iter()
        .flat_map(|group| group.tests)
        .collect()
}

fn expanded(seed: &[u8]) -> Result<(Vec<u8>, Vec<u8>), CryptoError> {
    let mut private_key = vec![0; MlKem768.spec().private_key_len];
    let public_key = expand(MlKem768, &Seed::from_secret(MlKem768, seed)?, &mut private_key)?;
    Ok((private_key, public_key))
}

#[test]
fn decapsulation_from_a_seed() {
    run(
        "Wycheproof ML-KEM-768 decapsulation",
        cases(TestName::MlKem768),
        |test| {
            let seed = test.seed.as_ref().expect("these cases have a seed");
            let ciphertext = test.ct.as_ref().expect("these cases have a ciphertext");
            let found = expanded(seed).and_then(|(private_key, public_key)| {
                if let Some(expected) = &test.encaps_key {
                    assert!(public_key == expected.as_ref(), "tcId {}: public key", test.tc_id);
                }
                let secret = decapsulate(MlKem768, &private_key, ciphertext)?;
                // The other library, with the key as liboqs expanded it.
                let other = DecapsulationKey::new(&ML_KEM_768, &private_key).expect("the key is valid");
                let other = other
                    .decapsulate(ciphertext.as_ref().into())
                    .expect("the ciphertext is valid");
                assert!(
                    other.as_ref() == secret.expose(),
                    "tcId {}: libraries differ",
                    test.tc_id
                );
                Ok(secret)
            });
            match test.result {
                TestResult::Valid => {
                    let expected = test.shared_secret.as_ref().expect("valid cases have a secret");
                    assert!(
                        found.is_ok_and(|secret| secret.expose() == expected.as_ref()),
                        "tcId {}",
                        test.tc_id
                    );
                }
                _ => assert!(found.is_err(), "tcId {} was accepted", test.tc_id),
            }
            Outcome::Passed
        },
    );
}

#[test]
fn encapsulation() {
    run(
        "Wycheproof ML-KEM-768 encapsulation",
        cases(TestName::MlKem768Encaps),
        |test| {
            let public_key = test.encaps_key.as_ref().expect("these cases have a public key");
            let found = encapsulate(MlKem768, public_key).map(|(ciphertext, _)| ciphertext.len());
            match test.result {
                TestResult::Valid => {
                    assert_eq!(found, Ok(1088), "tcId {}", test.tc_id);
                    Outcome::Partly("valid key accepted: m is not an input")
                }
                _ => {
                    assert_eq!(
                        found,
                        Err(EncapsulateError::PublicKeyRejected),
                        "tcId {}",
                        test.tc_id
                    );
                    Outcome::Passed
                }
            }
        },
    );
}

#[test]
fn key_generation_from_a_seed() {
    run(
        "Wycheproof ML-KEM-768 keyGen",
        cases(TestName::MlKem768KeyGenSeed),
        |test| {
            let found = expanded(test.seed.as_ref().expect("these cases have a seed"));
            match test.result {
                TestResult::Valid => {
                    let (private_key, public_key) = found.expect("the seed is valid");
                    assert!(
                        test.decaps_key.is_some_and(|key| private_key == key.as_ref()),
                        "tcId {}",
                        test.tc_id
                    );
                    assert!(
                        test.encaps_key.is_some_and(|key| public_key == key.as_ref()),
                        "tcId {}",
                        test.tc_id
                    );
                }
                _ => assert!(found.is_err(), "tcId {} was accepted", test.tc_id),
            }
            Outcome::Passed
        },
    );
}

#[test]
fn decapsulation_with_an_expanded_key() {
    let name = "Wycheproof ML-KEM-768 decapsulation, expanded key";
    run(name, cases(TestName::MlKem768SemiExpandedDecaps), |test| {
        let private_key = test.decaps_key.as_ref().expect("these cases have a private key");
        let ciphertext = test.ct.as_ref().expect("these cases have a ciphertext");
        let found = decapsulate(MlKem768, private_key, ciphertext);
        match test.result {
            TestResult::Valid => {
                let expected = test.shared_secret.as_ref().expect("valid cases have a secret");
                assert!(
                    found.is_ok_and(|secret| secret.expose() == expected.as_ref()),
                    "tcId {}",
                    test.tc_id
                );
            }
            _ => assert!(found.is_err(), "tcId {} was accepted", test.tc_id),
        }
        Outcome::Passed
    });
}
