//! What holds of every algorithm, whatever the inputs: what goes in comes out, and nothing else does. Another key, another
//! context, other data, one byte more or less: each is refused.

use chancel_domain::algorithm::SPECS;
use chancel_domain::{Algorithm, Content, Family, KeyVersion, TenantId};
use chancel_keyd::crypto::{Seed, decapsulate, expand, sign};
use chancel_pqc::{Envelope, Purpose, Verdict, seal, verify};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::fmt::Debug;

const TENANT: TenantId = TenantId::from_bytes([9; 16]);

struct KeyPair {
    algorithm: Algorithm,
    private_key: Vec<u8>,
    public_key: Vec<u8>,
}

impl KeyPair {
    fn generate(algorithm: Algorithm) -> Self {
        let seed = Seed::generate(algorithm).expect("randomness");
        let mut private_key = vec![0; algorithm.spec().private_key_len];
        let public_key = expand(algorithm, &seed, &mut private_key).expect("the seed expands");
        Self {
            algorithm,
            private_key,
            public_key,
        }
    }

    fn seal(&self, aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
        let version = KeyVersion::FIRST;
        seal(
            Purpose::Data,
            self.algorithm,
            version,
            &self.public_key,
            TENANT,
            aad,
            plaintext,
        )
        .expect("a public key")
    }

    /// All that keyd does to decrypt; `None` when any step refuses.
    fn open(&self, ciphertext: &[u8], aad: &[u8]) -> Option<Vec<u8>> {
        let envelope = Envelope::parse(ciphertext).ok()?;
        let secret = decapsulate(self.algorithm, &self.private_key, envelope.kem_ciphertext()).ok()?;
        Some(envelope.open(&secret, TENANT, aad).ok()?.to_vec())
    }

    fn sign(&self, content: &Content<'_>) -> Vec<u8> {
        sign(self.algorithm, &self.private_key, &self.public_key, content).expect("the key signs")
    }

    fn is_valid(&self, content: &Content<'_>, signature: &[u8]) -> bool {
        verify(self.algorithm, &self.public_key, content, signature) == Ok(Verdict::Valid)
    }
}

/// For each algorithm of a family: two keys, and as many cases as it is fast enough for.
fn of_each<S: Strategy>(
    family: Family,
    cases: &S,
    check: impl Fn(&KeyPair, &KeyPair, S::Value) -> Result<(), TestCaseError>,
) where
    S::Value: Debug,
{
    chancel_keyd::crypto::init().expect("the libraries start");
    for algorithm in SPECS.map(|spec| spec.algorithm) {
        if algorithm.spec().family != family {
            continue;
        }
        let (ours, other) = (KeyPair::generate(algorithm), KeyPair::generate(algorithm));
        let config = Config {
            cases: if algorithm.is_slow() { 1 } else { 20 },
            failure_persistence: None,
            ..Config::default()
        };
        TestRunner::new(config)
            .run(cases, |case| check(&ours, &other, case))
            .unwrap_or_else(|failure| panic!("{algorithm}: {failure}"));
    }
}

fn bytes(longest: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..=longest)
}

#[test]
fn what_is_encrypted_opens_with_its_key_and_its_data_alone() {
    of_each(
        Family::Kem,
        &(bytes(3000), bytes(200), bytes(200)),
        |ours, other, (plaintext, aad, foreign)| {
            let ciphertext = ours.seal(&aad, &plaintext);
            prop_assert_eq!(ours.open(&ciphertext, &aad), Some(plaintext));
            prop_assert_eq!(other.open(&ciphertext, &aad), None, "with another key");
            prop_assert!(
                foreign == aad || ours.open(&ciphertext, &foreign).is_none(),
                "with other data"
            );
            Ok(())
        },
    );
}

#[test]
fn a_ciphertext_opens_at_its_own_length_alone() {
    of_each(Family::Kem, &bytes(30), |ours, _, plaintext| {
        let mut ciphertext = ours.seal(b"", &plaintext);
        ciphertext.push(0);
        for length in 0..=ciphertext.len() {
            let opens = ours.open(&ciphertext[..length], b"").is_some();
            prop_assert_eq!(opens, length == ciphertext.len() - 1, "cut to {}", length);
        }
        Ok(())
    });
}

#[test]
fn what_is_signed_is_valid_with_its_key_its_context_and_its_message_alone() {
    of_each(
        Family::Signature,
        &(bytes(3000), bytes(255), bytes(255)),
        |ours, other, (message, context, foreign)| {
            let content = Content::Raw {
                message: &message,
                context: &context,
            };
            let signature = ours.sign(&content);
            prop_assert!(ours.is_valid(&content, &signature));
            prop_assert!(!other.is_valid(&content, &signature), "with another key");
            let elsewhere = Content::Raw {
                message: &message,
                context: &foreign,
            };
            prop_assert_eq!(
                ours.is_valid(&elsewhere, &signature),
                foreign == context,
                "with another context"
            );
            let longer = [&message[..], &[0]].concat();
            let changed = Content::Raw {
                message: &longer,
                context: &context,
            };
            prop_assert!(!ours.is_valid(&changed, &signature), "of another message");
            Ok(())
        },
    );
}

#[test]
fn a_signature_is_valid_at_its_own_length_alone() {
    of_each(Family::Signature, &bytes(30), |ours, _, message| {
        let content = Content::raw(&message);
        let mut signature = ours.sign(&content);
        signature.push(0);
        for length in 0..=signature.len() {
            let is_valid = ours.is_valid(&content, &signature[..length]);
            prop_assert_eq!(is_valid, length == signature.len() - 1, "cut to {}", length);
        }
        Ok(())
    });
}
