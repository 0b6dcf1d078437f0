//! The private-key half: what it refuses, and that a wrong key or a wrong signature never gets through.

use chancel_domain::Algorithm::{self, MlDsa65, MlKem768};
use chancel_domain::Content;
use chancel_domain::algorithm::SPECS;
use chancel_domain::content::UnsuitableContent;
use chancel_keyd::crypto::{CryptoError, Seed, decapsulate, expand, pairwise_check, sign};
use chancel_pqc::{Purpose, Verdict, encapsulate, verify};

fn generated(algorithm: Algorithm) -> (Vec<u8>, Vec<u8>) {
    let seed = Seed::generate(algorithm).expect("randomness");
    let mut private_key = vec![0; algorithm.spec().private_key_len];
    let public_key = expand(algorithm, &seed, &mut private_key).expect("the seed expands");
    assert_eq!(public_key.len(), algorithm.spec().public_key_len);
    (private_key, public_key)
}

#[test]
fn seeds_have_one_length_and_differ() {
    for algorithm in SPECS.map(|spec| spec.algorithm) {
        let length = algorithm.spec().seed_len;
        let seed = Seed::generate(algorithm).expect("randomness");
        assert_eq!(seed.expose().len(), length);
        assert!(seed.expose() != Seed::generate(algorithm).expect("randomness").expose());
        for wrong in [0, length - 1, length + 1] {
            let refused = Seed::from_secret(algorithm, &vec![0; wrong]).err();
            assert_eq!(refused, Some(CryptoError::WrongSeedLength));
        }
    }
}

#[test]
fn expansion_is_repeatable_and_refuses_other_buffers_and_seeds() {
    for algorithm in SPECS.map(|spec| spec.algorithm) {
        let other = if algorithm == MlKem768 { MlDsa65 } else { MlKem768 };
        let length = algorithm.spec().private_key_len;
        let seed = Seed::generate(algorithm).expect("randomness");
        let (mut a, mut b) = (vec![0; length], vec![0; length]);
        let public_key = expand(algorithm, &seed, &mut a).expect("the seed expands");
        assert_eq!(expand(algorithm, &seed, &mut b), Ok(public_key));
        assert!(a == b);
        assert_eq!(
            expand(algorithm, &seed, &mut a[1..]),
            Err(CryptoError::WrongPrivateKeyLength)
        );
        let foreign = Seed::generate(other).expect("randomness");
        if foreign.expose().len() != algorithm.spec().seed_len {
            assert_eq!(
                expand(algorithm, &foreign, &mut a),
                Err(CryptoError::WrongSeedLength)
            );
        }
    }
}

#[test]
fn each_algorithm_does_only_what_its_family_does() {
    let (private_key, public_key) = generated(MlKem768);
    assert_eq!(
        sign(MlKem768, &private_key, &public_key, &Content::raw(b"")),
        Err(CryptoError::Unsuitable(UnsuitableContent::NotASignatureAlgorithm))
    );
    let (private_key, _) = generated(MlDsa65);
    assert_eq!(
        decapsulate(MlDsa65, &private_key, &[0; 1088]).err(),
        Some(CryptoError::NotAKem)
    );
}

#[test]
fn keys_that_do_not_belong_together_are_found() {
    for algorithm in SPECS.map(|spec| spec.algorithm) {
        if algorithm.is_slow() && algorithm != Algorithm::SlhDsaSha2_128f {
            // One of them stands for all: they share every line of ours.
            continue;
        }
        let (private_key, public_key) = generated(algorithm);
        assert_eq!(pairwise_check(algorithm, &private_key, &public_key), Ok(()));
        let (_, foreign) = generated(algorithm);
        assert_eq!(
            pairwise_check(algorithm, &private_key, &foreign),
            Err(CryptoError::PairMismatch)
        );
        assert_eq!(
            pairwise_check(algorithm, &private_key, &public_key[1..]),
            Err(CryptoError::PublicKeyRejected)
        );
        assert_eq!(
            pairwise_check(algorithm, &private_key[1..], &public_key),
            Err(CryptoError::WrongPrivateKeyLength)
        );
    }
}

