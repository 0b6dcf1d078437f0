//! Wycheproof, ML-DSA. The verification cases are those that tell liboqs's faulty verification from a right one.

use crate::key_pair::key_pair;
use crate::report::{Outcome, run};
use chancel_domain::Algorithm::{self, MlDsa44, MlDsa65, MlDsa87};
use chancel_domain::Content;
use chancel_domain::content::{MAX_CONTEXT, UnsuitableContent};
use chancel_keyd::crypto::{CryptoError, sign};
use chancel_pqc::{Verdict, VerifyError, verify};
use wycheproof::{ByteString, TestResult, mldsa_sign, mldsa_verify};

fn bytes(given: Option<&ByteString>) -> &[u8] {
    given.map(AsRef::as_ref).unwrap_or_default()
}

#[test]
fn verification() {
    use mldsa_verify::TestName;
    for (algorithm, name) in [
        (MlDsa44, TestName::MlDsa44Verify),
        (MlDsa65, TestName::MlDsa65Verify),
        (MlDsa87, TestName::MlDsa87Verify),
    ] {
        let set = mldsa_verify::TestSet::load(name).expect("the vectors parse");
        let cases = set.test_groups.into_iter().flat_map(|group| {
            let key = group.pubkey;
            group.tests.into_iter().map(move |test| (key.clone(), test))
        });
        let title = format!("Wycheproof {algorithm} verification");
        run(&title, cases, |(public_key, test)| {
            let content = Content::Raw {
                message: &test.msg,
                context: bytes(test.ctx.as_ref()),
            };
            let found = verify(algorithm, &public_key, &content, &test.sig);
            let expected = match test.result {
                TestResult::Valid => Ok(Verdict::Valid),
                _ if bytes(test.ctx.as_ref()).len() > MAX_CONTEXT => {
                    Err(VerifyError::Unsuitable(UnsuitableContent::ContextTooLong))
                }
                _ if public_key.len() != algorithm.spec().public_key_len => {
                    Err(VerifyError::PublicKeyRejected)
                }
                _ => Ok(Verdict::Invalid),
            };
            assert_eq!(found, expected, "tcId {}", test.tc_id);
            Outcome::Passed
        });
    }
}

type SigningCase = (mldsa_sign::TestGroup, mldsa_sign::Test);

fn signing_cases(name: mldsa_sign::TestName) -> Vec<SigningCase> {
    let set = mldsa_sign::TestSet::load(name).expect("the vectors parse");
    let groups = set.test_groups.into_iter();
    groups
        .flat_map(|group| {
            group
                .tests
                .clone()
                .into_iter()
                .map(move |test| (group.clone(), test))
        })
        .collect()
}

/// Signs with the case's key. Ours is hedged, the case's is not: both must verify, their bytes may differ.
fn signs(algorithm: Algorithm, private_key: &[u8], (group, test): &SigningCase) -> Outcome {
    if test.flags.contains(&mldsa_sign::TestFlag::InvalidPrivateKey) {
        // Vectors out of range, which no seed gives. FIPS 204 §7.2 lets private keys be decoded only when
        // their source is trusted; keyd's is its own expansion, and it reads seeds alone.
        return Outcome::NotApplicable("expanded key that no seed gives");
    }
    let public_key = bytes(group.pubkey.as_ref());
    let content = match (&test.msg, &test.mu) {
        (Some(message), _) => Content::Raw {
            message,
            context: bytes(test.ctx.as_ref()),
        },
        (None, Some(mu)) => Content::Mu { mu },
        (None, None) => return Outcome::NotApplicable("neither message nor mu"),
    };
    let ours = sign(algorithm, private_key, public_key, &content);
    match test.result {
        TestResult::Valid => {
            assert!(ours.is_ok(), "tcId {}: {:?}", test.tc_id, ours.err());
            let expected = verify(algorithm, public_key, &content, &test.sig);
            assert_eq!(expected, Ok(Verdict::Valid), "tcId {}", test.tc_id);
        }
        _ => assert!(ours.is_err(), "tcId {} was accepted", test.tc_id),
    }
    Outcome::Passed
}

#[test]
fn signing_from_a_seed() {
    use mldsa_sign::TestName;
    for (algorithm, name) in [
        (MlDsa44, TestName::MlDsa44SignSeed),
        (MlDsa65, TestName::MlDsa65SignSeed),
        (MlDsa87, TestName::MlDsa87SignSeed),
    ] {
        let title = format!("Wycheproof {algorithm} signing, seed");
        run(&title, signing_cases(name), |case| {
            let seed = case.0.privseed.as_ref().expect("these cases have a seed");
            let (private_key, public_key) = match key_pair(algorithm, seed) {
                Ok(pair) => pair,
                Err(error) => {
                    assert_eq!(error, CryptoError::WrongSeedLength, "tcId {}", case.1.tc_id);
                    assert_ne!(case.1.result, TestResult::Valid, "tcId {}", case.1.tc_id);
                    return Outcome::Passed;
                }
            };
            let expected = case.0.pubkey.as_ref().expect("these cases have a public key");
            assert!(
                public_key == expected.as_ref(),
                "tcId {}: public key",
                case.1.tc_id
            );
            signs(algorithm, &private_key, &case)
        });
    }
}

#[test]
fn signing_with_an_expanded_key() {
    use mldsa_sign::TestName;
    for (algorithm, name) in [
        (MlDsa44, TestName::MlDsa44SignNoSeed),
        (MlDsa65, TestName::MlDsa65SignNoSeed),
        (MlDsa87, TestName::MlDsa87SignNoSeed),
    ] {
        let title = format!("Wycheproof {algorithm} signing, expanded key");
        run(&title, signing_cases(name), |case| {
            let private_key = case.0.privkey.as_ref();
            signs(
                algorithm,
                private_key.expect("these cases have a private key"),
                &case,
            )
        });
    }
}
