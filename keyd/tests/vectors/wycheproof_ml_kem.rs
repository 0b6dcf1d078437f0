//! Wycheproof, ML-KEM: hostile lengths, public keys with coefficients that are not below q, ciphertexts
//! that must decapsulate to the secret of implicit rejection.

use crate::key_pair::key_pair;
use crate::report::{Outcome, run};
use aws_lc_rs::kem::{self, DecapsulationKey};
use chancel_domain::Algorithm::{self, MlKem512, MlKem768, MlKem1024};
use chancel_keyd::crypto::{CryptoError, decapsulate};
use chancel_pqc::{EncapsulateError, SharedSecret, encapsulate};
use wycheproof::TestResult;
use wycheproof::mlkem::{Test, TestName, TestSet};

fn cases(name: TestName) -> Vec<Test> {
    let set = TestSet::load(name).expect("the vectors parse");
    set.test_groups
        .into_iter()
        .flat_map(|group| group.tests)
        .collect()
}

/// Compares what decapsulation gave with what the case expects.
fn check(test: &Test, found: Result<SharedSecret, CryptoError>) -> Outcome {
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
}

#[test]
fn decapsulation_from_a_seed() {
    for (algorithm, name) in [
        (MlKem512, TestName::MlKem512),
        (MlKem768, TestName::MlKem768),
        (MlKem1024, TestName::MlKem1024),
    ] {
        run(
            &format!("Wycheproof {algorithm} decapsulation"),
            cases(name),
            |test| {
                let seed = test.seed.as_ref().expect("these cases have a seed");
                let ciphertext = test.ct.as_ref().expect("these cases have a ciphertext");
                let found = key_pair(algorithm, seed).and_then(|(private_key, public_key)| {
                    if let Some(expected) = &test.encaps_key {
                        assert!(public_key == expected.as_ref(), "tcId {}: public key", test.tc_id);
                    }
                    let secret = decapsulate(algorithm, &private_key, ciphertext)?;
                    // The other library, with the key as liboqs expanded it.
                    let other =
                        DecapsulationKey::new(parameters(algorithm), &private_key).expect("the key is valid");
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
                check(&test, found)
            },
        );
    }
}

#[test]
fn encapsulation() {
    for (algorithm, name) in [
        (MlKem512, TestName::MlKem512Encaps),
        (MlKem768, TestName::MlKem768Encaps),
        (MlKem1024, TestName::MlKem1024Encaps),
    ] {
        run(
            &format!("Wycheproof {algorithm} encapsulation"),
            cases(name),
            |test| {
                let public_key = test.encaps_key.as_ref().expect("these cases have a public key");
                let found = encapsulate(algorithm, public_key).map(|(ciphertext, _)| ciphertext.len());
                match test.result {
                    TestResult::Valid => {
                        assert_eq!(found, Ok(algorithm.spec().output_len), "tcId {}", test.tc_id);
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
}

#[test]
fn key_generation_from_a_seed() {
    for (algorithm, name) in [
        (MlKem512, TestName::MlKem512KeyGenSeed),
        (MlKem768, TestName::MlKem768KeyGenSeed),
        (MlKem1024, TestName::MlKem1024KeyGenSeed),
    ] {
        run(&format!("Wycheproof {algorithm} keyGen"), cases(name), |test| {
            let found = key_pair(algorithm, test.seed.as_ref().expect("these cases have a seed"));
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
        });
    }
}

#[test]
fn decapsulation_with_an_expanded_key() {
    for (algorithm, name) in [
        (MlKem512, TestName::MlKem512SemiExpandedDecaps),
        (MlKem768, TestName::MlKem768SemiExpandedDecaps),
        (MlKem1024, TestName::MlKem1024SemiExpandedDecaps),
    ] {
        let title = format!("Wycheproof {algorithm} decapsulation, expanded key");
        run(&title, cases(name), |test| {
            let private_key = test.decaps_key.as_ref().expect("these cases have a private key");
            let ciphertext = test.ct.as_ref().expect("these cases have a ciphertext");
            check(&test, decapsulate(algorithm, private_key, ciphertext))
        });
    }
}

const fn parameters(algorithm: Algorithm) -> &'static kem::Algorithm {
    match algorithm {
        MlKem512 => &kem::ML_KEM_512,
        MlKem1024 => &kem::ML_KEM_1024,
        _ => &kem::ML_KEM_768,
    }
}
