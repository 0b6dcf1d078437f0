//! What one library makes the other must take, with keys of either. The verification of liboqs stays
//! uncalled here too: AWS-LC judges the signatures of both.

use aws_lc_rs::encoding::AsRawBytes;
use aws_lc_rs::kem::{DecapsulationKey, ML_KEM_768};
use aws_lc_rs::rand::fill;
use aws_lc_rs::signature::{KeyPair, ML_DSA_65_SIGNING, PqdsaKeyPair};
use chancel_domain::Algorithm::{self, MlDsa65, MlKem768};
use chancel_keyd::crypto::{Seed, decapsulate, expand, pairwise_check, sign};
use chancel_pqc::{Verdict, encapsulate, verify};

const CASES: usize = 100;

fn generated(algorithm: Algorithm) -> (Vec<u8>, Vec<u8>) {
    let seed = Seed::generate(algorithm).expect("valid input");
    let mut private_key = vec![0; algorithm.spec().private_key_len];
    let public_key = expand(algorithm, &seed, &mut private_key).expect("valid input");
    (private_key, public_key)
}

/// liboqs encapsulates and AWS-LC decapsulates, then the other way round.
fn both_ways(private_key: &[u8], public_key: &[u8]) {
    let liboqs = oqs::kem::Kem::new(oqs::kem::Algorithm::MlKem768).expect("valid input");
    let aws_lc = DecapsulationKey::new(&ML_KEM_768, private_key).expect("valid input");
    let (ciphertext, sent) = liboqs
        .encapsulate(liboqs.public_key_from_bytes(public_key).expect("valid input"))
        .expect("valid input");
    let received = aws_lc
        .decapsulate(ciphertext.as_ref().into())
        .expect("valid input");
    assert!(received.as_ref() == sent.as_ref());

    let (ciphertext, sent) = encapsulate(MlKem768, public_key).expect("valid input");
    let received = decapsulate(MlKem768, private_key, &ciphertext).expect("valid input");
    assert!(received.expose() == sent.expose());
    pairwise_check(MlKem768, private_key, public_key).expect("valid input");
}

#[test]
fn cross_library_ml_kem() {
    chancel_keyd::crypto::init().unwrap();
    for _ in 0..CASES {
        let (private_key, public_key) = generated(MlKem768);
        both_ways(&private_key, &public_key);

        let theirs = DecapsulationKey::generate(&ML_KEM_768).expect("valid input");
        let public_key = theirs
            .encapsulation_key()
            .expect("valid input")
            .key_bytes()
            .expect("valid input");
        both_ways(
            theirs.key_bytes().expect("valid input").as_ref(),
            public_key.as_ref(),
        );
    }
}

#[test]
fn cross_library_ml_dsa() {
    chancel_keyd::crypto::init().unwrap();
    for _ in 0..CASES {
        let mut message = vec![0; 1000];
        fill(&mut message).expect("valid input");
        // The key AWS-LC made: both sign with it.
        let (private_key, public_key) = generated(MlDsa65);
        pairwise_check(MlDsa65, &private_key, &public_key).expect("valid input");
        let signature = sign(MlDsa65, &private_key, &public_key, &message).expect("valid input");
        assert_eq!(
            verify(MlDsa65, &public_key, &message, &signature),
            Ok(Verdict::Valid)
        );
        message[0] ^= 1;
        assert_eq!(
            verify(MlDsa65, &public_key, &message, &signature),
            Ok(Verdict::Invalid)
        );

        // A key liboqs made: AWS-LC derives the same public key from it, and signs with it.
        let liboqs = oqs::sig::Sig::new(oqs::sig::Algorithm::MlDsa65).expect("valid input");
        let (public_key, private_key) = liboqs.keypair().expect("valid input");
        let aws_lc = PqdsaKeyPair::from_raw_private_key(&ML_DSA_65_SIGNING, private_key.as_ref())
            .expect("valid input");
        assert_eq!(aws_lc.public_key().as_ref(), public_key.as_ref());
        assert!(aws_lc.private_key().as_raw_bytes().expect("valid input").as_ref() == private_key.as_ref());
        let mut signature = vec![0; 3309];
        aws_lc.sign(&message, &mut signature).expect("valid input");
        assert_eq!(
            verify(MlDsa65, public_key.as_ref(), &message, &signature),
            Ok(Verdict::Valid)
        );
    }
}
