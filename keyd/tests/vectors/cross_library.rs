//! What one library makes the other must take, with random keys and contents, for every algorithm of the registry. The
//! verification of liboqs stays uncalled here too.

use crate::key_pair::expanded;
use aws_lc_rs::encoding::AsRawBytes;
use aws_lc_rs::kem::{self, DecapsulationKey};
use aws_lc_rs::rand::fill;
use aws_lc_rs::signature::{KeyPair, ML_DSA_65_SIGNING, PqdsaKeyPair};
use chancel_domain::algorithm::SPECS;
use chancel_domain::{Algorithm, Content, Family, HashFunction};
use chancel_keyd::crypto::{Seed, decapsulate, pairwise_check, sign};
use chancel_pqc::{Mu, Verdict, encapsulate, verify};

/// Of fast algorithms; a slow one has as many as take a second or so.
const CASES: usize = 100;

fn cases(algorithm: Algorithm) -> usize {
    match algorithm.spec().standard_name {
        name if !algorithm.is_slow() => {
            assert!(!name.starts_with("SLH"));
            CASES
        }
        // A signature of a hundredth of a second, and of up to two.
        name if name.ends_with('f') && name.contains("SHA2") => 8,
        _ => 1,
    }
}

fn generated(algorithm: Algorithm) -> (Vec<u8>, Vec<u8>) {
    let seed = Seed::generate(algorithm).expect("valid input");
    expanded(algorithm, seed.expose())
}

fn of_family(family: Family) -> impl Iterator<Item = Algorithm> {
    SPECS
        .iter()
        .filter(move |spec| spec.family == family)
        .map(|spec| spec.algorithm)
}

fn random(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    fill(&mut bytes).expect("valid input");
    bytes
}

#[test]
fn each_kem_across_its_two_implementations() {
    chancel_keyd::crypto::init().unwrap();
    for algorithm in of_family(Family::Kem) {
        for _ in 0..CASES {
            let (private_key, public_key) = generated(algorithm);
            pairwise_check(algorithm, &private_key, &public_key).expect("valid input");
            let (ciphertext, sent) = encapsulate(algorithm, &public_key).expect("valid input");
            assert_eq!(ciphertext.len(), algorithm.spec().output_len);
            let received = decapsulate(algorithm, &private_key, &ciphertext).expect("valid input");
            assert!(received.expose() == sent.expose(), "{algorithm}");
            // Another key's secret is another, and no error.
            let (other, _) = generated(algorithm);
            let rejected = decapsulate(algorithm, &other, &ciphertext).expect("implicit rejection");
            assert!(rejected.expose() != sent.expose(), "{algorithm}");
        }
    }
}

/// The other way round: liboqs encapsulates and AWS-LC decapsulates.
#[test]
fn ml_kem_the_other_way_round() {
    for (algorithm, liboqs, aws_lc) in [
        (
            Algorithm::MlKem512,
            oqs::kem::Algorithm::MlKem512,
            &kem::ML_KEM_512,
        ),
        (
            Algorithm::MlKem768,
            oqs::kem::Algorithm::MlKem768,
            &kem::ML_KEM_768,
        ),
        (
            Algorithm::MlKem1024,
            oqs::kem::Algorithm::MlKem1024,
            &kem::ML_KEM_1024,
        ),
    ] {
        let liboqs = oqs::kem::Kem::new(liboqs).expect("valid input");
        for _ in 0..CASES {
            let (private_key, public_key) = generated(algorithm);
            let (ciphertext, sent) = liboqs
                .encapsulate(liboqs.public_key_from_bytes(&public_key).expect("valid input"))
                .expect("valid input");
            let received = DecapsulationKey::new(aws_lc, &private_key)
                .expect("valid input")
                .decapsulate(ciphertext.as_ref().into())
                .expect("valid input");
            assert!(received.as_ref() == sent.as_ref(), "{algorithm}");
        }
    }
}

/// Signing checks itself by the other implementation; here the verdict of that one is asked for once more, and about
/// everything that was not signed.
#[test]
fn each_signature_algorithm_across_its_two_implementations_in_every_mode() {
    chancel_keyd::crypto::init().unwrap();
    for algorithm in of_family(Family::Signature) {
        for _ in 0..cases(algorithm) {
            let (private_key, public_key) = generated(algorithm);
            let (message, context) = (random(1000), random(1 + usize::from(random(1)[0]) % 255));
            let (digest, mu) = (random(64), mu(algorithm, &public_key, &message, &context));
            let mut contents = vec![
                Content::raw(&message),
                Content::Raw {
                    message: &message,
                    context: &context,
                },
                Content::Hash {
                    function: HashFunction::Sha512,
                    digest: &digest,
                    context: &[],
                },
                Content::Hash {
                    function: HashFunction::Sha512,
                    digest: &digest,
                    context: &context,
                },
            ];
            contents.extend(mu.as_deref().map(|mu| Content::Mu { mu }));
            let with_context = contents[1];
            if algorithm.is_slow() {
                // One of each kind.
                contents = vec![contents[1], contents[2]];
            }
            for content in &contents {
                let signature = sign(algorithm, &private_key, &public_key, content)
                    .unwrap_or_else(|error| panic!("{algorithm} {content:?}: {error}"));
                assert!(signature.len() <= algorithm.spec().output_len);
                for other in &contents {
                    let found = verify(algorithm, &public_key, other, &signature).unwrap();
                    // A mu is that of the message with the context.
                    let is_mu_of = |one: &Content<'_>, two: &Content<'_>| {
                        matches!(one, Content::Mu { .. }) && *two == with_context
                    };
                    let is_same = content == other || is_mu_of(content, other) || is_mu_of(other, content);
                    assert_eq!(
                        found == Verdict::Valid,
                        is_same,
                        "{algorithm}: {content:?} {other:?}"
                    );
                }
                let mut bent = signature.clone();
                let at = usize::from(random(1)[0]) % bent.len();
                bent[at] ^= 1;
                for not_it in [&bent, &signature[1..].to_vec(), &Vec::new()] {
                    let found = verify(algorithm, &public_key, content, not_it);
                    assert_eq!(found, Ok(Verdict::Invalid), "{algorithm} {content:?} byte {at}");
                }
            }
        }
    }
}

fn mu(algorithm: Algorithm, public_key: &[u8], message: &[u8], context: &[u8]) -> Option<Vec<u8>> {
    let mut mu = Mu::begin(algorithm, public_key, context).ok()?;
    // However it is cut up.
    message.chunks(300).for_each(|piece| mu.update(piece));
    Some(mu.finish().to_vec())
}

/// A key liboqs made: AWS-LC derives the same public key from it, and signs with it.
#[test]
fn ml_dsa_the_other_way_round() {
    let liboqs = oqs::sig::Sig::new(oqs::sig::Algorithm::MlDsa65).expect("valid input");
    for _ in 0..CASES {
        let message = random(1000);
        let (public_key, private_key) = liboqs.keypair().expect("valid input");
        let aws_lc = PqdsaKeyPair::from_raw_private_key(&ML_DSA_65_SIGNING, private_key.as_ref())
            .expect("valid input");
        assert_eq!(aws_lc.public_key().as_ref(), public_key.as_ref());
        assert!(aws_lc.private_key().as_raw_bytes().expect("valid input").as_ref() == private_key.as_ref());
        let mut signature = vec![0; 3309];
        aws_lc.sign(&message, &mut signature).expect("valid input");
        assert_eq!(
            verify(
                Algorithm::MlDsa65,
                public_key.as_ref(),
                &Content::raw(&message),
                &signature
            ),
            Ok(Verdict::Valid)
        );
    }
}
