//! Signing, and the check of each signature by another implementation before it is released.

mod composite;
mod ml_dsa;
mod slh_dsa;

use super::CryptoError;
use chancel_domain::{Algorithm, Content};
use chancel_pqc::{Verdict, VerifyError};
use std::mem;
use zeroize::Zeroizing;

/// Signs, hedged with fresh randomness: FIPS 204 Algorithms 2 and 4 (and 7 for a μ), FIPS 205 Algorithms 22 and 23, §4.2 of
/// the composite's draft. A signature that was computed wrongly can reveal the key, so none leaves unless [`chancel_pqc`],
/// which is another implementation, finds it valid under `public_key`.
///
/// # Errors
/// [`CryptoError::SelfCheckFailed`] when the check refuses the signature, which is then wiped; else [`CryptoError`]: the
/// algorithm cannot sign such content, or a key is malformed.
pub fn sign(
    algorithm: Algorithm,
    private_key: &[u8],
    public_key: &[u8],
    content: &Content<'_>,
) -> Result<Vec<u8>, CryptoError> {
    let (mut signature, verdict) = sign_and_verify(algorithm, private_key, public_key, content)?;
    match verdict {
        Verdict::Valid => Ok(mem::take(&mut *signature)),
        Verdict::Invalid => Err(CryptoError::SelfCheckFailed),
    }
}

/// The signature, which is wiped unless taken out, and what the other implementation makes of it.
pub(super) fn sign_and_verify(
    algorithm: Algorithm,
    private_key: &[u8],
    public_key: &[u8],
    content: &Content<'_>,
) -> Result<(Zeroizing<Vec<u8>>, Verdict), CryptoError> {
    content.check(algorithm)?;
    let signature = match algorithm {
        Algorithm::MlDsa44 | Algorithm::MlDsa65 | Algorithm::MlDsa87 => {
            ml_dsa::sign(algorithm, private_key, content)?
        }
        Algorithm::CompositeMlDsa65EcdsaP256 => composite::sign(private_key, public_key, content)?,
        slh_dsa => slh_dsa::sign(slh_dsa, private_key, content)?,
    };
    let verdict =
        chancel_pqc::verify(algorithm, public_key, content, &signature).map_err(|error| match error {
            VerifyError::Unsuitable(unsuitable) => CryptoError::Unsuitable(unsuitable),
            VerifyError::PublicKeyRejected => CryptoError::PublicKeyRejected,
        })?;
    Ok((signature, verdict))
}

/// Whether random bytes can be a seed: any can, but for the composite's scalar.
pub(super) fn is_possible(algorithm: Algorithm, seed: &[u8]) -> bool {
    algorithm != Algorithm::CompositeMlDsa65EcdsaP256 || composite::is_possible(seed)
}

/// A seed to the private key, written to `private_key_out`, and the public key, returned.
pub(super) fn expand(
    algorithm: Algorithm,
    seed: &[u8],
    private_key_out: &mut [u8],
) -> Result<Vec<u8>, CryptoError> {
    match algorithm {
        Algorithm::MlDsa44 | Algorithm::MlDsa65 | Algorithm::MlDsa87 => {
            ml_dsa::expand(algorithm, seed, private_key_out)
        }
        Algorithm::CompositeMlDsa65EcdsaP256 => composite::expand(seed, private_key_out),
        slh_dsa => slh_dsa::expand(slh_dsa, seed, private_key_out),
    }
}
