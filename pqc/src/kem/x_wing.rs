//! Encapsulation of X-Wing (draft-connolly-cfrg-xwing-kem §5.4) from AWS-LC's ML-KEM-768, X25519 and SHA3-256. keyd uses
//! another implementation of all three, so a new pair is tried across both.

use super::{EncapsulateError, SharedSecret};
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use aws_lc_rs::digest;
use aws_lc_rs::kem::{EncapsulationKey, ML_KEM_768};

/// Where the ML-KEM-768 part of a public key ends and the X25519 part begins.
const ML_KEM_PUBLIC_KEY_LEN: usize = 1184;

/// What ends the input of the combiner (§5.3).
const LABEL: &[u8; 6] = br"\.//^\";

/// A public key (1216 bytes) to a ciphertext (1120 bytes) and the secret that it carries. An X25519 half of low order, which
/// would add nothing to the secret, is refused.
pub(super) fn encapsulate(public_key: &[u8]) -> Result<(Vec<u8>, SharedSecret), EncapsulateError> {
    let rejected = EncapsulateError::PublicKeyRejected;
    let (ml_kem, x25519) = public_key
        .split_at_checked(ML_KEM_PUBLIC_KEY_LEN)
        .ok_or(rejected)?;
    let ml_kem = EncapsulationKey::new(&ML_KEM_768, ml_kem).map_err(|_| rejected)?;
    let (ml_kem_ciphertext, ml_kem_secret) = ml_kem.encapsulate().map_err(|_| rejected)?;
    let ephemeral = PrivateKey::generate(&X25519).map_err(|_| rejected)?;
    let ephemeral_public = ephemeral.compute_public_key().map_err(|_| rejected)?;
    let combined = agree(
        &ephemeral,
        UnparsedPublicKey::new(&X25519, x25519),
        rejected,
        |x25519_secret| {
            let mut combiner = digest::Context::new(&digest::SHA3_256);
            combiner.update(ml_kem_secret.as_ref());
            combiner.update(x25519_secret);
            combiner.update(ephemeral_public.as_ref());
            combiner.update(x25519);
            combiner.update(LABEL);
            SharedSecret::try_from(combiner.finish().as_ref()).map_err(|_| rejected)
        },
    )?;
    let mut ciphertext = ml_kem_ciphertext.as_ref().to_vec();
    ciphertext.extend_from_slice(ephemeral_public.as_ref());
    Ok((ciphertext, combined))
}
