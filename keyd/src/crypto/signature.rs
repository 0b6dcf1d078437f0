//! Signing by liboqs, checked by AWS-LC before release, and expansion of ML-DSA keys. liboqs cannot make an
//! ML-DSA key from a seed; AWS-LC can, in the encoding of FIPS 204 §7.2 that liboqs signs with.
//!
//! The verification of liboqs is never called: on CPUs with AVX2 it accepts invalid signatures.

use super::CryptoError;
use aws_lc_rs::encoding::{AsRawBytes, PqdsaPrivateKeyRaw};
use aws_lc_rs::signature::{self, KeyPair, PqdsaKeyPair};
use chancel_domain::Algorithm;
use chancel_pqc::{Verdict, VerifyError};
use oqs::sig::Sig;
use std::mem;
use zeroize::Zeroizing;

/// Signs a message of any length: pure ML-DSA with an empty context string, hedged with fresh randomness
/// (FIPS 204 Algorithm 2); 3309 bytes for ML-DSA-65. A signature that was computed wrongly can reveal the
/// key, so none leaves unless AWS-LC finds it valid under `public_key`.
///
/// # Errors
/// [`CryptoError::SelfCheckFailed`] when the other library refuses the signature, which is then wiped;
/// else [`CryptoError`]: the algorithm makes no signatures, or a key is malformed.
pub fn sign(
    algorithm: Algorithm,
    private_key: &[u8],
    public_key: &[u8],
    message: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let (mut signature, verdict) = sign_and_verify(algorithm, private_key, public_key, message)?;
    match verdict {
        Verdict::Valid => Ok(mem::take(&mut *signature)),
        Verdict::Invalid => Err(CryptoError::SelfCheckFailed),
    }
}

/// The signature, which is wiped unless taken out, and what AWS-LC makes of it.
pub(super) fn sign_and_verify(
    algorithm: Algorithm,
    private_key: &[u8],
    public_key: &[u8],
    message: &[u8],
) -> Result<(Zeroizing<Vec<u8>>, Verdict), CryptoError> {
    let sig = library(algorithm)?;
    let private_key = sig
        .secret_key_from_bytes(private_key)
        .ok_or(CryptoError::WrongPrivateKeyLength)?;
    let signature = sig
        .sign(message, private_key)
        .map_err(|_| CryptoError::NotSigned)?;
    let signature = Zeroizing::new(signature.into_vec());
    let verdict =
        chancel_pqc::verify(algorithm, public_key, message, &signature).map_err(|error| match error {
            VerifyError::NotASignatureAlgorithm => CryptoError::NotASignatureAlgorithm,
            VerifyError::PublicKeyRejected => CryptoError::PublicKeyRejected,
        })?;
    Ok((signature, verdict))
}

/// FIPS 204 Algorithm 6 (internal key generation): ξ, 32 bytes, to the private key (4032 bytes for
/// ML-DSA-65), written to `private_key_out`, and the public key (1952 bytes), returned.
pub(super) fn expand(
    algorithm: Algorithm,
    seed: &[u8],
    private_key_out: &mut [u8],
) -> Result<Vec<u8>, CryptoError> {
    let parameters = match algorithm {
        Algorithm::MlDsa65 => &signature::ML_DSA_65_SIGNING,
        Algorithm::MlKem768 => return Err(CryptoError::NotASignatureAlgorithm),
    };
    let pair = PqdsaKeyPair::from_seed(parameters, seed).map_err(|_| CryptoError::NotExpanded)?;
    // AWS-LC wipes both its own key and this copy when dropped.
    let private_key: PqdsaPrivateKeyRaw<'_> = pair
        .private_key()
        .as_raw_bytes()
        .map_err(|_| CryptoError::NotExpanded)?;
    let private_key = private_key.as_ref();
    if private_key.len() != private_key_out.len() {
        return Err(CryptoError::WrongPrivateKeyLength);
    }
    private_key_out.copy_from_slice(private_key);
    Ok(pair.public_key().as_ref().to_vec())
}

fn library(algorithm: Algorithm) -> Result<Sig, CryptoError> {
    let algorithm = match algorithm {
        Algorithm::MlDsa65 => oqs::sig::Algorithm::MlDsa65,
        Algorithm::MlKem768 => return Err(CryptoError::NotASignatureAlgorithm),
    };
    oqs::init();
    Sig::new(algorithm).map_err(|_| CryptoError::AlgorithmNotBuiltIn)
}
