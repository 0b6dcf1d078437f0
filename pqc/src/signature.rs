//! Verification of signatures. AWS-LC alone decides what is valid: the AVX2 ML-DSA verification in the
//! liboqs that signs for us accepts invalid signatures.

use aws_lc_rs::signature::{self, ParsedPublicKey};
use chancel_domain::Algorithm;

/// What verification found. An invalid signature is an answer, not an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The holder of the private key signed this message.
    Valid,
    /// It did not, or the signature is malformed.
    Invalid,
}

/// Why nothing could be verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The algorithm makes no signatures.
    #[error("the algorithm is not a signature algorithm")]
    NotASignatureAlgorithm,
    /// The public key does not have the encoding of the standard.
    #[error("the public key is malformed")]
    PublicKeyRejected,
}

/// Verifies a signature (`output_len` bytes, 3309 for ML-DSA-65) over a message of any length: pure ML-DSA
/// with an empty context string, FIPS 204 Algorithm 3. A signature of another length is
/// [`Verdict::Invalid`].
///
/// # Errors
/// [`VerifyError`]: the algorithm makes no signatures, or the public key is malformed.
pub fn verify(
    algorithm: Algorithm,
    public_key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<Verdict, VerifyError> {
    let parameters = match algorithm {
        Algorithm::MlDsa65 => &signature::ML_DSA_65,
        Algorithm::MlKem768 => return Err(VerifyError::NotASignatureAlgorithm),
    };
    // AWS-LC would also take the X.509 encoding of a key; here a key has one encoding.
    if public_key.len() != algorithm.spec().public_key_len {
        return Err(VerifyError::PublicKeyRejected);
    }
    let key = ParsedPublicKey::new(parameters, public_key).map_err(|_| VerifyError::PublicKeyRejected)?;
    if signature.len() != algorithm.spec().output_len {
        return Ok(Verdict::Invalid);
    }
    match key.verify_sig(message, signature) {
        Ok(()) => Ok(Verdict::Valid),
        Err(_) => Ok(Verdict::Invalid),
    }
}