#[test]
fn a_signature_that_the_other_library_refuses_does_not_leave() {
    let (private_key, public_key) = generated(MlDsa65);
    let (_, foreign) = generated(MlDsa65);
    assert_eq!(
        sign(MlDsa65, &private_key, &foreign, &Content::raw(b"message")),
        Err(CryptoError::SelfCheckFailed)
    );
    // One bit flipped in memory: in rho, in tr, in s1 (FIPS 204 Algorithm 24).
    for byte in [0, 64, 128] {
        let mut damaged = private_key.clone();
        damaged[byte] ^= 1;
        let refused = sign(MlDsa65, &damaged, &public_key, &Content::raw(b"message"));
        assert_eq!(refused, Err(CryptoError::SelfCheckFailed), "byte {byte}");
    }
}

#[test]
fn signatures_are_hedged_and_of_any_message() {
    let (private_key, public_key) = generated(MlDsa65);
    for length in [0, 1, 65536] {
        let message = vec![0xa5; length];
        let a = sign(MlDsa65, &private_key, &public_key, &Content::raw(&message)).expect("the key signs");
        let b = sign(MlDsa65, &private_key, &public_key, &Content::raw(&message)).expect("the key signs");
        assert_eq!(a.len(), MlDsa65.spec().output_len);
        assert_ne!(a, b);
        assert_eq!(
            verify(MlDsa65, &public_key, &Content::raw(&message), &b),
            Ok(Verdict::Valid)
        );
        assert_eq!(
            verify(MlDsa65, &public_key, &Content::raw(&message), &b[1..]),
            Ok(Verdict::Invalid)
        );
        assert_eq!(
            verify(
                MlDsa65,
                &public_key,
                &Content::raw(&message),
                &[&b[..], &[0]].concat()
            ),
            Ok(Verdict::Invalid)
        );
    }
}

#[test]
fn decapsulation_refuses_wrong_lengths_and_damaged_keys_and_rejects_implicitly() {
    let (mut private_key, public_key) = generated(MlKem768);
    let (mut ciphertext, sent) = encapsulate(MlKem768, &public_key).expect("the public key is valid");
    assert_eq!(
        decapsulate(MlKem768, &private_key, &ciphertext[1..]).err(),
        Some(CryptoError::WrongCiphertextLength)
    );
    assert_eq!(
        decapsulate(MlKem768, &private_key[1..], &ciphertext).err(),
        Some(CryptoError::WrongPrivateKeyLength)
    );
    ciphertext[0] ^= 1;
    let rejected = decapsulate(MlKem768, &private_key, &ciphertext).expect("the lengths are right");
    assert!(rejected.expose() != sent.expose());
    // In the copy of the public key, which the hash check covers (FIPS 203 §7.3).
    private_key[1152] ^= 1;
    assert_eq!(
        decapsulate(MlKem768, &private_key, &ciphertext).err(),
        Some(CryptoError::PrivateKeyDamaged)
    );
}

#[test]
fn an_envelope_sealed_with_one_library_opens_with_the_other() {
    let (private_key, public_key) = generated(MlKem768);
    let tenant = chancel_domain::TenantId::from_bytes([9; 16]);
    let version = chancel_domain::KeyVersion::FIRST;
    let bytes = chancel_pqc::seal(
        Purpose::Data,
        MlKem768,
        version,
        &public_key,
        tenant,
        b"aad",
        b"text",
    )
    .expect("the public key is valid");
    let envelope = chancel_pqc::Envelope::parse(&bytes).expect("it was sealed");
    let secret =
        decapsulate(MlKem768, &private_key, envelope.kem_ciphertext()).expect("the lengths are right");
    assert_eq!(
        envelope
            .open(&secret, tenant, b"aad")
            .expect("it was sealed")
            .as_slice(),
        b"text"
    );
}
