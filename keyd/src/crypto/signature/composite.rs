//! The composite of ML-DSA-65 and ECDSA on P-256 (draft-ietf-lamps-pq-composite-sigs): liboqs signs one half, AWS-LC the
//! other. A private key is ML-DSA-65's followed by the scalar.

use super::ml_dsa;
use crate::crypto::CryptoError;
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use chancel_domain::{Algorithm, Content};
use chancel_pqc::signature::{COMPOSITE_LABEL, composite_representative};
use zeroize::Zeroizing;

const SCALAR_LEN: usize = 32;
/// An uncompressed point (SEC 1 §2.3.3).
const POINT_LEN: usize = 65;

pub(super) fn sign(
    private_key: &[u8],
    public_key: &[u8],
    content: &Content<'_>,
) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    let (ml_dsa_key, scalar) = split(private_key, SCALAR_LEN)?;
    let (_, point) = split(public_key, POINT_LEN)?;
    let representative = composite_representative(content).ok_or(CryptoError::NotSigned)?;
    let ml_dsa = ml_dsa::sign_message(Algorithm::MlDsa65, ml_dsa_key, &representative, COMPOSITE_LABEL)?;
    let pair = EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_ASN1_SIGNING, scalar, point)
        // AWS-LC compares the two.
        .map_err(|_| CryptoError::PairMismatch)?;
    let ecdsa = pair
        .sign(&SystemRandom::new(), &representative)
        .map_err(|_| CryptoError::NotSigned)?;
    // Room for both from the start: a buffer that grows leaves a copy behind.
    let mut signature = Zeroizing::new(Vec::with_capacity(ml_dsa.len() + ecdsa.as_ref().len()));
    signature.extend_from_slice(&ml_dsa);
    signature.extend_from_slice(ecdsa.as_ref());
    Ok(signature)
}

/// Whether the scalar is below the order of the curve, and not 0.
pub(super) fn is_possible(seed: &[u8]) -> bool {
    split(seed, SCALAR_LEN).is_ok_and(|(_, scalar)| PrivateKey::from_private_key(&ECDH_P256, scalar).is_ok())
}

/// ξ ‖ scalar to both key pairs.
pub(super) fn expand(seed: &[u8], private_key_out: &mut [u8]) -> Result<Vec<u8>, CryptoError> {
    let (xi, scalar) = split(seed, SCALAR_LEN).map_err(|_| CryptoError::WrongSeedLength)?;
    let at = private_key_out
        .len()
        .checked_sub(SCALAR_LEN)
        .ok_or(CryptoError::WrongPrivateKeyLength)?;
    let (ml_dsa_out, scalar_out) = private_key_out
        .split_at_mut_checked(at)
        .ok_or(CryptoError::WrongPrivateKeyLength)?;
    let pair = PrivateKey::from_private_key(&ECDH_P256, scalar).map_err(|_| CryptoError::NotExpanded)?;
    let point = pair.compute_public_key().map_err(|_| CryptoError::NotExpanded)?;
    let mut public_key = ml_dsa::expand(Algorithm::MlDsa65, xi, ml_dsa_out)?;
    scalar_out.copy_from_slice(scalar);
    public_key.extend_from_slice(point.as_ref());
    Ok(public_key)
}

/// The ML-DSA part and the last `length` bytes.
fn split(bytes: &[u8], length: usize) -> Result<(&[u8], &[u8]), CryptoError> {
    bytes
        .len()
        .checked_sub(length)
        .and_then(|at| bytes.split_at_checked(at))
        .ok_or(CryptoError::WrongPrivateKeyLength)
}
