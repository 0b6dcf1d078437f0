//! Wycheproof, ML-DSA-65. The verification cases are those that tell liboqs's faulty verification from a
//! right one.

use crate::report::{Outcome, run};
use chancel_domain::Algorithm::MlDsa65;
use chancel_keyd::crypto::{Seed, expand, sign};
use chancel_pqc::{Verdict, VerifyError, verify};
use wycheproof::{ByteString, TestResult, mldsa_sign, mldsa_verify};

fn has_context(context: &Option<ByteString>) -> bool {
    context.as_ref().is_some_and(|context| !context.is_empty())
}

#[test]
fn verification() {
    let set = mldsa_verify::TestSet::load(mldsa_verify::TestName::MlDsa65Verify).expect("the vectors parse");
    let cases = set.test_groups.into_iter().flat_map(|group| {
        let key = group.pubkey;
        group.tests.into_iter().map(move |test| (key.clone(), test))
    });
    run(
        "Wycheproof ML-DSA-65 verification",
        cases,
        |(public_key, test)| {
            let found = verify(MlDsa65, &public_key, &test.msg, &test.sig);
            if has_context(&test.ctx) {
                assert_eq!(
                    found,
                    Ok(Verdict::Invalid),
                    "tcId {}: valid without its context",
                    test.tc_id
                );
                return Outcome::NotApplicable("context string");
            }
            match (test.result, public_key.len()) {
                (TestResult::Valid, _) => assert_eq!(found, Ok(Verdict::Valid), "tcId {}", test.tc_id),
                (_, 1952) => assert_eq!(found, Ok(Verdict::Invalid), "tcId {}", test.tc_id),
                _ => assert_eq!(found, Err(VerifyError::PublicKeyRejected), "tcId {}", test.tc_id),
            }
            Outcome::Passed
        },
    );
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
fn signs(private_key: &[u8], (group, test): &SigningCase) -> Outcome {
    let Some(message) = &test.msg else {
        return Outcome::NotApplicable("external mu");
    };
    if has_context(&test.ctx) {
        return Outcome::NotApplicable("context string");
    }
    if test.flags.contains(&mldsa_sign::TestFlag::InvalidPrivateKey) {
        // Vectors out of range, which no seed gives. FIPS 204 §7.2 lets private keys be decoded only when
        // their source is trusted; keyd's is its own expansion, and it reads seeds alone.
        return Outcome::NotApplicable("expanded key that no seed gives");
    }
    let public_key = group.pubkey.as_ref().map(AsRef::as_ref).unwrap_or_default();
    let ours = sign(MlDsa65, private_key, public_key, message);
    match test.result {
        TestResult::Valid => {
            assert!(ours.is_ok(), "tcId {}: {:?}", test.tc_id, ours.err());
            let expected = verify(MlDsa65, public_key, message, &test.sig);
            assert_eq!(expected, Ok(Verdict::Valid), "tcId {}", test.tc_id);
        }
        _ => assert!(ours.is_err(), "tcId {} was accepted", test.tc_id),
    }
    Outcome::Passed
}

#[test]
fn signing_from_a_seed() {
    run(
        "Wycheproof ML-DSA-65 signing, seed",
        signing_cases(mldsa_sign::TestName::MlDsa65SignSeed),
        |case| {
            let seed = case.0.privseed.as_ref().expect("these cases have a seed");
            let Ok(seed) = Seed::from_secret(MlDsa65, seed) else {
                assert_ne!(case.1.result, TestResult::Valid, "tcId {}", case.1.tc_id);
                return Outcome::Passed;
            };
            let mut private_key = vec![0; MlDsa65.spec().private_key_len];
            let public_key = expand(MlDsa65, &seed, &mut private_key).expect("the seed expands");
            let expected = case.0.pubkey.as_ref().expect("these cases have a public key");
            assert!(
                public_key == expected.as_ref(),
                "tcId {}: public key",
                case.1.tc_id
            );
            signs(&private_key, &case)
        },
    );
}

#[test]
fn signing_with_an_expanded_key() {
    let cases = signing_cases(mldsa_sign::TestName::MlDsa65SignNoSeed);
    run("Wycheproof ML-DSA-65 signing, expanded key", cases, |case| {
        signs(
            case.0.privkey.as_ref().expect("these cases have a private key"),
            &case,
        )
    });
}
